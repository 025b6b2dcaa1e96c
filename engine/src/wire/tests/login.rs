//! Before the session: nothing runs, everything is bounded, every refusal is FATAL.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Fixture;
use super::fake::{DATABASE, LOGIN, PASSWORD};
use super::raw::{Raw, message, sqlstate, startup_packet, tags, text};
use crate::wire::config::{Encryption, Tls};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

/// A certificate that `authority.pem` signed for the common name "ann".
const CLIENT: (&[u8], &[u8]) = (include_bytes!("keys/ann.pem"), include_bytes!("keys/ann.key"));
/// One that it did not sign.
const STRANGER: (&[u8], &[u8]) = (include_bytes!("keys/stranger.pem"), include_bytes!("keys/stranger.key"));

fn test_certificate() -> Tls {
    let folder = tempfile::tempdir().expect("folder");
    let [certificate, key, authority] = ["cert.pem", "key.pem", "ca.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, include_str!("keys/localhost.pem")).expect("certificate");
    std::fs::write(&key, include_str!("keys/localhost.key")).expect("key");
    std::fs::write(&authority, include_str!("keys/authority.pem")).expect("authority");
    Tls::from_pem_files(&certificate, &key, Some(&authority)).expect("usable certificate")
}

/// A connection over TLS, as far as the handshake succeeds.
async fn over_tls(address: SocketAddr, shown: Option<(&[u8], &[u8])>) -> std::io::Result<Raw> {
    let certificate = |pem: &[u8]| CertificateDer::from_pem_slice(pem).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate(include_bytes!("keys/authority.pem"))).expect("an authority");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some((pem, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
            config.with_client_auth_cert(vec![certificate(pem)], key).expect("key and certificate fit")
        }
    };
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(&SSL_REQUEST).await?;
    assert_eq!(socket.read_u8().await?, b'S');
    let name = ServerName::try_from("localhost").expect("a name");
    Ok(Raw::over(TlsConnector::from(Arc::new(config)).connect(name, socket).await?))
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
async fn a_certificate_that_a_client_shows_names_its_login() {
    let fixture = Fixture::start_with(|config| config.tls = Some(test_certificate())).await;
    let address = fixture.server.local_addr();
    // With the right certificate or none the password decides.
    for shown in [None, Some(CLIENT)] {
        let mut raw = over_tls(address, shown).await.expect("a handshake");
        assert_eq!(tags(&raw.log_in(LOGIN, PASSWORD).await).chars().last(), Some('Z'));
        let mut raw = over_tls(address, shown).await.expect("a handshake");
        assert_eq!(sqlstate(&raw.log_in(LOGIN, "wrong").await).as_deref(), Some("28P01"));
    }
    let mut raw = over_tls(address, Some(CLIENT)).await.expect("a handshake");
    let replies = raw.log_in("bob", PASSWORD).await;
    assert_eq!((tags(&replies).as_str(), sqlstate(&replies).as_deref()), ("E", Some("28000")));
    // TLS 1.3 lets the client finish its side before the server has seen the certificate.
    if let Ok(mut raw) = over_tls(address, Some(STRANGER)).await {
        raw.send(&startup_packet(196_608, &[("user", LOGIN), ("database", DATABASE)])).await;
        assert_eq!(raw.reply().await, None);
    }
}

#[tokio::test]
async fn a_certificate_can_be_required() {
    let fixture = Fixture::start_with(|config| {
        config.tls = Some(test_certificate());
        config.requires_client_certificate = true;
    })
    .await;
    let address = fixture.server.local_addr();
    for mut raw in [over_tls(address, None).await.expect("a handshake"), Raw::connect(address).await] {
        let replies = raw.log_in(LOGIN, PASSWORD).await;
        assert_eq!((tags(&replies).as_str(), sqlstate(&replies).as_deref()), ("E", Some("28000")));
    }
    let mut raw = over_tls(address, Some(CLIENT)).await.expect("a handshake");
    assert_eq!(tags(&raw.log_in(LOGIN, PASSWORD).await).chars().last(), Some('Z'));
}

/// Sends bytes from an address of its own, as guesses are counted by network, and reads to the end.
async fn answer_to(server: SocketAddr, from: IpAddr, bytes: &[u8]) -> Vec<u8> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(from, 0)).expect("a loopback address");
    let mut stream = socket.connect(server).await.expect("connect");
    let mut answer = Vec::new();
    // The server may hang up at any moment.
    if stream.write_all(bytes).await.is_ok() && stream.shutdown().await.is_ok() {
        drop(stream.read_to_end(&mut answer).await);
    }
    answer
}

/// The kinds of the messages that a server sent; its answers to encryption requests are one byte each.
fn kinds(mut answer: &[u8]) -> Vec<u8> {
    while let [b'N', rest @ ..] = answer {
        answer = rest;
    }
    let mut kinds = Vec::new();
    while let [kind, a, b, c, d, rest @ ..] = answer {
        kinds.push(*kind);
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        answer = rest.get(length - 4..).unwrap_or_default();
    }
    kinds
}

/// Every sequence of up to four messages of thirteen kinds from a client that does not know the password: 30,940.
#[tokio::test(flavor = "multi_thread")]
async fn no_sequence_of_messages_before_the_login_is_ever_executed() {
    let fixture = Fixture::start().await;
    let address = fixture.server.local_addr();
    let client_first = [text("SCRAM-SHA-256"), 14_u32.to_be_bytes().to_vec(), b"n,,n=,r=client".to_vec()].concat();
    let messages = [
        startup_packet(196_608, &[("user", LOGIN), ("database", DATABASE)]),
        SSL_REQUEST.to_vec(),
        GSSENC_REQUEST.to_vec(),
        [16_u32, 80_877_102, 1, 1].iter().flat_map(|word| word.to_be_bytes()).collect(),
        message('p', &client_first),
        message('p', b"c=biws,r=client,p=AAAA"),
        message('Q', &text("select 1")),
        message('P', &[text("s"), text("select 1"), vec![0, 0]].concat()),
        message('B', &[text(""), text("s"), vec![0; 6]].concat()),
        message('E', &[text(""), vec![0; 4]].concat()),
        message('S', &[]),
        message('F', &[0; 8]),
        message('X', &[]),
    ];
    let kinds_of_messages = u32::try_from(messages.len()).expect("13");
    let sequences = (1..=4).flat_map(|length| (0..kinds_of_messages.pow(length)).map(move |number| (length, number)));
    let bytes_of = |(length, number): (u32, u32)| -> Vec<u8> {
        let digit = |place| (number / kinds_of_messages.pow(place) % kinds_of_messages) as usize;
        (0..length).flat_map(|place| messages[digit(place)].clone()).collect()
    };
    let answers = sequences.enumerate().map(|(at, sequence)| {
        let [.., a, b] = u32::try_from(at).expect("30,940").to_be_bytes();
        let bytes = bytes_of(sequence);
        async move { (sequence, answer_to(address, IpAddr::from([127, a, b, 1]), &bytes).await) }
    });
    let mut answers = futures::stream::iter(answers).buffer_unordered(64);
    let (mut tried, mut asked_for_a_password) = (0, 0);
    while let Some((sequence, answer)) = answers.next().await {
        let kinds = kinds(&answer);
        assert!(kinds.iter().all(|kind| b"RE".contains(kind)), "{sequence:?}: {:?}", String::from_utf8_lossy(&kinds));
        tried += 1;
        asked_for_a_password += usize::from(kinds.contains(&b'R'));
    }
    assert_eq!(tried, 13 + 13 * 13 + 13 * 13 * 13 + 13 * 13 * 13 * 13);
    // Those that begin with the start-up packet, or get to it after encryption was declined: others have no answer to come.
    assert!(asked_for_a_password > 13 * 13 * 13, "{asked_for_a_password}");
    let backend = &fixture.backend;
    assert_eq!((backend.sessions.load(Ordering::SeqCst), backend.prepared.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test]
async fn a_node_has_so_many_places_and_no_more() {
    let fixture = Fixture::start_with(|config| config.limits.connections_per_node_max = 1).await;
    let first = Raw::session(fixture.server.local_addr()).await;
    let mut second = Raw::connect(fixture.server.local_addr()).await;
    assert_eq!(sqlstate(&second.log_in(LOGIN, PASSWORD).await).as_deref(), Some("53300"));
    drop(first);
    // Its place is free as soon as the server has noticed.
    let again = async {
        loop {
            let mut raw = Raw::connect(fixture.server.local_addr()).await;
            if tags(&raw.log_in(LOGIN, PASSWORD).await).ends_with('Z') {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("a place is free again");
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
