//! Before the session: nothing runs, everything is bounded, every refusal is FATAL.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::Fixture;
use super::fake::{DATABASE, LOGIN, PASSWORD};
use super::raw::{Raw, message, sqlstate, startup_packet, tags, text};
use crate::wire::config::{Encryption, Tls};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

fn test_certificate() -> Tls {
    let folder = tempfile::tempdir().expect("folder");
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, include_str!("localhost.pem")).expect("certificate");
    std::fs::write(&key, include_str!("localhost.key")).expect("key");
    Tls::from_pem_files(&certificate, &key).expect("usable certificate")
}

#[tokio::test]
async fn the_right_password_opens_a_session_and_reports_what_postgres_15_reports() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    let replies = raw.log_in(LOGIN, PASSWORD).await;
    // AuthenticationSASLFinal, AuthenticationOk, 13 parameters, key, ready.
    assert_eq!(tags(&replies), format!("RR{}KZ", "S".repeat(13)));
    let reported = |name: &str| {
        let status = replies.iter().find(|reply| reply.tag == 'S' && reply.body.starts_with(&text(name)))?;
        Some(String::from_utf8_lossy(&status.body[name.len() + 1..]).trim_end_matches('\0').to_owned())
    };
    assert!(reported("server_version").expect("version").starts_with("15.8 ("));
    assert_eq!(reported("is_superuser").as_deref(), Some("off"));
    assert_eq!(reported("session_authorization").as_deref(), Some(LOGIN));
    assert_eq!(reported("integer_datetimes").as_deref(), Some("on"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_login_read_the_same() {
    let fixture = Fixture::start().await;
    let mut answers = Vec::new();
    for login in [LOGIN, "nobody"] {
        let mut raw = Raw::connect(fixture.server.local_addr()).await;
        let replies = raw.log_in(login, "wrong").await;
        let error = replies.last().expect("error");
        assert_eq!((error.field(b'V').as_deref(), error.field(b'C').as_deref()), (Some("FATAL"), Some("28P01")));
        answers.push(error.field(b'M').expect("message").replace(login, "x"));
        assert_eq!(raw.reply().await, None, "the connection ends");
    }
    assert_eq!(answers[0], "password authentication failed for user \"x\"");
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn messages_pipelined_behind_a_failing_login_are_never_executed() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    raw.send(&startup_packet(196_608, &[("user", LOGIN), ("database", DATABASE)])).await;
    let mut body = text("SCRAM-SHA-256");
    body.extend(14_u32.to_be_bytes());
    body.extend(b"n,,n=,r=client");
    // Everything at once: a first message, a forged final one, a query.
    let forged = message('p', b"c=biws,r=client,p=AAAA");
    raw.send(&[message('p', &body), forged, message('Q', &text("select 1"))].concat()).await;
    let replies = raw.until('Z').await;
    assert_eq!(tags(&replies), "RRE");
    assert_eq!(sqlstate(&replies).as_deref(), Some("28P01"));
    assert_eq!(fixture.backend.prepared.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn only_password_messages_are_read_before_the_login() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    raw.send(&startup_packet(196_608, &[("user", LOGIN), ("database", DATABASE)])).await;
    raw.send(&message('Q', &text("select 1"))).await;
    let replies = raw.until('Z').await;
    assert_eq!((tags(&replies).as_str(), sqlstate(&replies).as_deref()), ("RE", Some("08P01")));
    assert_eq!(fixture.backend.prepared.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn encryption_requests_without_a_certificate_are_declined() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    for request in [GSSENC_REQUEST, SSL_REQUEST] {
        raw.send(&request).await;
        assert_eq!(raw.socket.read_u8().await.expect("answer"), b'N');
    }
    let replies = raw.log_in(LOGIN, PASSWORD).await;
    assert_eq!(replies.last().map(|reply| reply.tag), Some('Z'));
}

#[tokio::test]
async fn bytes_stuffed_behind_an_ssl_request_never_reach_the_session() {
    let fixture = Fixture::start_with(|config| config.tls = Some(test_certificate())).await;
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    let stuffed = startup_packet(196_608, &[("user", LOGIN), ("database", DATABASE)]);
    raw.send(&[&SSL_REQUEST[..], &stuffed].concat()).await;
    assert_eq!(raw.socket.read_u8().await.expect("answer"), b'S');
    // The stuffed bytes are no TLS handshake: an alert at most, and the end, but no answer to the start-up packet.
    let mut rest = Vec::new();
    drop(raw.socket.read_to_end(&mut rest).await);
    assert!(rest.len() <= 7 && rest.first() != Some(&b'R'), "{rest:?}");
}

#[tokio::test]
async fn a_connection_in_the_clear_is_refused_where_encryption_is_required() {
    let fixture = Fixture::start_with(|config| {
        config.tls = Some(test_certificate());
        config.encryption = Encryption::Required;
    })
    .await;
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    let replies = raw.log_in(LOGIN, PASSWORD).await;
    assert_eq!((tags(&replies).as_str(), sqlstate(&replies).as_deref()), ("E", Some("28000")));
}

#[tokio::test]
async fn a_start_up_packet_of_more_than_10_kb_closes_the_connection() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    raw.send(&10_001_u32.to_be_bytes()).await;
    assert_eq!(raw.reply().await, None);
}

#[tokio::test]
async fn a_half_open_login_is_closed_at_the_deadline() {
    let deadline = Duration::from_millis(200);
    let fixture = Fixture::start_with(|config| config.limits.login_timeout = deadline).await;
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    raw.send(&startup_packet(196_608, &[("user", LOGIN), ("database", DATABASE)])).await;
    assert_eq!(raw.reply().await.map(|reply| reply.tag), Some('R'));
    assert_eq!(raw.reply().await, None);
}

#[tokio::test]
async fn one_connection_too_many_is_told_53300() {
    let fixture = Fixture::start_with(|config| config.limits.connections_max = 1).await;
    let _first = Raw::session(fixture.server.local_addr()).await;
    let mut second = Raw::connect(fixture.server.local_addr()).await;
    let replies = second.log_in(LOGIN, PASSWORD).await;
    assert_eq!(sqlstate(&replies).as_deref(), Some("53300"));
}

#[tokio::test]
async fn an_unknown_database_is_3d000_after_the_password_was_right() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    raw.send(&startup_packet(196_608, &[("user", LOGIN), ("database", "other")])).await;
    let replies = raw.authenticate(PASSWORD).await;
    assert_eq!(sqlstate(&replies).as_deref(), Some("3D000"));
}

#[tokio::test]
async fn protocol_versions_are_negotiated() {
    let fixture = Fixture::start().await;
    let parameters = [("user", LOGIN), ("database", DATABASE), ("_pq_.unknown", "1")];
    // 3.2 is served as it is, 3.9 as 3.2, and unknown protocol options are named.
    for (version, key_bytes) in [(196_608, 4), (196_610, 32), (196_617, 32)] {
        let mut raw = Raw::connect(fixture.server.local_addr()).await;
        raw.send(&startup_packet(version, &parameters)).await;
        let negotiated = raw.reply().await.expect("negotiation");
        assert_eq!(negotiated.tag, 'v');
        assert!(negotiated.body.ends_with(b"\0\0\0\x01_pq_.unknown\0"), "{negotiated:?}");
        let replies = raw.authenticate(PASSWORD).await;
        assert_eq!(tags(&replies).chars().last(), Some('Z'));
        assert_eq!(raw.key.len(), 4 + key_bytes);
    }
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    raw.send(&startup_packet(2 << 16, &parameters)).await;
    assert_eq!(sqlstate(&raw.until('Z').await).as_deref(), Some("0A000"));
}

#[tokio::test]
async fn start_up_settings_apply_and_unknown_ones_are_fatal() {
    let fixture = Fixture::start().await;
    let base = [("user", LOGIN), ("database", DATABASE)];
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    let options = [&base[..], &[("options", "-c statement_timeout=54321"), ("application_name", "t")]].concat();
    raw.send(&startup_packet(196_608, &options)).await;
    raw.authenticate(PASSWORD).await;
    let replies = raw.query("SHOW statement_timeout").await;
    assert_eq!(super::raw::row(&replies[1]), [Some("54321".to_owned())]);

    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    raw.send(&startup_packet(196_608, &[&base[..], &[("no_such", "1")]].concat())).await;
    assert_eq!(sqlstate(&raw.authenticate(PASSWORD).await).as_deref(), Some("42704"));
    let mut raw = Raw::connect(fixture.server.local_addr()).await;
    raw.send(&startup_packet(196_608, &[&base[..], &[("client_encoding", "LATIN1")]].concat())).await;
    assert_eq!(sqlstate(&raw.authenticate(PASSWORD).await).as_deref(), Some("22023"));
}
