//! The listener: accepts, counts, logs in, and hands each connection to its own task.
//!
//! Every error before the end of the login is FATAL and ends the connection; no statement is read before.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::backend::Backend;
use super::cancel::CancelRegistry;
use super::config::ServeConfig;
use super::connection::{Connection, ConnectionParts};
use super::error::ConnectionEnd;
use super::link::Link;
use super::login::{Counts, Places};
use super::startup::{self, Opening, Request};
use super::throttle::Throttle;
use super::work::Work;

/// A running listener. Dropping it does not stop it; [`Server::shutdown`] does.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What all connections of a listener share.
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) config: ServeConfig,
    pub(crate) registry: Arc<CancelRegistry>,
    pub(crate) throttle: Throttle,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) handshakes: Arc<Semaphore>,
    pub(crate) per_login: Counts,
    pub(crate) per_node: Counts,
    pub(crate) closing: CancellationToken,
    /// Held once by every connection's task, to wait for all of them.
    alive: Arc<Semaphore>,
}

/// Permits of the semaphore that counts running tasks.
const ALIVE_MAX: u32 = 1 << 20;

/// Starts serving.
///
/// Errors: when the address cannot be bound.
pub async fn serve(backend: Arc<dyn Backend>, config: ServeConfig) -> io::Result<Server> {
    let listener = TcpListener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared {
        backend,
        registry: Arc::new(CancelRegistry::default()),
        throttle: Throttle::default(),
        connections: Arc::new(Semaphore::new(config.limits.connections_max)),
        handshakes: Arc::new(Semaphore::new(config.limits.handshakes_max)),
        per_login: Arc::default(),
        per_node: Arc::default(),
        closing: CancellationToken::new(),
        alive: Arc::new(Semaphore::new(ALIVE_MAX as usize)),
        config,
    });
    let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
    Ok(Server { address, shared, accepting })
}

impl Server {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The running connections, for the administration of them.
    pub fn registry(&self) -> &Arc<CancelRegistry> {
        &self.shared.registry
    }

    /// Stops accepting, cancels what runs, tells every client, and waits for them within the grace of the configuration.
    pub async fn shutdown(self) {
        self.shared.closing.cancel();
        self.accepting.abort();
        let grace = self.shared.config.limits.shutdown_grace;
        if timeout(grace, self.shared.alive.acquire_many(ALIVE_MAX)).await.is_err() {
            tracing::warn!("connections were still open when the listener stopped");
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                // More half-open logins than the bound are dropped without an answer: answering them is what they want.
                let Ok(handshake) = Arc::clone(&shared.handshakes).try_acquire_owned() else {
                    tracing::warn!(%peer, "too many logins at once");
                    continue;
                };
                let Ok(alive) = Arc::clone(&shared.alive).try_acquire_owned() else {
                    continue;
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    shared.connection(socket, peer.ip(), handshake).await;
                    drop(alive);
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: waiting is all that helps.
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// A connection that has logged in, and what it holds while it lives.
struct LoggedIn {
    connection: Connection,
    _places: Places,
}

impl Shared {
    async fn connection(&self, socket: TcpStream, peer: IpAddr, handshake: OwnedSemaphorePermit) {
        if let Err(error) = prepare_socket(&socket) {
            tracing::debug!(%error, "socket options could not be set");
        }
        let login = timeout(self.config.limits.login_timeout, self.open_session(socket, peer));
        let logged_in = tokio::select! {
            logged_in = login => logged_in,
            () = self.closing.cancelled() => return,
        };
        drop(handshake);
        match logged_in {
            Ok(Some(LoggedIn { connection, _places })) => connection.serve().await,
            Ok(None) => {}
            Err(_) => tracing::info!(%peer, "login took too long"),
        }
    }

    /// Takes a socket from its first byte to the end of the login; a refusal is sent and ends here.
    async fn open_session(&self, socket: TcpStream, peer: IpAddr) -> Option<LoggedIn> {
        let tls = self.config.tls.as_ref();
        let opening = startup::open(socket, tls.map(|tls| &tls.acceptor)).await.ok()?;
        let Opening { stream, channel, request } = opening;
        let mut link = Link::new(stream, self.config.limits.write_stall_timeout);
        let request = match request {
            Request::Cancel { pid, secret } => {
                self.registry.cancel(pid, &secret);
                // Closed in order, not just dropped: over TLS libpq reports an abrupt end as an error.
                link.close(None).await;
                return None;
            }
            Request::Refused(failure) => {
                link.close(Some(failure)).await;
                return None;
            }
            Request::Session(request) => request,
        };
        match self.log_in(&mut link, request, peer, &channel).await {
            Ok(entered) => Some(LoggedIn {
                connection: Connection::new(ConnectionParts {
                    link,
                    work: Work::new(self.config.work.clone(), Arc::clone(&entered.session)),
                    session: entered.session,
                    limits: self.config.limits.clone(),
                    registration: entered.registration,
                    reported: entered.reported,
                    closing: entered.closing,
                }),
                _places: entered.places,
            }),
            Err(ConnectionEnd::Fatal(failure)) => {
                link.close(Some(failure)).await;
                None
            }
            Err(ConnectionEnd::Terminated | ConnectionEnd::Gone) => None,
        }
    }
}

fn prepare_socket(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)
}
