//! A client whose every byte from the server is kept.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ratehouse::wire::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Client;

use crate::fixture::PASSWORD;
use crate::wire::connect;

/// A logged-in client behind a listener that passes bytes on and keeps those of the server.
pub(super) struct Tapped {
    pub(super) client: Client,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Tapped {
    pub(super) async fn connect(server: &Server, login: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let to = server.local_addr();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeping = Arc::clone(&kept);
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.expect("a client");
            let server = TcpStream::connect(to).await.expect("the server listens");
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                let _ = to_server.shutdown().await;
            });
            let mut buffer = vec![0; 1 << 16];
            while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                keeping.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..read]);
                if to_client.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
        });
        let client = connect(port, login, PASSWORD).await.unwrap_or_else(|error| panic!("{login}: {error}"));
        let this = Self { client, kept };
        // Nonces and cancel keys are random.
        this.take();
        this
    }

    /// What the server sent since the last call.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the server answers, by the extended protocol or the simple one.
    pub(super) async fn ask(&self, sql: &str, extended: bool) -> Vec<u8> {
        let asked = micros();
        let mut bytes = if extended { self.extended(sql).await } else { self.simple(sql).await };
        if sql.starts_with("explain ") {
            blank_instants(&mut bytes, asked..=micros());
        }
        bytes
    }

    /// What the server answers to a text, byte by byte.
    pub(super) async fn simple(&self, sql: &str) -> Vec<u8> {
        let _ = self.client.simple_query(sql).await;
        self.settled().await
    }

    /// The same by the extended protocol: described, then run with binary results.
    pub(super) async fn extended(&self, sql: &str) -> Vec<u8> {
        if let Ok(statement) = self.client.prepare(sql).await
            && statement.params().is_empty()
        {
            let _ = self.client.query(&statement, &[]).await;
        }
        self.settled().await
    }

    /// The driver tells of an error before all of the answer is there, and closes statements behind its user's back: the answer
    /// to something else comes after all that.
    pub(super) async fn settled(&self) -> Vec<u8> {
        let _ = self.client.simple_query("").await;
        self.take()
    }
}

fn micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

/// A plan shows `now()` as the instant at which it was made, which differs between two servers that are asked one after the
/// other: an instant while the answer was awaited is made zeros. Every other one stays.
fn blank_instants(bytes: &mut [u8], awaited: RangeInclusive<u128>) {
    for digits in bytes.chunk_by_mut(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        let instant = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
        if instant.is_some_and(|instant| awaited.contains(&instant)) {
            digits.fill(b'0');
        }
    }
}

#[test]
fn only_instants_of_the_awaited_answer_are_blanked() {
    let mut bytes = *b"expires_at@8 > 1795991483469337D\x00\x01 1795991483469330 17959914834693371";
    blank_instants(&mut bytes, 1_795_991_483_469_335..=1_795_991_483_469_340);
    assert_eq!(&bytes, b"expires_at@8 > 0000000000000000D\x00\x01 1795991483469330 17959914834693371");
}
