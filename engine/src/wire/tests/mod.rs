//! The wire against a fake session: raw sockets for what drivers never send, a driver for what they do.

mod fake;
mod login;
mod protocol;
mod raw;
mod streaming;
mod values;

use std::sync::Arc;

use fake::FakeBackend;

use super::config::ServeConfig;
use super::{Server, serve};

/// A listener on a free loopback port.
pub(crate) struct Fixture {
    pub(crate) server: Server,
    pub(crate) backend: Arc<FakeBackend>,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ServeConfig)) -> Self {
        let backend = Arc::new(FakeBackend::new());
        let any_port = ([127, 0, 0, 1], 0).into();
        let mut config = ServeConfig::new(any_port, tokio::runtime::Handle::current());
        change(&mut config);
        let server = serve(Arc::clone(&backend) as Arc<dyn super::backend::Backend>, config).await.expect("listen");
        Self { server, backend }
    }

    /// A connection of a real driver.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        let config = format!(
            "host=127.0.0.1 port={} user={} password='{}' dbname={}",
            self.server.local_addr().port(),
            fake::LOGIN,
            fake::PASSWORD,
            fake::DATABASE
        );
        let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.expect("login");
        tokio::spawn(async move {
            // It ends with its client.
            drop(connection.await);
        });
        client
    }
}
