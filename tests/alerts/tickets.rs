//! Tickets: ServiceNow and Jira do not tell repeats, so that a ticket is looked for before it is made a second time.

use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use ratehouse::alerts::Round;
use serde_json::Value as Json;

use super::{House, SERVICENOW, json};
use crate::collection::server::{Asked, Reply, Server};
use crate::fixture::rows;
use crate::forecasts::budgets;

/// A service desk: it keeps every ticket that is posted, whatever it answers, and finds it again.
async fn desk(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Server {
    let tickets: Mutex<Vec<Json>> = Mutex::default();
    Server::start(move |asked, before| {
        let mut tickets = tickets.lock().expect("no panic");
        if asked.method == "POST" {
            tickets.push(json(&asked.body));
            return answer(asked, before);
        }
        let (path, query) = asked.target.split_once('?').expect("what is looked for");
        if path == "/api/now/table/incident" {
            let key = query
                .strip_prefix("sysparm_query=correlation_id%3D")
                .and_then(|rest| rest.strip_suffix("&sysparm_limit=1&sysparm_fields=sys_id%2Ccorrelation_id"))
                .expect("a key");
            let found: Vec<&Json> = tickets.iter().filter(|ticket| ticket["correlation_id"] == key).collect();
            return Reply::ok(serde_json::json!({ "result": found }).to_string());
        }
        assert_eq!(path, "/rest/api/3/search/jql");
        let label = query
            .strip_prefix("jql=labels%3D%22")
            .and_then(|rest| rest.strip_suffix("%22&maxResults=1&fields=key"))
            .expect("a label");
        let has_label = |ticket: &&Json| {
            ticket["fields"]["labels"].as_array().is_some_and(|labels| labels.iter().any(|one| one == label))
        };
        let found: Vec<Json> =
            tickets.iter().filter(has_label).map(|_| serde_json::json!({ "key": "FIN-1" })).collect();
        Reply::ok(serde_json::json!({ "issues": found, "isLast": true }).to_string())
    })
    .await
}

const FIN: [(&str, &str); 2] = [("kind", "jira"), ("options", r#"{"project": "FIN"}"#)];
/// After the pause of a first failure: a minute, and a second at most.
const SECOND_ATTEMPT: TimeDelta = TimeDelta::seconds(61);

fn methods(server: &Server) -> Vec<String> {
    server.asked().into_iter().map(|asked| asked.method).collect()
}

#[tokio::test]
async fn a_ticket_whose_answer_was_lost_is_not_made_again() {
    let house = House::new().await;
    let server = desk(|_, _| Reply::silence()).await;
    let rule = ("rule", "anomalies");
    house.target("jira", &server.url("/rest/api/3/issue"), &[rule, FIN[0], FIN[1]]).await;
    house.target("now", &server.url("/api/now/table/incident"), &[rule, SERVICENOW]).await;
    let round = house.round().await;
    let silent = ["north/jira: it did not answer in time", "north/now: it did not answer in time"];
    assert_eq!((round.sent, round.postponed), (0, silent.map(str::to_owned).to_vec()));
    assert_eq!(house.later(SECOND_ATTEMPT).await.sent, 2);
    assert_eq!(methods(&server), ["POST", "POST", "GET", "GET"]);
    let asked = server.asked();
    let key = |asked: &Asked| asked.headers["idempotency-key"].clone();
    let [issue, incident] = [&asked[0], &asked[1]];
    assert_eq!(json(&incident.body)["correlation_id"], key(incident));
    assert_eq!(json(&incident.body)["correlation_display"], "Ratehouse");
    assert_eq!(json(&issue.body)["fields"]["labels"][1], format!("ratehouse-{}", key(issue)));
    let deliveries = "select target_id, state, attempts, delivery_key from ops.alert_deliveries order by 1";
    assert_eq!(
        rows(&house.fixture.admin(), deliveries).await,
        [format!("jira|sent|2|{}", key(issue)), format!("now|sent|2|{}", key(incident))]
    );
}

#[tokio::test]
async fn a_ticket_that_was_not_made_is_made_later() {
    let house = House::new().await;
    // What answers 503 has kept nothing. A table without the column that is asked for answers with any row.
    let server = Server::start(|asked, before| match (asked.method.as_str(), before) {
        ("POST", 0) => Reply::new(503, ""),
        ("POST", _) => Reply::new(201, "{}"),
        _ => Reply::ok(r#"{"result": [{"sys_id": "9", "correlation_id": ""}]}"#),
    })
    .await;
    house.target("now", &server.url("/api/now/table/incident"), &[("rule", "anomalies"), SERVICENOW]).await;
    assert_eq!(house.round().await.postponed, ["north/now: it answered 503 Service Unavailable"]);
    assert_eq!(house.later(SECOND_ATTEMPT).await.sent, 1);
    assert_eq!(methods(&server), ["POST", "GET", "POST"]);
}

#[tokio::test]
async fn who_may_not_search_is_sent_the_ticket_again() {
    for refusal in [403, 404] {
        let house = House::new().await;
        let server = Server::start(move |asked, before| match (asked.method.as_str(), before) {
            ("POST", 0) => Reply::new(502, ""),
            ("POST", _) => Reply::new(201, "{}"),
            _ => Reply::new(refusal, ""),
        })
        .await;
        house.target("jira", &server.url("/rest/api/3/issue"), &[("rule", "anomalies"), FIN[0], FIN[1]]).await;
        assert_eq!(house.round().await.postponed, ["north/jira: it answered 502 Bad Gateway"]);
        assert_eq!(house.later(SECOND_ATTEMPT).await.sent, 1);
        assert_eq!(methods(&server), ["POST", "GET", "POST"]);
        let asked = server.asked();
        assert_eq!(
            (&asked[0].body, &asked[0].headers["idempotency-key"]),
            (&asked[2].body, &asked[2].headers["idempotency-key"])
        );
    }
}

#[tokio::test]
async fn a_search_that_fails_is_an_attempt_that_fails() {
    let house = House::new().await;
    let key = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&key);
    let server = Server::start(move |asked, before| match (asked.method.as_str(), before) {
        ("POST", _) => {
            kept.lock().expect("no panic").clone_from(&asked.headers["idempotency-key"]);
            Reply::new(504, "")
        }
        (_, 0) => Reply::new(503, ""),
        (_, 1) => Reply::ok("<html>"),
        _ => Reply::ok(format!(r#"{{"result": [{{"correlation_id": "{}"}}]}}"#, kept.lock().expect("no panic"))),
    })
    .await;
    house.target("now", &server.url("/api/now/table/incident"), &[("rule", "anomalies"), SERVICENOW]).await;
    assert_eq!(house.round().await.postponed, ["north/now: it answered 504 Gateway Timeout"]);
    assert_eq!(house.later(SECOND_ATTEMPT).await.postponed, ["north/now: it answered 503 Service Unavailable"]);
    // Two minutes, then four, and a second more at most.
    assert_eq!(house.later(TimeDelta::seconds(121)).await.postponed, ["north/now: it answered with broken JSON"]);
    assert_eq!(house.later(TimeDelta::seconds(241)).await.sent, 1);
    assert_eq!(methods(&server), ["POST", "GET", "GET", "GET"]);
}

#[tokio::test]
async fn a_digest_that_is_tried_again_is_the_same_digest() {
    let house = House::new().await;
    let server = desk(|_, before| if before == 0 { Reply::silence() } else { Reply::new(201, "{}") }).await;
    let three = [
        "north,one,,month,3500,actual,notify,USD,2025-09-01",
        "north,two,acme,month,3400,actual,notify,USD,2025-09-01",
        "north,three,acme,month,3600,actual,notify,USD,2025-09-01",
    ];
    budgets(&house.fixture, &three[..2]).await;
    let morning = [("rule", "budget_status"), SERVICENOW, ("digest_at", "07:30")];
    house.target("now", &server.url("/api/now/table/incident"), &morning).await;
    assert_eq!(house.round().await.sent, 0);
    let round = house.later(TimeDelta::minutes(11 * 60 + 30)).await;
    assert_eq!(round.postponed, ["north/now: it did not answer in time"]);
    // While these wait another comes. A day later both are due: the two are found, and the other goes by itself.
    budgets(&house.fixture, &three[2..]).await;
    assert_eq!(house.later(TimeDelta::seconds(30)).await, Round { raised: 1, ..Round::default() });
    assert_eq!(house.later(TimeDelta::days(1)).await.sent, 3);
    assert_eq!(methods(&server), ["POST", "GET", "POST"]);
    let asked = server.asked();
    let [first, second] = [json(&asked[0].body), json(&asked[2].body)];
    // 16 days of 110 and one of 330; 14 more of 110. On the 30th it will be 3,520.
    let day = |day| format!("2090 of 3500 USD spent, 3630 forecast, used up on 2025-10-{day}");
    assert_eq!(first["short_description"], format!("2 alerts: budget one from 2025-10-01: {}", day(30)));
    let third = day(31).replace("3500", "3600");
    assert_eq!(second["short_description"], format!("budget three from 2025-10-01: {third}"));
    assert_ne!(first["correlation_id"], second["correlation_id"]);
    let deliveries = "select state, attempts, count(*), count(distinct delivery_key) from ops.alert_deliveries group by 1, 2 order by 2";
    assert_eq!(rows(&house.fixture.admin(), deliveries).await, ["sent|1|1|1", "sent|2|2|1"]);
}
