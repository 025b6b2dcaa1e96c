//! What happens before a login: encryption requests, cancel requests, the start-up packet.
//!
//! Bytes are read from the socket exactly as many as a packet announces, so nothing that was sent in the clear behind an SSLRequest
//! is ever taken for part of the encrypted session (CVE-2021-23214).

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use x509_parser::parse_x509_certificate;

use super::backend::Failure;
use super::cancel::KeyLength;
use super::error::ConnectionEnd;
use super::link::Stream;
use super::message::Body;

/// Most bytes of a start-up packet, as in Postgres.
const PACKET_BYTES_MAX: usize = 10_000;

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const PROTOCOL_3_0: u32 = 3 << 16;
const PROTOCOL_3_2: u32 = (3 << 16) | 2;

/// A stream whose start-up packet has been read.
pub(crate) struct Opening {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) channel: Channel,
    pub(crate) request: Request,
}

/// How the bytes of a connection travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Readable on the way.
    Clear,
    /// Over TLS.
    Encrypted {
        /// Whom the client's certificate names, if it showed one; it was signed by the authority that the listener trusts.
        client: Option<ClientName>,
    },
}

/// The common name of a client's certificate; empty where that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientName(pub(crate) String);

impl ClientName {
    fn of(certificate: &[u8]) -> Self {
        let subject = parse_x509_certificate(certificate).map(|(_, found)| {
            let name = found.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
            name.unwrap_or_default().to_owned()
        });
        Self(subject.unwrap_or_default())
    }
}

/// What the client wants.
#[derive(Debug)]
pub(crate) enum Request {
    /// A session.
    Session(SessionRequest),
    /// To cancel what another connection runs.
    Cancel { pid: i32, secret: Bytes },
    /// Nothing we can serve; it is to be told why.
    Refused(Failure),
}

/// The start-up packet.
#[derive(Debug)]
pub(crate) struct SessionRequest {
    /// The length of the cancel key that the protocol version implies.
    pub(crate) key_length: KeyLength,
    /// The newest version and the unknown `_pq_` options to answer with, if the client asked for more than there is.
    pub(crate) negotiate: Option<(i32, Vec<String>)>,
    /// Everything else it says.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// Reads up to the start-up packet, encrypting where the client asks and a certificate is there.
pub(crate) async fn open(mut socket: TcpStream, tls: Option<&TlsAcceptor>) -> Result<Opening, ConnectionEnd> {
    let mut gss_refused = false;
    loop {
        let packet = read_packet(&mut socket).await?;
        match (packet.code, tls) {
            (SSL_REQUEST, Some(tls)) => {
                expect_bare(&packet)?;
                socket.write_all(b"S").await?;
                let mut stream = tls.accept(socket).await?;
                let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                let channel = Channel::Encrypted { client: shown.map(|certificate| ClientName::of(certificate)) };
                let packet = read_packet(&mut stream).await?;
                return Ok(Opening { request: packet.request(), stream: Box::new(stream), channel });
            }
            (SSL_REQUEST, None) => {
                expect_bare(&packet)?;
                socket.write_all(b"N").await?;
                // After a refusal the client may go on in the clear, or leave; it may not ask again and again.
                let packet = read_packet(&mut socket).await?;
                return Ok(Opening { request: packet.request(), stream: Box::new(socket), channel: Channel::Clear });
            }
            (GSSENC_REQUEST, _) if !gss_refused => {
                expect_bare(&packet)?;
                socket.write_all(b"N").await?;
                gss_refused = true;
            }
            _ => {
                return Ok(Opening { request: packet.request(), stream: Box::new(socket), channel: Channel::Clear });
            }
        }
    }
}

struct Packet {
    code: u32,
    body: Bytes,
}

async fn read_packet(stream: &mut (impl AsyncReadExt + Unpin)) -> Result<Packet, ConnectionEnd> {
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if !(8..=PACKET_BYTES_MAX).contains(&length) {
        // Not a client of ours, an HTTP request perhaps: nothing it would understand can be answered.
        tracing::debug!(length, "invalid length of start-up packet");
        return Err(ConnectionEnd::Gone);
    }
    let code = stream.read_u32().await?;
    let mut body = vec![0; length - 8];
    stream.read_exact(&mut body).await?;
    Ok(Packet { code, body: Bytes::from(body) })
}

fn expect_bare(packet: &Packet) -> Result<(), ConnectionEnd> {
    if packet.body.is_empty() { Ok(()) } else { Err(ConnectionEnd::Gone) }
}

impl Packet {
    fn request(mut self) -> Request {
        match self.code {
            CANCEL_REQUEST => match self.body.try_get_i32() {
                Ok(pid) => Request::Cancel { pid, secret: self.body },
                Err(_) => Request::Refused(Failure::new("08P01", "invalid length of cancel request packet")),
            },
            version if version >> 16 == 3 => match self.session(version) {
                Ok(session) => Request::Session(session),
                Err(failure) => Request::Refused(failure),
            },
            version => {
                let (major, minor) = (version >> 16, version & 0xffff);
                let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2");
                Request::Refused(Failure::new("0A000", message))
            }
        }
    }

    fn session(self, version: u32) -> Result<SessionRequest, Failure> {
        let mut parameters = BTreeMap::new();
        let mut unknown = Vec::new();
        let mut body = Body(self.body);
        loop {
            let name = body.text()?;
            if name.is_empty() {
                break;
            }
            let value = body.text()?;
            if name.starts_with("_pq_.") {
                unknown.push(name);
            } else {
                parameters.insert(name, value);
            }
        }
        if body.0.has_remaining() {
            return Err(Failure::new("08P01", "invalid startup packet layout: expected terminator as last byte"));
        }
        // Version 3.1 was never given out: who asks for it gets 3.0.
        let served = if version >= PROTOCOL_3_2 { PROTOCOL_3_2 } else { PROTOCOL_3_0 };
        let negotiate = (served != version || !unknown.is_empty()).then(|| (served.cast_signed(), unknown));
        let key_length = if served == PROTOCOL_3_2 { KeyLength::Long } else { KeyLength::Short };
        Ok(SessionRequest { key_length, negotiate, parameters })
    }
}

/// Reads the `options` parameter: `-c name=value`, `-cname=value` and `--name=value`, with `\` before a blank that belongs to a value.
///
/// Errors: 42601 for anything else.
pub(crate) fn parse_options(options: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = options.chars();
    let mut started = false;
    while let Some(found) = chars.next() {
        match found {
            '\\' => word.extend(chars.next()),
            blank if blank.is_ascii_whitespace() => {
                if started {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
                continue;
            }
            other => word.push(other),
        }
        started = true;
    }
    if started {
        words.push(word);
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting.to_owned(),
            None if word == "-c" => words.next().unwrap_or_default(),
            None => word.strip_prefix("-c").unwrap_or_default().to_owned(),
        };
        let Some((name, value)) = setting.split_once('=') else {
            return Err(Failure::new("42601", format!("invalid command-line argument for server process: {word}")));
        };
        settings.push((name.replace('-', "_").to_lowercase(), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_every_spelling() {
        let settings =
            parse_options(r"-c statement_timeout=7s -csearch_path=a\ b --extra-float-digits=3").expect("options");
        let expected = [("statement_timeout", "7s"), ("search_path", "a b"), ("extra_float_digits", "3")];
        let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(settings, expected);
        assert!(parse_options("-d 5").is_err());
    }
}
