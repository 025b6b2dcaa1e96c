//! Cancelling, time-outs, back-pressure and shutdown while rows are on their way.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::Fixture;
use super::raw::{Raw, message, sqlstate, tags, text};

/// More rows than any buffer on the way holds.
const ENDLESS: &str = "select value, repeat('x', 100) from generate_series(1, 100000000000) t(value)";

async fn cancel(fixture: &Fixture, key: &[u8]) {
    let mut packet = BytesMut::new();
    packet.put_u32(u32::try_from(8 + key.len()).expect("small"));
    packet.put_u32(80_877_102);
    packet.put_slice(key);
    let mut other = Raw::connect(fixture.server.local_addr()).await;
    other.send(&packet).await;
    assert_eq!(other.reply().await, None, "a cancel request is not answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_request_stops_rows_that_are_being_sent() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    raw.send(&message('Q', &text(ENDLESS))).await;
    assert_eq!(raw.reply().await.map(|reply| reply.tag), Some('T'));
    assert_eq!(raw.reply().await.map(|reply| reply.tag), Some('D'));
    let mut wrong = raw.key.clone();
    wrong[4] ^= 1;
    cancel(&fixture, &wrong).await;
    assert_eq!(raw.reply().await.map(|reply| reply.tag), Some('D'));
    let key = raw.key.clone();
    cancel(&fixture, &key).await;
    let replies = raw.until('Z').await;
    assert_eq!(sqlstate(&replies).as_deref(), Some("57014"));
    assert_eq!(tags(&raw.query("select 1").await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_request_for_an_idle_connection_does_not_hit_the_next_statement() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    let key = raw.key.clone();
    cancel(&fixture, &key).await;
    assert_eq!(tags(&raw.query("select 1").await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statement_timeout_covers_rows_in_both_protocols_even_when_nobody_reads() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    raw.query("set statement_timeout = 300").await;
    let replies = raw.query(ENDLESS).await;
    let error = replies.iter().find(|reply| reply.tag == 'E').expect("an error");
    assert_eq!(error.field(b'M').as_deref(), Some("canceling statement due to statement timeout"));
    raw.parse("", ENDLESS).await;
    raw.bind("", "").await;
    raw.execute("", 0).await;
    assert_eq!(sqlstate(&raw.sync().await).as_deref(), Some("57014"));
    assert_eq!(tags(&raw.query("select 1").await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_loses_its_connection() {
    let fixture = Fixture::start_with(|config| config.limits.write_stall_timeout = Duration::from_millis(200)).await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    raw.send(&message('Q', &text(ENDLESS))).await;
    let registry = std::sync::Arc::clone(fixture.server.registry());
    let pid = i32::from_be_bytes(raw.key[..4].try_into().expect("pid"));
    // The connection leaves the registry when it ends; nothing was read from it meanwhile.
    tokio::time::timeout(Duration::from_secs(20), async {
        while registry.is_open(pid) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the stalled connection ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_told_and_closed() {
    let fixture = Fixture::start_with(|config| config.limits.idle_timeout = Duration::from_millis(100)).await;
    let mut raw = Raw::session(fixture.server.local_addr()).await;
    assert_eq!(sqlstate(&raw.until('Z').await).as_deref(), Some("57P05"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_tells_idle_and_busy_connections() {
    let fixture = Fixture::start().await;
    let mut idle = Raw::session(fixture.server.local_addr()).await;
    let mut busy = Raw::session(fixture.server.local_addr()).await;
    busy.send(&message('Q', &text("select count(*) from generate_series(1, 100000000000)"))).await;
    let reading = async { (idle.until('Z').await, busy.until('Z').await) };
    let ((from_idle, from_busy), ()) = tokio::join!(reading, fixture.server.shutdown());
    assert_eq!(sqlstate(&from_idle).as_deref(), Some("57P01"));
    assert_eq!(sqlstate(&from_busy).as_deref(), Some("57P01"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_result_arrives_whole_through_a_driver() {
    let fixture = Fixture::start().await;
    let client = fixture.client().await;
    let rows = client.query("select value from generate_series(1, 100000) t(value)", &[]).await.expect("rows");
    let sum: i64 = rows.iter().map(|row| row.get::<_, i64>(0)).sum();
    // n (n + 1) / 2
    assert_eq!((rows.len(), sum), (100_000, 5_000_050_000));
}
