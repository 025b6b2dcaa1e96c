//! Pages that did not change since the last crawl: asked for by a condition, and taken from the answers that it left.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ratehouse::collect::{Outcome, Report, Which};
use ratehouse::warehouse::Landed;

use super::House;
use super::paged::{CSV, page};
use super::server::{Asked, Reply, Server};
use crate::fixture::{rows, run};

/// What is answered to whom does not know it yet.
fn unless_known(asked: &Asked, etag: &str, reply: Reply) -> Reply {
    match asked.headers.get("if-none-match") {
        Some(known) if known == etag => Reply::new(304, ""),
        _ => reply.with("ETag", etag),
    }
}

/// The conditions of all requests, in order.
fn conditions(server: &Server, header: &str) -> Vec<Option<String>> {
    server.asked().into_iter().map(|asked| asked.headers.get(header).cloned()).collect()
}

fn known(etags: &[Option<&str>]) -> Vec<Option<String>> {
    etags.iter().map(|etag| etag.map(|etag| format!("\"{etag}\""))).collect()
}

fn is_known(report: &Report) -> bool {
    matches!(report.landed.as_slice(), [Landed::Known { .. }])
}

async fn total(house: &House) -> Vec<String> {
    rows(&house.fixture.admin(), "select sum(billed_cost) from usage").await
}

/// Two pages, of which the second has the cost 20, then 50.
async fn two_pages(version: &Arc<AtomicUsize>) -> Server {
    let version = Arc::clone(version);
    Server::start(move |asked, _| match asked.target.as_str() {
        "/usage" => unless_known(asked, "\"a\"", page("a-acme", "1", Some("/usage?page=2"))),
        _ => match version.load(Ordering::SeqCst) {
            1 => unless_known(asked, "\"b1\"", page("a-bolt", "20", None)),
            _ => unless_known(asked, "\"b2\"", page("a-bolt", "50", None)),
        },
    })
    .await
}

#[tokio::test]
async fn a_page_that_did_not_change_is_the_former_one_and_one_that_did_comes_new() {
    let house = House::new().await;
    let version = Arc::new(AtomicUsize::new(1));
    let server = two_pages(&version).await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    assert!(!is_known(&house.done("api").await));
    assert_eq!(total(&house).await, ["21"]);

    // Neither changed: what comes after the first page only its former answer says. Nothing lands anew.
    let report = house.done("api").await;
    assert!(is_known(&report), "{report:?}");
    assert_eq!(rows(&house.fixture.admin(), "select count(*) from ops.deliveries").await, ["1"]);

    version.store(2, Ordering::SeqCst);
    assert!(!is_known(&house.done("api").await));
    assert_eq!(total(&house).await, ["51"]);
    // And that answer is the former one from now on.
    assert!(is_known(&house.done("api").await));
    assert_eq!(total(&house).await, ["51"]);
    let asked = known(&[None, None, Some("a"), Some("b1"), Some("a"), Some("b1"), Some("a"), Some("b2")]);
    assert_eq!(conditions(&server, "if-none-match"), asked);
    // What the crawl before was answered is not kept.
    let kept = std::fs::read_dir(house.fixture.path().join("collected/api/answered")).expect("answers").count();
    assert_eq!((kept, house.fixture.path().join("collected/api/pages").exists()), (2, false));
}

#[tokio::test]
async fn answers_that_are_gone_are_asked_for_anew() {
    let house = House::new().await;
    let server = two_pages(&Arc::new(AtomicUsize::new(1))).await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    house.done("api").await;
    // As in a backup that was restored.
    std::fs::remove_dir_all(house.fixture.path().join("collected/api")).expect("the answers were kept");
    assert!(is_known(&house.done("api").await));
    assert_eq!(conditions(&server, "if-none-match"), known(&[None; 4]));
    assert!(is_known(&house.done("api").await));
    assert_eq!(conditions(&server, "if-none-match")[4..], known(&[Some("a"), Some("b1")]));
}

#[tokio::test]
async fn an_answer_that_is_damaged_fails_once_and_is_asked_for_anew() {
    let house = House::new().await;
    let server = two_pages(&Arc::new(AtomicUsize::new(1))).await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    house.done("api").await;
    let second = house.fixture.path().join("collected/api/answered/00000002.page.gz");
    std::fs::write(second, "no gzip").expect("it was kept");
    let outcome = house.collect(Which::Named("api")).await.remove(0).outcome;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert!(is_known(&house.done("api").await));
    let asked = known(&[None, None, Some("a"), Some("b1"), None]);
    assert_eq!(conditions(&server, "if-none-match"), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_crawl_keeps_what_did_not_change_and_goes_on_by_the_former_answers() {
    let house = House::new().await;
    let reached = Arc::new(tokio::sync::Notify::new());
    let notify = Arc::clone(&reached);
    let server = Server::start(move |asked, before| match (asked.target.as_str(), before) {
        ("/usage", _) => unless_known(asked, "\"a\"", page("a-acme", "1", Some("/usage?page=2"))),
        (_, 1) => {
            notify.notify_one();
            Reply::silence()
        }
        _ => unless_known(asked, "\"b\"", page("a-bolt", "20", None)),
    })
    .await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    house.done("api").await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_ratehouse"))
        .args(["collect", house.fixture.path().to_str().expect("a text"), "api"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program runs");
    reached.notified().await;
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let report = house.done("api").await;
    assert!(is_known(&report), "{report:?}");
    assert_eq!(total(&house).await, ["21"]);
    assert_eq!(server.targets(), ["/usage", "/usage?page=2", "/usage", "/usage?page=2", "/usage?page=2"]);
    assert_eq!(conditions(&server, "if-none-match"), known(&[None, None, Some("a"), Some("b"), Some("b")]));
}

/// Items of two pages; the second's number is in a header, and a date tells whether they changed.
fn dated(asked: &Asked) -> Reply {
    const DATE: &str = "Thu, 01 Oct 2026 00:00:00 GMT";
    if asked.headers.get("if-modified-since").is_some_and(|since| since == DATE) {
        return Reply::new(304, "");
    }
    match asked.target.as_str() {
        "/items" => Reply::ok(r#"[{"cost": 0.10}]"#).with("X-Next", "2").with("X-Later", "2"),
        _ => Reply::ok(r#"[{"cost": 2.50}]"#),
    }
    .with("Last-Modified", DATE)
}

#[tokio::test]
async fn another_credential_or_another_way_to_the_next_page_asks_for_everything_anew() {
    let house = House::new().await;
    let server = Server::start(|asked, _| dated(asked)).await;
    let credential = |name: &str| format!("file:{}", house.fixture.file(name, "hunter2").display());
    let (one, other) = (credential("one"), credential("other"));
    let options = r#"{"next": {"header_token": {"header": "X-Next", "parameter": "page"}}}"#;
    house.source("api", "json_api", &server.url("/items"), &[("options", options), ("credential", &one)]).await;
    let path = house.fixture.path().join("collected/api/delivery/rows.jsonl.gz");
    let mut asked = 0;
    for (change, is_asked_anew) in [
        (None, true),
        (None, false),
        (Some(format!("update ref.sources set credential = '{other}'")), true),
        (None, false),
        (Some(format!("update ref.sources set options = '{}'", options.replace("X-Next", "X-Later"))), true),
        (None, false),
    ] {
        if let Some(statement) = &change {
            run(&house.fixture.admin(), statement).await;
        }
        // No mapping reads such items: the delivery is refused, and its answers are as good as others.
        house.done("api").await;
        assert_eq!(super::unzipped(&path), "{\"cost\": 0.10}\n{\"cost\": 2.50}\n", "{change:?}");
        let conditions = conditions(&server, "if-modified-since");
        assert_eq!(conditions.len(), asked + 2, "{change:?}");
        assert!(conditions[asked..].iter().all(|condition| condition.is_none() == is_asked_anew), "{change:?}");
        asked += 2;
    }
}

#[tokio::test]
async fn what_is_posted_is_asked_each_time() {
    let house = House::new().await;
    let server = Server::start(|_, _| Reply::ok(r#"[{"cost": 1}]"#).with("ETag", "\"a\"")).await;
    house.source("api", "json_api", &server.url("/query"), &[("options", r#"{"body": {"all": true}}"#)]).await;
    house.done("api").await;
    house.done("api").await;
    assert_eq!(conditions(&server, "if-none-match"), known(&[None, None]));
}

#[tokio::test]
async fn a_304_that_was_not_asked_for_is_refused() {
    let house = House::new().await;
    let server = Server::start(|_, _| Reply::new(304, "")).await;
    house.source("api", "json_api", &server.url("/usage"), &[CSV]).await;
    let outcome = house.collect(Which::Named("api")).await.remove(0).outcome;
    let said = "answered 304 although it was not asked whether it changed";
    assert!(matches!(&outcome, Outcome::Failed { error } if error.contains(said)), "{outcome:?}");
}
