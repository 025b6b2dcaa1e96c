//! A client of bytes: it can send anything, in any order.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut, BytesMut};
use pgwire::api::auth::sasl::scram::gen_salted_password;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fake::{DATABASE, LOGIN, PASSWORD};
use crate::wire::link::Stream;

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) tag: char,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A field of an error or notice.
    pub(crate) fn field(&self, code: u8) -> Option<String> {
        let field = self.body.split(|byte| *byte == 0).find(|field| field.first() == Some(&code))?;
        Some(String::from_utf8_lossy(&field[1..]).into_owned())
    }
}

pub(crate) struct Raw {
    pub(crate) socket: Box<dyn Stream>,
    /// Body of BackendKeyData.
    pub(crate) key: Vec<u8>,
}

pub(crate) fn startup_packet(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = BytesMut::new();
    for (name, value) in parameters {
        body.put_slice(name.as_bytes());
        body.put_u8(0);
        body.put_slice(value.as_bytes());
        body.put_u8(0);
    }
    body.put_u8(0);
    let mut packet = BytesMut::new();
    packet.put_u32(u32::try_from(body.len() + 8).expect("small"));
    packet.put_u32(version);
    packet.put_slice(&body);
    packet.to_vec()
}

pub(crate) fn message(tag: char, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(u8::try_from(tag).expect("ascii"));
    out.put_u32(u32::try_from(body.len() + 4).expect("small"));
    out.put_slice(body);
    out.to_vec()
}

/// A text with its terminating zero.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(data).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

/// The client-final message of RFC 5802.
fn client_final(password: &str, server_first: &str) -> String {
    let part = |name: &str| {
        let found = server_first.split(',').find_map(|part| part.strip_prefix(name));
        found.expect("server-first attribute").to_owned()
    };
    let salt = STANDARD.decode(part("s=")).expect("salt");
    let salted = gen_salted_password(password, &salt, part("i=").parse().expect("iterations"));
    let without_proof = format!("c=biws,r={}", part("r="));
    let auth_message = format!("n=,r=client,{server_first},{without_proof}");
    let client_key = hmac(&salted, b"Client Key");
    let signature = hmac(&Sha256::digest(client_key), auth_message.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("connect"))
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self { socket: Box::new(stream), key: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("send");
    }

    /// The next message; `None` when the server has closed the connection.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let tag = self.socket.read_u8().await.ok()?;
        let length = usize::try_from(self.socket.read_u32().await.ok()?).expect("length") - 4;
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body).await.ok()?;
        Some(Reply { tag: char::from(tag), body })
    }

    /// Reads up to a message of this kind.
    pub(crate) async fn until(&mut self, tag: char) -> Vec<Reply> {
        let mut replies = Vec::new();
        while let Some(reply) = self.reply().await {
            let found = reply.tag == tag;
            replies.push(reply);
            if found {
                break;
            }
        }
        replies
    }

    /// Sends the start-up packet and goes through SCRAM; returns everything up to ReadyForQuery or the end.
    pub(crate) async fn log_in(&mut self, login: &str, password: &str) -> Vec<Reply> {
        let parameters = [("user", login), ("database", DATABASE)];
        self.send(&startup_packet(196_608, &parameters)).await;
        self.authenticate(password).await
    }

    pub(crate) async fn authenticate(&mut self, password: &str) -> Vec<Reply> {
        let first = b"n,,n=,r=client";
        let mut body = text("SCRAM-SHA-256");
        body.extend(14_u32.to_be_bytes());
        body.extend(first);
        let asked = self.until('R').await;
        if asked.last().is_none_or(|reply| reply.tag != 'R') {
            return asked;
        }
        self.send(&message('p', &body)).await;
        let challenge = self.reply().await.expect("challenge");
        if challenge.tag != 'R' {
            return vec![challenge];
        }
        let server_first = String::from_utf8_lossy(&challenge.body[4..]).into_owned();
        self.send(&message('p', client_final(password, &server_first).as_bytes())).await;
        let replies = self.until('Z').await;
        if let Some(key) = replies.iter().find(|reply| reply.tag == 'K') {
            self.key.clone_from(&key.body);
        }
        replies
    }

    /// A connection that is logged in.
    pub(crate) async fn session(address: SocketAddr) -> Self {
        let mut raw = Self::connect(address).await;
        let replies = raw.log_in(LOGIN, PASSWORD).await;
        assert_eq!(replies.last().map(|reply| reply.tag), Some('Z'), "{replies:?}");
        raw
    }

    /// Runs a text by the simple protocol.
    pub(crate) async fn query(&mut self, sql: &str) -> Vec<Reply> {
        self.send(&message('Q', &text(sql))).await;
        self.until('Z').await
    }

    pub(crate) async fn parse(&mut self, name: &str, sql: &str) {
        let body = [text(name), text(sql), vec![0, 0]].concat();
        self.send(&message('P', &body)).await;
    }

    pub(crate) async fn bind(&mut self, portal: &str, name: &str) {
        let body = [text(portal), text(name), vec![0; 6]].concat();
        self.send(&message('B', &body)).await;
    }

    pub(crate) async fn execute(&mut self, portal: &str, max_rows: i32) {
        let body = [text(portal), max_rows.to_be_bytes().to_vec()].concat();
        self.send(&message('E', &body)).await;
    }

    pub(crate) async fn sync(&mut self) -> Vec<Reply> {
        self.send(&message('S', &[])).await;
        self.until('Z').await
    }
}

/// The kinds of messages, in order.
pub(crate) fn tags(replies: &[Reply]) -> String {
    replies.iter().map(|reply| reply.tag).collect()
}

/// The first error's SQLSTATE.
pub(crate) fn sqlstate(replies: &[Reply]) -> Option<String> {
    replies.iter().find(|reply| reply.tag == 'E')?.field(b'C')
}

/// The fields of a DataRow as text.
pub(crate) fn row(reply: &Reply) -> Vec<Option<String>> {
    let mut body = &reply.body[..];
    let count = body.get_i16();
    let field = |body: &mut &[u8]| {
        let length = usize::try_from(body.get_i32()).ok()?;
        let (value, rest) = body.split_at(length);
        *body = rest;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    (0..count).map(|_| field(&mut body)).collect()
}
