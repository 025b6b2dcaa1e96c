//! Partner Center: the crawl of customers, and exports that Microsoft Graph prepares.

use std::io::Write;

use chrono::TimeDelta;
use ratehouse::collect::{Outcome, Which};
use ratehouse::warehouse::Landed;

use super::House;
use super::clock::ManualClock;
use super::server::{Reply, Server};
use crate::fixture::{Fixture, rows};

const SIGNATURE: &str = "sv=2026&sig=SasSecretOfTheStore";

/// A provider of tokens: `t0`, then `t1` ....
fn token(before: usize) -> Reply {
    Reply::ok(format!("{{\"access_token\": \"t{before}\", \"expires_in\": 3600, \"token_type\": \"Bearer\"}}"))
}

/// The secret of an OAuth client, in a file; gives the reference.
fn client(house: &House, tokens: &str) -> String {
    let secret = serde_json::json!({ "token_url": tokens, "client_id": "me", "client_secret": "hunter2" });
    let path = house.fixture.file("partner.json", &secret.to_string());
    format!("file:{}", path.display())
}

fn listed(ids: impl Iterator<Item = String>, next: &str) -> Reply {
    let items: Vec<serde_json::Value> = ids.map(|id| serde_json::json!({ "id": id })).collect();
    let next: serde_json::Value = serde_json::from_str(next).expect("JSON");
    // Partner Center begins its answers with a byte order mark.
    Reply::ok(format!("\u{feff}{}", serde_json::json!({ "items": items, "links": { "next": next } })))
}

/// F4: 200 customers with 5 subscriptions each are 1 + 200 + 1,000 calls.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_customers_with_five_subscriptions_are_1201_calls() {
    let house = House::new().await;
    let server = Server::start(|asked, before| {
        let path = asked.target.split('?').next().unwrap_or_default();
        let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
        match steps.as_slice() {
            ["token"] => token(before),
            ["v1", "customers"] => listed((0..200).map(|n| format!("c{n}")), "null"),
            ["v1", "customers", customer, "subscriptions"] => {
                listed((0..5).map(|n| format!("{customer}-s{n}")), "null")
            }
            ["v1", "customers", _, "subscriptions", subscription, "utilizations", "azure"] => {
                Reply::ok(format!("{{\"items\": [{{\"quantity\": 1.50, \"of\": \"{subscription}\"}}]}}"))
            }
            _ => Reply::new(404, ""),
        }
    })
    .await;
    let credential = client(&house, &server.url("/token"));
    let more = [("credential", credential.as_str()), ("requests_per_hour", "1000000")];
    house.source("partner", "partner_center", &server.url(""), &more).await;
    let outcome = house.collect(Which::Named("partner")).await.remove(0).outcome;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let (tokens, calls): (Vec<_>, Vec<_>) = server.asked().into_iter().partition(|asked| asked.target == "/token");
    assert_eq!((tokens.len(), calls.len()), (1, 1 + 200 + 1_000));
    assert!(calls.iter().all(|call| call.headers.get("authorization").is_some_and(|text| text == "Bearer t0")));
    assert!(
        tokens[0].body.contains("grant_type=client_credentials") && tokens[0].body.contains("client_secret=hunter2")
    );
    let text = super::unzipped(&house.fixture.path().join("collected/partner/delivery/rows.jsonl.gz"));
    assert_eq!(text.lines().count(), 1_000);
    // Usage that was reported since the first of last month.
    let from = calls[calls.len() - 1].target.split(['?', '&']).find_map(|part| part.strip_prefix("start_time="));
    let from = from.expect("a time").replace("%3A", ":");
    assert!(from.ends_with("-01T00:00:00Z"), "{from}");
    let first = format!(
        "{{\"customerId\":\"c0\",\"reportedFrom\":\"{from}\",\"subscriptionId\":\"c0-s0\",\"quantity\": 1.50, \"of\": \"c0-s0\"}}"
    );
    assert_eq!(text.lines().next(), Some(&*first));
}

/// Utilization records as they come: who crawls adds whose they are.
const RECORDS: &str = include_str!("../../data/partner_center/azure_utilization.jsonl");

#[tokio::test]
async fn usage_lands_for_reference_and_what_came_late_of_older_months_does_not() {
    let fixture = Fixture::chain().await;
    let house = House { fixture, clock: ManualClock::at("2025-10-15T12:00:00Z").into() };
    let records: Vec<String> = RECORDS
        .lines()
        .filter_map(|line| Some(format!("{{\"usageStartTime\"{}", line.split_once("\"usageStartTime\"")?.1)))
        .collect();
    let usage = format!("\u{feff}{{\"items\": [{}]}}", records.join(","));
    let server = Server::start(move |asked, before| match asked.target.split('?').next().unwrap_or_default() {
        "/token" => token(before),
        "/v1/customers" => listed(["a".to_owned()].into_iter(), "null"),
        "/v1/customers/a/subscriptions" => listed(["s".to_owned()].into_iter(), "null"),
        _ => Reply::ok(usage.as_str()),
    })
    .await;
    let credential = client(&house, &server.url("/token"));
    house.source("partner", "partner_center", &server.url(""), &[("credential", credential.as_str())]).await;
    let landed = house.done("partner").await.landed;
    // Of seven records one is of August, and one has no number.
    assert!(matches!(landed.as_slice(), [Landed::Landed { rows: 5, rejected_rows: 1, .. }]), "{landed:?}");
    let admin = house.fixture.admin();
    let slices = "select source, role, billing_account_id, billing_period, rows, billed_cost from ops.slices order by billing_period";
    assert_eq!(
        rows(&admin, slices).await,
        ["partner_center_utilization|reference|a|2025-09|1|0", "partner_center_utilization|reference|a|2025-10|4|0"]
    );
    assert_eq!(rows(&admin, "select count(*) from charges").await, ["0"]);
}

#[tokio::test]
async fn pages_follow_their_links_and_a_token_is_renewed_once() {
    let house = House::new().await;
    let next =
        r#"{"uri": "/customers?seekOperation=Next", "headers": [{"key": "MS-ContinuationToken", "value": "abc"}]}"#;
    let server = Server::start(move |asked, before| {
        if asked.target == "/token" {
            return token(before);
        }
        // The first token is not accepted any more.
        if asked.headers.get("authorization").is_none_or(|text| text != "Bearer t1") {
            return Reply::new(401, "");
        }
        let path = asked.target.split('?').next().unwrap_or_default();
        match path {
            "/v1/customers" if asked.target.contains("seekOperation=Next") => {
                assert_eq!(asked.headers.get("ms-continuationtoken").map(String::as_str), Some("abc"));
                listed(["b".to_owned()].into_iter(), "null")
            }
            "/v1/customers" => listed(["a".to_owned()].into_iter(), next),
            _ => listed(std::iter::empty(), "null"),
        }
    })
    .await;
    let credential = client(&house, &server.url("/token"));
    house.source("partner", "partner_center", &server.url(""), &[("credential", credential.as_str())]).await;
    let outcome = house.collect(Which::Named("partner")).await.remove(0).outcome;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let subscriptions: Vec<String> =
        server.targets().into_iter().filter(|target| target.ends_with("/subscriptions")).collect();
    assert_eq!(subscriptions, ["/v1/customers/a/subscriptions", "/v1/customers/b/subscriptions"]);
    assert_eq!(server.targets().iter().filter(|target| *target == "/token").count(), 2);
}

fn zipped(text: &str) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    file.write_all(text.as_bytes()).expect("memory");
    file.finish().expect("memory")
}

#[tokio::test]
async fn an_export_is_asked_for_waited_for_and_fetched() {
    let house = House::new().await;
    // The store of the blobs is another host: it is shown the signature, and never the token.
    let store = Server::start(|asked, before| {
        assert!(!asked.headers.contains_key("authorization"));
        match (asked.target.as_str(), before) {
            ("/c/run/part-0.json.gz?sv=2026&sig=SasSecretOfTheStore", 0) => Reply::ok(&zipped("{\"a\": 1.0}\n")[..10]),
            ("/c/run/part-0.json.gz?sv=2026&sig=SasSecretOfTheStore", _) => Reply::ok(zipped("{\"a\": 1.0}\n")),
            ("/c/run/part-1.json.gz?sv=2026&sig=SasSecretOfTheStore", 0) => {
                Reply::new(503, "").with("Retry-After", "600")
            }
            ("/c/run/part-1.json.gz?sv=2026&sig=SasSecretOfTheStore", _) => Reply::ok(zipped("{\"a\": 2.0}\n")),
            _ => Reply::new(403, ""),
        }
    })
    .await;
    let root = store.url("/c/run");
    let graph = Server::start(move |asked, before| match (asked.method.as_str(), asked.target.as_str(), before) {
        (_, "/token", before) => token(before),
        ("POST", "/v1.0/export", _) => Reply::new(202, "").with("Location", "/v1.0/operations/7"),
        ("GET", "/v1.0/operations/7", 0) => Reply::ok("{\"status\": \"running\"}").with("Retry-After", "5"),
        ("GET", "/v1.0/operations/7", _) => Reply::ok(
            serde_json::json!({ "status": "succeeded", "resourceLocation": {
                "rootDirectory": root, "sasToken": SIGNATURE, "blobCount": 2,
                "blobs": [{ "name": "part-0.json.gz" }, { "name": "part-1.json.gz" }] } })
            .to_string(),
        ),
        _ => Reply::new(404, ""),
    })
    .await;
    let credential = client(&house, &graph.url("/token"));
    let options = r#"{"partner": {"export": {"path": "/v1.0/export", "body": {"currencyCode": "USD"}}}}"#;
    let more = [("credential", credential.as_str()), ("options", options)];
    house.source("graph", "partner_center", &graph.url(""), &more).await;
    let outcome = house.collect(Which::Due).await.remove(0).outcome;
    assert!(matches!(outcome, Outcome::Paused { .. }), "{outcome:?}");
    assert!(house.clock.waited().iter().any(|wait| wait.as_secs() == 5));
    assert!(!super::is_anywhere(house.fixture.path(), "SasSecretOfTheStore"), "the signature was written down");

    house.clock.advance(TimeDelta::seconds(600));
    let outcome = house.collect(Which::Due).await.remove(0).outcome;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let delivery = house.fixture.path().join("collected/graph/delivery");
    assert_eq!(super::unzipped(&delivery.join("part-00000000.jsonl.gz")), "{\"a\": 1.0}\n");
    assert_eq!(super::unzipped(&delivery.join("part-00000001.jsonl.gz")), "{\"a\": 2.0}\n");
    // The export is asked for once, and the blob that was there is not fetched again; the signature is.
    let count = |targets: Vec<String>, of: &str| targets.iter().filter(|target| target.starts_with(of)).count();
    assert_eq!(count(graph.targets(), "/v1.0/export"), 1);
    assert_eq!(count(graph.targets(), "/v1.0/operations/7"), 3);
    assert_eq!(count(store.targets(), "/c/run/part-0"), 2);
    assert_eq!(count(store.targets(), "/c/run/part-1"), 2);
}
