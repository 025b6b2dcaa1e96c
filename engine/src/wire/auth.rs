//! SCRAM-SHA-256, with channel binding where the connection is encrypted.
//!
//! Invariants: an unknown login, a disabled one, a wrong password and a login that is shut out see the same exchange and the same
//! error; only password messages are read here, so nothing pipelined behind them can run before they were checked.

use std::net::IpAddr;
use std::time::Instant;

use bytes::{Buf, Bytes};
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use pgwire::messages::startup::Authentication;

use super::backend::{Backend, Failure};
use super::error::ConnectionEnd;
use super::link::Link;
use super::throttle::Throttle;
use super::verifier::{mock_secret, parse_verifier};

/// Most bytes of a password message.
const MESSAGE_BYTES_MAX: usize = 10_000;

const PLAIN: &str = "SCRAM-SHA-256";
const BOUND: &str = "SCRAM-SHA-256-PLUS";

/// Who is to be authenticated, against what.
pub(crate) struct Candidate<'a> {
    pub(crate) login: &'a str,
    pub(crate) peer: IpAddr,
    /// The server's certificate in PEM, on an encrypted connection.
    pub(crate) certificate: Option<&'a [u8]>,
}

/// Runs the exchange. Everything but success ends the connection.
pub(crate) async fn authenticate(
    link: &mut Link,
    backend: &dyn Backend,
    throttle: &Throttle,
    candidate: &Candidate<'_>,
) -> Result<(), ConnectionEnd> {
    let now = Instant::now();
    let known = backend.verifier(candidate.login).as_deref().and_then(parse_verifier);
    let known = known.filter(|_| !throttle.is_shut(candidate.login, candidate.peer, now));
    let secret = known.unwrap_or_else(|| mock_secret(&backend.mock_secret(), candidate.login));

    let mut server = ScramServerAuth::new();
    if let Some(certificate) = candidate.certificate
        && let Err(error) = server.configure_certificate(certificate)
    {
        tracing::warn!(%error, "no channel binding: the certificate's signature algorithm is not supported");
    }
    let mechanisms = if server.supports_channel_binding() { vec![BOUND, PLAIN] } else { vec![PLAIN] };
    link.put(&Authentication::SASL(mechanisms.iter().map(|name| (*name).to_owned()).collect()));
    link.flush().await?;

    let (mechanism, first) = initial_response(read_password_message(link).await?)?;
    // "p" is the flag of a client that binds; a mechanism and a flag that disagree are an attempt at something.
    if !mechanisms.contains(&mechanism.as_str()) || (mechanism == BOUND) != first.starts_with(b"p=") {
        return Err(refused("08P01", "client selected an invalid SASL authentication mechanism"));
    }
    let malformed = |error| {
        tracing::debug!(%error, "malformed SCRAM message");
        refused("08P01", "malformed SCRAM message")
    };
    let (server_first, waiting) = server.on_client_first_message_with_secret(&first, secret).map_err(malformed)?;
    link.put(&Authentication::SASLContinue(Bytes::from(server_first)));
    link.flush().await?;

    let client_final = read_password_message(link).await?;
    match waiting.on_client_final_message(&client_final) {
        Ok(server_final) => {
            throttle.succeeded(candidate.login, candidate.peer);
            link.put(&Authentication::SASLFinal(Bytes::from(server_final)));
            link.put(&Authentication::Ok);
            Ok(())
        }
        Err(error) => {
            tracing::info!(login = candidate.login, peer = %candidate.peer, %error, "login refused");
            throttle.failed(candidate.login, candidate.peer, Instant::now());
            Err(wrong_password(candidate.login))
        }
    }
}

/// The one error of every failed login.
pub(crate) fn wrong_password(login: &str) -> ConnectionEnd {
    refused("28P01", &format!("password authentication failed for user \"{login}\""))
}

fn refused(sqlstate: &'static str, message: &str) -> ConnectionEnd {
    ConnectionEnd::Fatal(Failure::new(sqlstate, message))
}

async fn read_password_message(link: &mut Link) -> Result<Bytes, ConnectionEnd> {
    let frame = link.frame(MESSAGE_BYTES_MAX, |tag| tag == b'p' || tag == b'X').await?;
    if frame.tag == b'X' { Err(ConnectionEnd::Terminated) } else { Ok(frame.body) }
}

/// Reads SASLInitialResponse: the mechanism's name, a length, that many bytes.
fn initial_response(mut body: Bytes) -> Result<(String, Bytes), ConnectionEnd> {
    let malformed = || refused("08P01", "malformed SASLInitialResponse message");
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
    let mechanism = String::from_utf8_lossy(&body.split_to(end)).into_owned();
    body.advance(1);
    let length = usize::try_from(body.try_get_i32().map_err(|_| malformed())?).map_err(|_| malformed())?;
    if length == body.remaining() { Ok((mechanism, body)) } else { Err(malformed()) }
}
