//! Alerts: what is new is told once, whatever receivers do; what people answer is learned.

#[path = "alerts/tickets.rs"]
mod tickets;

use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate, TimeDelta};
use ratehouse::alerts::{Alerter, Round};
use serde_json::{Value as Json, json};

use crate::collection::clock::ManualClock;
use crate::collection::server::{Reply, Server};
use crate::fixture::{Fixture, Line, copy, refused, rows, run};
use crate::forecasts::{DAYS, Daily, budgets, land};

/// What acme costs its distributor: 100 a day, 300 on the 15th, and something on the last day but one.
fn acme(day_before_last: &str) -> Daily {
    let mut costs: Vec<String> = (0..DAYS).map(|_| "100".to_owned()).collect();
    costs[197] = "300".to_owned();
    costs[198] = day_before_last.to_owned();
    Daily { account: "a-acme", costs }
}

const SERVICENOW: (&str, &str) = ("kind", "servicenow");

struct House {
    fixture: Fixture,
    clock: Arc<ManualClock>,
    alerter: Alerter,
}

impl House {
    /// A day of acme's costs north 110 up to 17 October 2025, and 330 on the 15th. It is an evening in January.
    async fn new() -> Self {
        let house = Self::without_usage().await;
        land(&house.fixture, &[acme("100")]).await;
        house
    }

    async fn without_usage() -> Self {
        let fixture = Fixture::chain().await;
        let clock = Arc::new(ManualClock::at("2026-01-10T20:00:00Z"));
        let alerter = Alerter::new(&fixture.warehouse).with_clock(Arc::<ManualClock>::clone(&clock));
        Self { fixture, clock, alerter: alerter.with_answer_max(Duration::from_millis(300)) }
    }

    /// A target of north's; `more` are further columns and their values.
    async fn target(&self, name: &str, url: &str, more: &[(&str, &str)]) {
        let columns: String = more.iter().map(|(column, _)| format!(", {column}")).collect();
        let values: String = more.iter().map(|(_, value)| format!(", '{value}'")).collect();
        let insert = format!(
            "insert into ref.alert_targets (owner_node_id, target_id, url{columns}) values ('north', '{name}', '{url}'{values})"
        );
        run(&self.fixture.admin(), &insert).await;
    }

    async fn round(&self) -> Round {
        self.alerter.round().await.expect("a round")
    }

    async fn later(&self, time: TimeDelta) -> Round {
        self.clock.advance(time);
        self.round().await
    }
}

fn json(body: &str) -> Json {
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test]
async fn an_anomaly_is_told_once_whatever_the_receiver_does() {
    let house = House::new().await;
    let server = Server::start(|_, before| match before {
        0 => Reply::new(500, ""),
        1 => Reply::new(429, "").with("Retry-After", "600"),
        2 => Reply::silence(),
        _ => Reply::ok(""),
    })
    .await;
    house.target("hook", &server.url("/hook/1"), &[("rule", "anomalies")]).await;
    let failed = |reason: &str| vec![format!("north/hook: {reason}")];
    let round = house.round().await;
    assert_eq!((round.sent, round.postponed), (0, failed("it answered 500 Internal Server Error")));
    // Not before its time: a minute and a second at most after the first failure.
    assert_eq!(house.later(TimeDelta::seconds(59)).await, Round::default());
    let round = house.later(TimeDelta::seconds(2)).await;
    assert_eq!(round.postponed, failed("it answered 429 Too Many Requests"));
    assert_eq!(house.later(TimeDelta::seconds(599)).await, Round::default());
    assert_eq!(house.later(TimeDelta::seconds(1)).await.postponed, failed("it did not answer in time"));
    let round = house.later(TimeDelta::minutes(5)).await;
    assert_eq!((round.sent, round.postponed.len()), (1, 0));
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    // Four times the same: whoever got it twice can tell.
    assert!(
        asked
            .iter()
            .all(|one| one.body == asked[0].body
                && one.headers["idempotency-key"] == asked[0].headers["idempotency-key"])
    );
    let body = json(&asked[0].body);
    let alert = &body["alerts"][0];
    assert_eq!(body["alerts"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&alert["alert"], &alert["rule"], &alert["severity"]),
        (&"north/1".into(), &"anomalies".into(), &"critical".into())
    );
    let facts = &alert["facts"];
    for (name, value) in [
        ("node_id", "acme"),
        ("service_name", "Machines"),
        ("anomaly_start", "2025-10-15"),
        ("anomaly_end", "2025-10-15"),
        ("kind", "spike"),
        ("expected", "110"),
        ("actual", "330"),
        ("impact", "220"),
        ("impact_pct", "200"),
    ] {
        assert_eq!(facts[name], value, "{name} in {facts}");
    }
    assert_eq!((&facts["drivers"][0]["sku_id"], &facts["drivers"][0]["impact"]), (&"M1".into(), &"220".into()));
    let shown = "select alert, rule, severity, state from ops.alerts where rule = 'anomalies'";
    assert_eq!(rows(&house.fixture.session("finance@north"), shown).await, ["north/1|anomalies|critical|open"]);
    assert!(rows(&house.fixture.session("portal@acme"), shown).await.is_empty());
    let deliveries = "select target_id, alert, state, attempts, last_error from ops.alert_deliveries";
    assert_eq!(rows(&house.fixture.admin(), deliveries).await, ["hook|north/1|sent|4|null"]);
    // Another state of the warehouse and another day: it is the same anomaly.
    let core = Daily { account: "a-core", costs: (0..DAYS).map(|_| "1".to_owned()).collect() };
    land(&house.fixture, &[acme("100"), core]).await;
    house.later(TimeDelta::days(1)).await;
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn warnings_wait_for_the_morning_and_what_is_critical_does_not() {
    let house = House::new().await;
    let server = Server::start(|_, _| Reply::ok("")).await;
    budgets(
        &house.fixture,
        &[
            "north,one,,month,3500,actual,notify,USD,2025-09-01",
            "north,two,acme,month,3400,actual,notify,USD,2025-09-01",
        ],
    )
    .await;
    house
        .target(
            "quiet",
            &server.url("/quiet"),
            &[("quiet_from", "18:00"), ("quiet_to", "07:00"), ("rule", "budget_status")],
        )
        .await;
    house.target("digest", &server.url("/digest"), &[("digest_at", "07:30"), ("time_zone", "Europe/Berlin")]).await;
    house
        .target("critical", &server.url("/critical"), &[("min_severity", "critical"), ("rule", "budget_status")])
        .await;
    house.round().await;
    // What is critical in the digest: the anomaly, and the 15th of the node as a whole and of its service.
    let critical = server.targets().iter().filter(|target| *target == "/digest").count();
    assert_eq!((server.targets().len(), critical), (3, 3));
    // 07:30 in Berlin is 06:30 UTC; until 07:00 UTC it is quiet for the other.
    house.later(TimeDelta::hours(10) + TimeDelta::minutes(29)).await;
    assert_eq!(server.targets().len(), 3);
    house.later(TimeDelta::minutes(1)).await;
    assert_eq!(server.targets()[3..], ["/digest"]);
    let digest = json(&server.asked()[3].body);
    let severities: Vec<&str> =
        digest["alerts"].as_array().expect("alerts").iter().filter_map(|alert| alert["severity"].as_str()).collect();
    // The month to date and two budgets.
    assert_eq!(severities, ["warning"; 3]);
    house.later(TimeDelta::minutes(30)).await;
    assert_eq!(server.targets()[4..], ["/quiet", "/quiet"]);
    let budget = json(&server.asked()[4].body)["alerts"][0].clone();
    // 16 days of 110 and one of 330; 14 more of 110.
    assert_eq!(
        budget["summary"],
        "budget one from 2025-10-01: 2090 of 3500 USD spent, 3630 forecast, used up on 2025-10-30"
    );
    assert_eq!(budget["facts"]["status"], "forecast_over");
}

#[tokio::test]
async fn a_warning_that_becomes_critical_is_told_again() {
    let house = House::new().await;
    let server = Server::start(|_, _| Reply::ok("")).await;
    budgets(&house.fixture, &["north,one,,month,3500,actual,stop,USD,2025-09-01"]).await;
    house.target("hook", &server.url("/hook"), &[("rule", "budget_status")]).await;
    assert_eq!(house.round().await.sent, 1);
    land(&house.fixture, &[acme("2000")]).await;
    assert_eq!(house.later(TimeDelta::minutes(1)).await.sent, 1);
    let told: Vec<Json> = server.asked().iter().map(|asked| json(&asked.body)["alerts"][0].clone()).collect();
    let (first, second) = (&told[0], &told[1]);
    assert_eq!((&first["alert"], &first["severity"]), (&second["alert"], &"warning".into()));
    assert_eq!((&second["severity"], &second["facts"]["action_due"]), (&"critical".into(), &"stop".into()));
    let keys: Vec<String> = server.asked().iter().map(|asked| asked.headers["idempotency-key"].clone()).collect();
    assert_ne!(keys[0], keys[1]);
    assert_eq!(house.later(TimeDelta::days(1)).await.sent, 0);
}

#[tokio::test]
async fn tickets_have_the_fields_of_their_systems() {
    let house = House::new().await;
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/gone" => Reply::new(404, ""),
        "/moved" => Reply::new(302, "").with("Location", "/elsewhere"),
        _ => Reply::new(201, "{}"),
    })
    .await;
    let secret = house.fixture.file("secret", "bot:p:ss\n");
    let credential = format!("file:{}", secret.display());
    let (now, jira) = (server.url("/api/now/table/incident"), server.url("/rest/api/3/issue"));
    let rule = ("rule", "anomalies");
    let fields = r#"{"fields": {"assignment_group": "FinOps"}}"#;
    house.target("now", &now, &[rule, ("kind", "servicenow"), ("credential", &credential), ("options", fields)]).await;
    let project = r#"{"project": "FIN", "issue_type": "Bug"}"#;
    let basic = ("credential_as", "basic");
    house
        .target("jira", &jira, &[rule, ("kind", "jira"), ("credential", &credential), basic, ("options", project)])
        .await;
    house.target("gone", &server.url("/gone"), &[rule]).await;
    house.target("moved", &server.url("/moved"), &[rule]).await;
    let round = house.round().await;
    assert_eq!(round.sent, 2);
    assert_eq!(round.failed, ["north/gone: it answered 404 Not Found", "north/moved: it answered 302 Found"]);
    // What is given up is not tried again.
    assert_eq!(house.later(TimeDelta::days(1)).await, Round::default());
    let asked = |target: &str| server.asked().into_iter().find(|asked| asked.target == target).expect("it was asked");
    let incident = asked("/api/now/table/incident");
    assert_eq!(incident.headers["authorization"], "Bearer bot:p:ss");
    let row = json(&incident.body);
    let title = "Machines of acme: 330 USD instead of 110 since 2025-10-15";
    for (field, value) in
        [("short_description", title), ("urgency", "1"), ("impact", "1"), ("assignment_group", "FinOps")]
    {
        assert_eq!(row[field], value, "{field}");
    }
    assert_eq!(row["correlation_id"], incident.headers["idempotency-key"].as_str());
    let description = row["description"].as_str().expect("a text");
    assert!(description.contains("impact: 220") && description.contains("driven by M1: 220"), "{description}");
    assert!(description.contains("call acknowledge('north/1', 'why')"), "{description}");
    let issue = asked("/rest/api/3/issue");
    // bot:p:ss in base64.
    assert_eq!(issue.headers["authorization"], "Basic Ym90OnA6c3M=");
    let fields = &json(&issue.body)["fields"];
    assert_eq!((&fields["project"]["key"], &fields["issuetype"]["name"]), (&"FIN".into(), &"Bug".into()));
    assert_eq!(fields["summary"], title);
    assert_eq!((&fields["description"]["type"], &fields["description"]["version"]), (&"doc".into(), &1.into()));
}

/// A day's use of a resource.
struct Used {
    account: &'static str,
    day: NaiveDate,
    resource: String,
    tags: &'static str,
    cost: u64,
}

async fn land_used(fixture: &Fixture, used: &[Used]) {
    let instant = |day: NaiveDate| format!("{day}T00:00:00Z");
    let texts: Vec<[String; 4]> = used
        .iter()
        .map(|Used { day, cost, .. }| {
            [day.format("%Y-%m").to_string(), instant(*day), instant(*day + Days::new(1)), cost.to_string()]
        })
        .collect();
    let lines: Vec<Line<'_>> = texts
        .iter()
        .zip(used)
        .map(|([period, from, to, cost], Used { account, resource, tags, .. })| Line {
            period,
            from,
            to,
            resource,
            tags,
            ..Line::usage(account, cost)
        })
        .collect();
    fixture.land("used.csv", &lines).await;
}

#[tokio::test]
async fn a_budget_and_a_day_of_new_resources_are_told_with_what_is_behind_them() {
    let house = House::without_usage().await;
    let first = NaiveDate::from_ymd_opt(2025, 9, 1).expect("a day");
    let (bob, ada) = (r#"{"Owner": "bob"}"#, r#"{"owner": "ada"}"#);
    let line = |n: u64, resource: String, tags: &'static str, cost: u64| Used {
        account: "a-acme",
        day: first + Days::new(n),
        resource,
        tags,
        cost,
    };
    // From 1 September to 10 October: 100 a day for base, a new resource a day for 1, and on the last day nine more for 10 to 18.
    let mut used: Vec<Used> =
        (0..40).flat_map(|n| [line(n, "base".to_owned(), bob, 100), line(n, format!("r{n}"), "", 1)]).collect();
    used.extend((0..9).map(|n| line(39, format!("burst{n}"), if n == 7 { ada } else { "" }, 10 + n)));
    // What north uses itself is not in acme's budget.
    used.extend((0..40).map(|n| Used { account: "a-north", ..line(n, "router".to_owned(), "", 5000) }));
    land_used(&house.fixture, &used).await;
    budgets(&house.fixture, &["north,acme,acme,month,1000,actual,notify,USD,2025-10-01"]).await;
    let server = Server::start(|_, _| Reply::new(201, "{}")).await;
    house.target("budget", &server.url("/budget"), &[("rule", "budget_status")]).await;
    house.target("new", &server.url("/new"), &[("rule", "deployment_velocity")]).await;
    house.target("now", &server.url("/api/now/table/incident"), &[("rule", "deployment_velocity"), SERVICENOW]).await;
    assert_eq!(house.round().await.sent, 3);
    let asked = server.asked();
    let of = |target: &str| json(&asked.iter().find(|asked| asked.target == target).expect("it was asked").body);
    let behind = |resource: &str, owner: Option<&str>, cost: &str| {
        let service = "Machines";
        json!({ "service_name": service, "resource_id": resource, "owner": owner, "cost": cost })
    };

    // Everything costs north a tenth more. Ten days of October: 10 x (100 + 1), and 10 to 18 make 126: 1.1 x 1136.
    let budget = &of("/budget")["alerts"][0]["facts"];
    assert_eq!(
        (&budget["amount"], &budget["actual"], &budget["status"]),
        (&"1000".into(), &"1249.6".into(), &"over".into())
    );
    assert_eq!(budget["owner"], "bob");
    let most = [
        behind("base", Some("bob"), "1100"),
        behind("burst8", None, "19.8"),
        behind("burst7", Some("ada"), "18.7"),
        behind("burst6", None, "17.6"),
        behind("burst5", None, "16.5"),
    ];
    assert_eq!(budget["drivers"], Json::from(most.to_vec()));

    // Nine and r39; base is not new. One a day is usual.
    let new = &of("/new")["alerts"][0]["facts"];
    assert_eq!(
        (&new["charge_date"], &new["new_resources"], &new["usual"]),
        (&"2025-10-10".into(), &"10".into(), &"1".into())
    );
    assert_eq!(new["owner"], "ada");
    let dearest = [&most[1..], &[behind("burst4", None, "15.4")]].concat();
    assert_eq!(new["drivers"], Json::from(dearest));
    let incident = of("/api/now/table/incident");
    let description = incident["description"].as_str().expect("a text");
    assert!(description.contains("usual: 1\n") && description.contains("owner: ada\n"), "{description}");
    assert!(description.contains("driven by Machines, burst7, ada: 18.7"), "{description}");
}

#[tokio::test]
async fn who_says_that_an_anomaly_was_expected_is_believed() {
    let house = House::new().await;
    let server = Server::start(|_, _| Reply::ok("")).await;
    house.target("hook", &server.url("/hook"), &[]).await;
    house.round().await;
    // A node's day is driven by what drove the anomalies of its services.
    let mut told = server.asked().into_iter().map(|asked| json(&asked.body)["alerts"][0].clone());
    let day = told
        .find(|alert| {
            let facts = &alert["facts"];
            alert["rule"] == "spend_over_forecast" && facts["level"] == "node" && facts["charge_date"] == "2025-10-15"
        })
        .expect("its spend is told");
    let drivers = &day["facts"]["drivers"];
    assert_eq!((&drivers[0]["sku_id"], &drivers[0]["impact"]), (&"M1".into(), &"220".into()), "{day}");
    let finance = house.fixture.session("finance@north");
    let anomalies = "select anomaly_start, impact from anomalies";
    assert_eq!(rows(&finance, anomalies).await, ["2025-10-15|220"]);
    assert_eq!(refused(&finance, "call acknowledge('north/1', ' ')").await.sqlstate, "22023");
    for login in ["finance@south", "portal@acme"] {
        let error = refused(&house.fixture.session(login), "call acknowledge('north/1', 'mine')").await;
        assert!(["42704", "42501"].contains(&error.sqlstate), "{login}: {error}");
    }
    run(&finance, "call acknowledge('north/1', 'Ada looks')").await;
    let state = "select state, answered_by, justification from ops.alerts where alert = 'north/1'";
    assert_eq!(rows(&finance, state).await, ["acknowledged|finance@north|Ada looks"]);
    // An alert that is no anomaly teaches nothing.
    let other = rows(&finance, "select min(alert) from ops.alerts where rule = 'spend_over_forecast'").await;
    assert_eq!(refused(&finance, &format!("call expect('{}', 'sale')", other[0])).await.sqlstate, "55000");

    run(&finance, "call expect('north/1', 'the sale')").await;
    assert_eq!(rows(&finance, state).await, ["expected|finance@north|the sale"]);
    let plan = "select plan_id, node_id, service_name, change_type, value, recurrence, cast(valid_from as date), cast(valid_to as date), note from ref.planned_changes";
    assert_eq!(rows(&finance, plan).await, ["alert-1|acme|Machines|amount|220|monthly|2025-10-15|2025-10-16|the sale"]);
    assert!(rows(&finance, anomalies).await.is_empty());
    // Said again, there is still one plan.
    run(&finance, "call expect('north/1', 'the big sale')").await;
    assert_eq!(rows(&finance, "select note from ref.planned_changes").await, ["the big sale"]);
    let verified = house.fixture.warehouse.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new());
}

#[tokio::test]
async fn targets_that_cannot_work_are_refused() {
    let fixture = Fixture::chain().await;
    let header = "owner_node_id,target_id,kind,url,credential,rule,quiet_from,quiet_to,digest_at,time_zone,options";
    for (row, wrong) in [
        ("north,t,pager,https://a.example,,,,,,UTC,", "kind must be one of"),
        ("north,t,webhook,http://a.example,,,,,,UTC,", "https://"),
        ("north,t,webhook,https://a.example/?token=x,,,,,,UTC,", "looks like a secret"),
        ("north,t,webhook,https://a.example,hunter2,,,,,UTC,", "never the secret itself"),
        ("north,t,webhook,https://a.example,,everything,,,,UTC,", "rule must be one of anomalies"),
        ("north,t,webhook,https://a.example,,,22:00,,,UTC,", "go together"),
        ("north,t,webhook,https://a.example,,,,,7 am,UTC,", "digest_at must be a time of day"),
        ("north,t,webhook,https://a.example,,,,,,Mars,", "IANA"),
        ("north,t,jira,https://a.example,,,,,,UTC,", "name the project"),
        ("nobody,t,webhook,https://a.example,,,,,,UTC,", "nobody"),
    ] {
        let error = copy(&fixture.admin(), "alert_targets", &format!("{header}\n{row}\n")).await.expect_err(row);
        assert!(
            error.message.contains(wrong) || error.detail.as_deref().is_some_and(|d| d.contains(wrong)),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    // Secrets of the server's process are the root's to use.
    let admin = fixture.session("admin@north");
    assert_eq!(refused(&admin, "select * from ref.alert_targets").await.sqlstate, "42P01");
}
