//! The listener: accepts, counts, logs in, and hands each connection to its own task.
//!
//! Every error before the end of the login is FATAL and ends the connection; no statement is read before.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use pgwire::messages::startup::{BackendKeyData, NegotiateProtocolVersion, SecretKey};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::auth::{Candidate, authenticate};
use super::backend::{Backend, BackendSession, ConnectionFacts, Failure};
use super::cancel::{CancelRegistry, Registration};
use super::config::ServeConfig;
use super::connection::{Connection, ConnectionParts};
use super::error::ConnectionEnd;
use super::link::Link;
use super::settings::{Reported, is_utf8};
use super::startup::{self, Opening, Request, SessionRequest, parse_options};
use super::throttle::Throttle;
use super::work::{Work, shutting_down};

/// Start-up parameters that are not run-time parameters.
const NOT_SETTINGS: &[&str] = &[
    "user",
    "database",
    "options",
    "replication",
    "client_encoding",
];

/// A running listener. Dropping it does not stop it; [`Server::shutdown`] does.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    backend: Arc<dyn Backend>,
    config: ServeConfig,
    registry: Arc<CancelRegistry>,
    throttle: Throttle,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    per_login: Arc<Mutex<HashMap<String, usize>>>,
    closing: CancellationToken,
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
        closing: CancellationToken::new(),
        alive: Arc::new(Semaphore::new(ALIVE_MAX as usize)),
        config,
    });
    let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
    Ok(Server {
        address,
        shared,
        accepting,
    })
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
        if timeout(grace, self.shared.alive.acquire_many(ALIVE_MAX))
            .await
            .is_err()
        {
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
    _places: (OwnedSemaphorePermit, LoginPlace),
}

impl Shared {
    async fn connection(&self, socket: TcpStream, peer: IpAddr, handshake: OwnedSemaphorePermit) {
        if let Err(error) = prepare_socket(&socket) {
            tracing::debug!(%error, "socket options could not be set");
        }
        let login = timeout(
            self.config.limits.login_timeout,
            self.open_session(socket, peer),
        );
        let logged_in = tokio::select! {
            logged_in = login => logged_in,
            () = self.closing.cancelled() => return,
        };
        drop(handshake);
        match logged_in {
            Ok(Some(LoggedIn {
                connection,
                _places,
            })) => connection.serve().await,
            Ok(None) => {}
            Err(_) => tracing::info!(%peer, "login took too long"),
        }
    }

    /// Takes a socket from its first byte to the end of the login; a refusal is sent and ends here.
    async fn open_session(&self, socket: TcpStream, peer: IpAddr) -> Option<LoggedIn> {
        let tls = self.config.tls.as_ref();
        let opening = startup::open(socket, tls.map(|tls| &tls.acceptor))
            .await
            .ok()?;
        let Opening {
            stream,
            encrypted,
            request,
        } = opening;
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
        match self.log_in(&mut link, request, peer, encrypted).await {
            Ok(entered) => Some(LoggedIn {
                connection: Connection::new(ConnectionParts {
                    link,
                    session: entered.session,
                    work: Work::new(self.config.work.clone()),
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

    async fn log_in(
        &self,
        link: &mut Link,
        request: SessionRequest,
        peer: IpAddr,
        encrypted: bool,
    ) -> Result<Entered, ConnectionEnd> {
        let SessionRequest {
            key_length,
            negotiate,
            parameters,
        } = request;
        if let Some((version, options)) = negotiate {
            link.put(&NegotiateProtocolVersion::new(version, options));
        }
        if !encrypted && self.config.requires_encryption() {
            let failure = Failure::new("28000", "connections without encryption are not accepted");
            return Err(ConnectionEnd::Fatal(
                failure.with_hint("Connect with sslmode=require or stricter."),
            ));
        }
        let login = parameters
            .get("user")
            .filter(|login| !login.is_empty())
            .cloned()
            .unwrap_or_default();
        if login.is_empty() {
            let failure = Failure::new(
                "28000",
                "no PostgreSQL user name specified in startup packet",
            );
            return Err(ConnectionEnd::Fatal(failure));
        }
        check_parameters(&parameters)?;
        let crowded =
            || ConnectionEnd::Fatal(Failure::new("53300", "sorry, too many clients already"));
        let place = Arc::clone(&self.connections)
            .try_acquire_owned()
            .map_err(|_| crowded())?;

        let certificate = self
            .config
            .tls
            .as_ref()
            .filter(|_| encrypted)
            .map(|tls| &*tls.certificate_pem);
        let candidate = Candidate {
            login: &login,
            peer,
            certificate,
        };
        authenticate(link, &*self.backend, &self.throttle, &candidate).await?;

        let login_place = LoginPlace::take(
            &self.per_login,
            &login,
            self.config.limits.connections_per_login_max,
        );
        let crowded = || {
            ConnectionEnd::Fatal(Failure::new(
                "53300",
                format!("too many connections for role \"{login}\""),
            ))
        };
        let login_place = login_place.ok_or_else(crowded)?;
        let database = parameters
            .get("database")
            .cloned()
            .unwrap_or_else(|| login.clone());
        if !self.backend.serves_database(&database) {
            let failure = Failure::new("3D000", format!("database \"{database}\" does not exist"));
            return Err(ConnectionEnd::Fatal(failure));
        }
        let closing = self.closing.child_token();
        let registration = self.registry.register(key_length, closing.clone());
        let facts = ConnectionFacts {
            login: login.clone(),
            database,
            pid: registration.pid,
            peer,
            encrypted,
            registry: Arc::clone(&self.registry),
        };
        let session = self
            .backend
            .session(facts)
            .await
            .map_err(ConnectionEnd::Fatal)?;
        apply_settings(&*session, &parameters).map_err(ConnectionEnd::Fatal)?;
        if self.closing.is_cancelled() {
            return Err(ConnectionEnd::Fatal(shutting_down()));
        }
        let mut reported = Reported::new(&login);
        reported.send_changes(&*session, link);
        link.put(&BackendKeyData::new(
            registration.pid,
            SecretKey::Bytes(registration.secret.clone()),
        ));
        Ok(Entered {
            session,
            registration,
            reported,
            closing,
            places: (place, login_place),
        })
    }
}

/// What a successful login yields.
struct Entered {
    session: Arc<dyn BackendSession>,
    registration: Registration,
    reported: Reported,
    closing: CancellationToken,
    places: (OwnedSemaphorePermit, LoginPlace),
}

fn prepare_socket(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)
}

/// Refuses what is not served, whoever asks for it.
fn check_parameters(parameters: &BTreeMap<String, String>) -> Result<(), ConnectionEnd> {
    let refuse =
        |sqlstate, message: String| Err(ConnectionEnd::Fatal(Failure::new(sqlstate, message)));
    if let Some(encoding) = parameters
        .get("client_encoding")
        .filter(|encoding| !is_utf8(encoding))
    {
        // libpq's "auto" is resolved by libpq itself and never arrives here.
        return refuse(
            "22023",
            format!("invalid value for parameter \"client_encoding\": \"{encoding}\""),
        );
    }
    match parameters
        .get("replication")
        .map(|value| value.to_ascii_lowercase())
        .as_deref()
    {
        None | Some("false" | "off" | "no" | "0") => Ok(()),
        Some(_) => refuse(
            "0A000",
            "replication connections are not supported".to_owned(),
        ),
    }
}

/// Applies the start-up parameters that are settings: those of `options` first, so that direct ones win, as in Postgres.
fn apply_settings(
    session: &dyn BackendSession,
    parameters: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    if let Some(options) = parameters.get("options") {
        for (name, value) in parse_options(options)? {
            session.set_at_startup(&name, &value)?;
        }
    }
    for (name, value) in parameters {
        if !NOT_SETTINGS.contains(&name.as_str()) {
            session.set_at_startup(&name.to_lowercase(), value)?;
        }
    }
    Ok(())
}

/// A login's place among its own connections.
struct LoginPlace {
    counts: Arc<Mutex<HashMap<String, usize>>>,
    login: String,
}

impl LoginPlace {
    fn take(counts: &Arc<Mutex<HashMap<String, usize>>>, login: &str, most: usize) -> Option<Self> {
        let mut held = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(login.to_owned()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self {
            counts: Arc::clone(counts),
            login: login.to_owned(),
        })
    }
}

impl Drop for LoginPlace {
    fn drop(&mut self) {
        let mut held = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.login) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.login);
            }
        }
    }
}
