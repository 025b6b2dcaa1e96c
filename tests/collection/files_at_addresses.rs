//! Files at addresses: fetched when they changed, whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ratehouse::collect::{Limits, Outcome, Which};

use super::House;
use super::server::{Reply, Server};
use crate::fixture::{Line, focus, rows};

#[tokio::test]
async fn a_file_is_fetched_only_when_it_changed() {
    let house = House::new().await;
    let version = Arc::new(AtomicUsize::new(1));
    let shared = Arc::clone(&version);
    let server = Server::start(move |asked, _| {
        let now = shared.load(Ordering::SeqCst);
        let etag = format!("\"v{now}\"");
        if asked.headers.get("if-none-match") == Some(&etag) {
            return Reply::new(304, "");
        }
        Reply::ok(focus(&[Line::usage("a-acme", &format!("{now}00"))])).with("ETag", &etag)
    })
    .await;
    house.source("web", "https_files", &server.url("/october.csv"), &[]).await;
    assert_eq!(house.done("web").await.landed.len(), 1);
    let report = house.done("web").await;
    assert_eq!((report.landed.len(), report.unchanged), (0, 1));
    version.store(2, Ordering::SeqCst);
    assert_eq!(house.done("web").await.landed.len(), 1);
    assert_eq!(rows(&house.fixture.admin(), "select sum(billed_cost) from usage").await, ["200"]);
    let conditions: Vec<Option<String>> =
        server.asked().into_iter().map(|asked| asked.headers.get("if-none-match").cloned()).collect();
    assert_eq!(conditions, [None, Some("\"v1\"".to_owned()), Some("\"v1\"".to_owned())]);
}

#[tokio::test]
async fn a_manifest_at_an_address_waits_for_its_parts_and_fetches_none_twice() {
    let house = House::new().await;
    let server = Server::start(|asked, before| match asked.target.as_str() {
        "/x/manifest.json" => Reply::ok(r#"{"files": ["run/p-1.csv", "p-2.csv"]}"#),
        // Keys are paths from the root of what the provider exported; here the file lies beside the manifest.
        "/x/p-1.csv" => Reply::ok(focus(&[Line::usage("a-acme", "100")])),
        "/x/p-2.csv" if before > 0 => Reply::ok(focus(&[Line::usage("a-core", "7")])),
        _ => Reply::new(404, "no such thing"),
    })
    .await;
    house.source("web", "https_files", &server.url("/x/manifest.json"), &[]).await;
    let report = house.done("web").await;
    assert!(
        report.landed.is_empty() && report.waiting[0].contains("names p-2.csv, which is not there yet"),
        "{report:?}"
    );
    assert_eq!(house.done("web").await.landed.len(), 1);
    assert_eq!(rows(&house.fixture.admin(), "select sum(billed_cost) from usage").await, ["107"]);
    assert_eq!(server.targets().iter().filter(|target| *target == "/x/p-1.csv").count(), 1);
}

#[tokio::test]
async fn a_month_that_is_not_there_yet_waits() {
    let house = House::new().await;
    let this_month = chrono::Utc::now().format("/%Y-%m.csv").to_string();
    let server = Server::start(move |asked, _| {
        if asked.target == this_month { Reply::new(404, "") } else { Reply::ok(focus(&[Line::usage("a-acme", "100")])) }
    })
    .await;
    house.source("web", "https_files", &server.url("/{period}.csv"), &[]).await;
    let report = house.done("web").await;
    assert_eq!((report.landed.len(), report.waiting.len()), (1, 1), "{report:?}");
}

#[tokio::test]
async fn what_cannot_be_had_is_said_and_tells_no_secret() {
    let house = House::new().await;
    let secret = house.fixture.file("secret", "hunter2\n");
    let elsewhere = Server::start(|_, _| Reply::ok("stolen")).await;
    let to = elsewhere.url("/x.csv");
    let server = Server::start(move |asked, _| match asked.target.as_str() {
        "/moved.csv" => Reply::new(302, "").with("Location", &to),
        "/here.csv" => Reply::new(302, "").with("Location", "/there.csv"),
        "/there.csv" => Reply::ok(focus(&[Line::usage("a-acme", "100")])),
        "/long.csv" => Reply::ok(vec![b'x'; 2_000]),
        "/silent.csv" => Reply::silence(),
        _ => Reply::new(403, "the secret is hunter2"),
    })
    .await;
    let credential = format!("file:{}", secret.display());
    let limits =
        Limits { file_bytes_max: 1_000, silence_max: Duration::from_millis(300), attempts_max: 2, ..Limits::default() };
    for (name, said) in [
        ("moved", "a redirect to another host"),
        ("long", "more than 1000 bytes"),
        ("silent", "no answer in time; it was tried 2 times"),
        ("denied", "answered 403"),
    ] {
        let path = format!("/{name}.csv");
        house.source(name, "https_files", &server.url(&path), &[("credential", &credential)]).await;
        let collector = house.collector().with_limits(limits.clone());
        let outcome = collector.collect(Which::Named(name)).await.expect("the catalog is there").remove(0).outcome;
        assert!(
            matches!(&outcome, Outcome::Failed { error } if error.contains(said) && !error.contains("hunter2")),
            "{outcome:?}"
        );
    }
    house.source("here", "https_files", &server.url("/here.csv"), &[("credential", &credential)]).await;
    assert_eq!(house.done("here").await.landed.len(), 1);
    assert!(elsewhere.asked().is_empty(), "the secret went elsewhere");
    let shown =
        server.asked().iter().all(|asked| asked.headers.get("authorization").is_some_and(|a| a == "Bearer hunter2"));
    assert!(shown);
}
