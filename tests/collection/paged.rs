//! Paged APIs: throttled, cut off, repeated, paused, killed.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use ratehouse::collect::{Outcome, Which};

use super::House;
use super::server::{Reply, Server};
use crate::fixture::{Line, focus, rows};

pub(super) const CSV: (&str, &str) = ("options", r#"{"format": "csv", "next": "link_header"}"#);

/// A page of one line, and the one after it.
pub(super) fn page(account: &str, cost: &str, next: Option<&str>) -> Reply {
    let reply = Reply::ok(focus(&[Line::usage(account, cost)]));
    match next {
        Some(next) => reply.with("Link", &format!("<{next}>; rel=\"next\"")),
        None => reply,
    }
}

async fn total(house: &House) -> Vec<String> {
    rows(&house.fixture.admin(), "select sum(billed_cost) from usage").await
}

#[tokio::test]
async fn pages_come_together_whatever_the_provider_does() {
    let house = House::new().await;
    let server = Server::start(|asked, before| match (asked.target.as_str(), before) {
        ("/usage", 0) => Reply::new(429, "").with("Retry-After", "30"),
        ("/usage", 1) => Reply::new(500, ""),
        ("/usage", _) => page("a-acme", "1", Some("/usage?page=2")),
        ("/usage?page=2", 0) => page("a-bolt", "20", Some("/usage?page=3")).cut(40),
        ("/usage?page=2", _) => page("a-bolt", "20", Some("/usage?page=3")),
        // The page before once more, under another address.
        ("/usage?page=3", _) => page("a-bolt", "20", Some("/usage?page=4")),
        ("/usage?page=4", _) => page("a-core", "300", None),
        _ => Reply::new(404, ""),
    })
    .await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    let before = house.clock.waited();
    assert_eq!(house.done("api").await.landed.len(), 1);
    assert_eq!(total(&house).await, ["321"]);
    assert_eq!(server.asked().len(), 7);
    assert_eq!(house.clock.waited()[before.len()].as_secs(), 30, "Retry-After is kept");
    // The next look asks anew; the same content lands nothing.
    let report = house.done("api").await;
    assert!(matches!(report.landed.as_slice(), [ratehouse::warehouse::Landed::Known { .. }]), "{report:?}");
}

#[tokio::test]
async fn pages_in_a_circle_are_refused_and_nothing_lands() {
    let house = House::new().await;
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/usage" => page("a-acme", "1", Some("/usage?page=2")),
        _ => page("a-bolt", "20", Some("/usage")),
    })
    .await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    let outcome = house.collect(Which::Named("api")).await.remove(0).outcome;
    assert!(matches!(&outcome, Outcome::Failed { error } if error.contains("go round in a circle")), "{outcome:?}");
    assert_eq!(rows(&house.fixture.admin(), "select count(*) from ops.deliveries").await, ["0"]);
}

#[tokio::test]
async fn a_source_that_must_wait_long_pauses_and_goes_on_from_there() {
    let house = House::new().await;
    let server = Server::start(|asked, before| match (asked.target.as_str(), before) {
        ("/usage", _) => page("a-acme", "1", Some("/usage?page=2")),
        (_, 0) => Reply::new(503, "").with("Retry-After", "600"),
        _ => page("a-bolt", "20", None),
    })
    .await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    let outcome = house.collect(Which::Due).await.remove(0).outcome;
    assert!(matches!(&outcome, Outcome::Paused { reason } if reason.contains("answered 503")), "{outcome:?}");
    let state = "select state, failures from ops.freshness where source = 'api'";
    assert_eq!(rows(&house.fixture.admin(), state).await, ["paused|0"]);
    // Not even one who asks for it by name is heard before.
    assert!(matches!(house.collect(Which::Named("api")).await.remove(0).outcome, Outcome::Paused { .. }));
    house.clock.advance(TimeDelta::seconds(599));
    assert!(house.collect(Which::Due).await.is_empty());
    house.clock.advance(TimeDelta::seconds(1));
    assert_eq!(house.collect(Which::Due).await.len(), 1);
    assert_eq!(total(&house).await, ["21"]);
    assert_eq!(server.targets(), ["/usage", "/usage?page=2", "/usage?page=2"]);
}

#[tokio::test]
async fn a_crawl_whose_answers_are_gone_begins_anew() {
    let house = House::new().await;
    let server = Server::start(|asked, before| match (asked.target.as_str(), before) {
        ("/usage", _) => page("a-acme", "1", Some("/usage?page=2")),
        (_, 0) => Reply::new(403, ""),
        _ => page("a-bolt", "20", None),
    })
    .await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    assert!(matches!(house.collect(Which::Due).await.remove(0).outcome, Outcome::Failed { .. }));
    // As in a backup that was restored.
    std::fs::remove_dir_all(house.fixture.path().join("collected/api")).expect("the answers were kept");
    assert_eq!(house.done("api").await.landed.len(), 1);
    assert_eq!(total(&house).await, ["21"]);
    assert_eq!(server.targets(), ["/usage", "/usage?page=2", "/usage", "/usage?page=2"]);
}

#[tokio::test]
async fn an_account_has_its_calls_and_no_more() {
    let house = House::new().await;
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/usage" => page("a-acme", "1", Some("/usage?page=2")),
        _ => page("a-bolt", "20", None),
    })
    .await;
    // Of five an hour one is at once, then four an hour: the second is 15 minutes later.
    house.source("api", "json_api", &server.url("/usage"), &[CSV, ("requests_per_hour", "5")]).await;
    let outcome = house.collect(Which::Due).await.remove(0).outcome;
    assert!(matches!(&outcome, Outcome::Paused { reason } if reason.contains("the 5 calls an hour")), "{outcome:?}");
    house.clock.advance(TimeDelta::minutes(15) - TimeDelta::seconds(1));
    assert!(house.collect(Which::Due).await.is_empty());
    house.clock.advance(TimeDelta::seconds(1));
    assert!(matches!(&house.collect(Which::Due).await[0].outcome, Outcome::Done(report) if report.landed.len() == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_crawl_goes_on_where_it_was() {
    let house = House::new().await;
    let reached = Arc::new(tokio::sync::Notify::new());
    let (notify, is_first) = (Arc::clone(&reached), AtomicBool::new(true));
    let server = Server::start(move |asked, _| match asked.target.as_str() {
        "/usage" => page("a-acme", "1", Some("/usage?page=2")),
        _ if is_first.swap(false, Ordering::SeqCst) => {
            notify.notify_one();
            Reply::silence()
        }
        _ => page("a-bolt", "20", None),
    })
    .await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_ratehouse"))
        .args(["collect", house.fixture.path().to_str().expect("a text"), "api"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program runs");
    reached.notified().await;
    let other = house.collector().collect(Which::Due).await.expect_err("one at a time");
    assert!(other.to_string().contains("another collection is at work"), "{other}");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert_eq!(house.done("api").await.landed.len(), 1);
    assert_eq!(total(&house).await, ["21"]);
    assert_eq!(server.targets(), ["/usage", "/usage?page=2", "/usage?page=2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_collection_of_serve_stops_in_the_middle_and_leaves_the_queue() {
    let house = House::new().await;
    let reached = Arc::new(tokio::sync::Notify::new());
    let (notify, is_first) = (Arc::clone(&reached), AtomicBool::new(true));
    let server = Server::start(move |asked, _| match asked.target.as_str() {
        "/usage" => page("a-acme", "1", Some("/usage?page=2")),
        _ if is_first.swap(false, Ordering::SeqCst) => {
            notify.notify_one();
            Reply::silence()
        }
        _ => page("a-bolt", "20", None),
    })
    .await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(ratehouse::collect::run(house.collector(), stop.clone()));
    reached.notified().await;
    stop.cancel();
    running.await.expect("it ends");
    assert_eq!(house.done("api").await.landed.len(), 1);
    assert_eq!(total(&house).await, ["21"]);
    assert_eq!(server.targets(), ["/usage", "/usage?page=2", "/usage?page=2"]);
}

#[tokio::test]
async fn items_of_json_pages_are_kept_to_the_last_digit() {
    let house = House::new().await;
    let server = Server::start(|asked, before| {
        let body: serde_json::Value = serde_json::from_str(&asked.body).expect("a body");
        match (body["token"].as_str(), before) {
            (None, 0) => Reply::ok("{\"data\": {\"rows\": [{\"cost\": 0.1"),
            (None, _) => Reply::ok(
                "{\"data\": {\"rows\": [{\"cost\": 0.12345678901234567890},\n {\"cost\": 1e-9}]}, \"token\": \"t2\"}",
            ),
            _ => Reply::ok("{\"data\": {\"rows\": [{\"cost\": -3.10}]}, \"token\": null}"),
        }
    })
    .await;
    let options = r#"{"items": "/data/rows", "next": {"body_token": {"at": "/token", "field": "token"}}, "body": {"month": "{period}"}, "periods": 1}"#;
    house.source("api", "json_api", &server.url("/query"), &[("options", options)]).await;
    let outcome = house.collect(Which::Named("api")).await.remove(0).outcome;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let path = house.fixture.path().join("collected/api/delivery/rows.jsonl.gz");
    assert_eq!(super::unzipped(&path), "{\"cost\": 0.12345678901234567890}\n{\"cost\": 1e-9}\n{\"cost\": -3.10}\n");
    // Broken JSON was asked for again.
    assert_eq!(server.asked().len(), 3);
    assert!(server.asked().iter().all(|asked| asked.method == "POST" && asked.body.contains("\"month\":\"20")));
}
