//! A login, from the start-up packet to the session.
//!
//! The order is that of Postgres: encryption, a free place, the password, and only then what could tell something about the
//! warehouse: the database, the settings.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use pgwire::messages::startup::{BackendKeyData, NegotiateProtocolVersion, SecretKey};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::auth::{Candidate, authenticate};
use super::backend::{BackendSession, ConnectionFacts, Failure};
use super::cancel::Registration;
use super::error::ConnectionEnd;
use super::link::Link;
use super::server::Shared;
use super::settings::{Reported, is_utf8};
use super::startup::{Channel, SessionRequest, parse_options};
use super::work::shutting_down;

/// Start-up parameters that are not run-time parameters.
const NOT_SETTINGS: &[&str] = &["user", "database", "options", "replication", "client_encoding"];

/// A connection's place among all, among those of its login, and among those of the login's node; given back when dropped.
pub(crate) struct Places {
    _listener: OwnedSemaphorePermit,
    _login: Place,
    _node: Place,
}

impl Shared {
    /// Logs a client in, up to the messages before ReadyForQuery. Everything but success ends the connection.
    pub(crate) async fn log_in(
        &self,
        link: &mut Link,
        request: SessionRequest,
        peer: IpAddr,
        channel: &Channel,
    ) -> Result<Entered, ConnectionEnd> {
        let SessionRequest { key_length, negotiate, parameters } = request;
        if let Some((version, options)) = negotiate {
            link.put(&NegotiateProtocolVersion::new(version, options));
        }
        if *channel == Channel::Clear && self.config.requires_encryption() {
            let failure = Failure::new("28000", "connections without encryption are not accepted");
            return Err(ConnectionEnd::Fatal(failure.with_hint("Connect with sslmode=require or stricter.")));
        }
        let login = parameters.get("user").filter(|login| !login.is_empty()).cloned().unwrap_or_default();
        if login.is_empty() {
            let failure = Failure::new("28000", "no PostgreSQL user name specified in startup packet");
            return Err(ConnectionEnd::Fatal(failure));
        }
        self.check_certificate(channel, &login)?;
        check_parameters(&parameters)?;
        let crowded = || ConnectionEnd::Fatal(Failure::new("53300", "sorry, too many clients already"));
        let place = Arc::clone(&self.connections).try_acquire_owned().map_err(|_| crowded())?;

        let encrypted = *channel != Channel::Clear;
        let certificate = self.config.tls.as_ref().filter(|_| encrypted).map(|tls| &*tls.certificate_pem);
        let candidate = Candidate { login: &login, peer, certificate };
        authenticate(link, &*self.backend, &self.throttle, &candidate).await?;

        let limits = &self.config.limits;
        let login_place = Place::take(&self.per_login, &login, limits.connections_per_login_max).ok_or_else(|| {
            ConnectionEnd::Fatal(Failure::new("53300", format!("too many connections for role \"{login}\"")))
        })?;
        let database = parameters.get("database").cloned().unwrap_or_else(|| login.clone());
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
        let session = self.backend.session(facts).await.map_err(ConnectionEnd::Fatal)?;
        let node_place =
            Place::take(&self.per_node, session.node(), limits.connections_per_node_max).ok_or_else(|| {
                ConnectionEnd::Fatal(Failure::new("53300", "too many connections of your organization's logins"))
            })?;
        apply_settings(&*session, &parameters).map_err(ConnectionEnd::Fatal)?;
        if self.closing.is_cancelled() {
            return Err(ConnectionEnd::Fatal(shutting_down()));
        }
        let mut reported = Reported::new(&login);
        reported.send_changes(&*session, link);
        link.put(&BackendKeyData::new(registration.pid, SecretKey::Bytes(registration.secret.clone())));
        Ok(Entered {
            session,
            registration,
            reported,
            closing,
            places: Places { _listener: place, _login: login_place, _node: node_place },
        })
    }
}

impl Shared {
    /// A certificate that the client shows must name the login, besides its password.
    fn check_certificate(&self, channel: &Channel, login: &str) -> Result<(), ConnectionEnd> {
        let refuse = |message: String| Err(ConnectionEnd::Fatal(Failure::new("28000", message)));
        match channel {
            Channel::Encrypted { client: Some(client) } if client.0 != login => {
                refuse(format!("certificate authentication failed for user \"{login}\""))
            }
            Channel::Clear | Channel::Encrypted { client: None } if self.config.requires_client_certificate => {
                refuse("connection requires a valid client certificate".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// What a successful login yields.
pub(crate) struct Entered {
    pub(crate) session: Arc<dyn BackendSession>,
    pub(crate) registration: Registration,
    pub(crate) reported: Reported,
    pub(crate) closing: CancellationToken,
    pub(crate) places: Places,
}

/// Refuses what is not served, whoever asks for it.
fn check_parameters(parameters: &BTreeMap<String, String>) -> Result<(), ConnectionEnd> {
    let refuse = |sqlstate, message: String| Err(ConnectionEnd::Fatal(Failure::new(sqlstate, message)));
    if let Some(encoding) = parameters.get("client_encoding").filter(|encoding| !is_utf8(encoding)) {
        // libpq's "auto" is resolved by libpq itself and never arrives here.
        return refuse("22023", format!("invalid value for parameter \"client_encoding\": \"{encoding}\""));
    }
    match parameters.get("replication").map(|value| value.to_ascii_lowercase()).as_deref() {
        None | Some("false" | "off" | "no" | "0") => Ok(()),
        Some(_) => refuse("0A000", "replication connections are not supported".to_owned()),
    }
}

/// Applies the start-up parameters that are settings: those of `options` first, so that direct ones win, as in Postgres.
fn apply_settings(session: &dyn BackendSession, parameters: &BTreeMap<String, String>) -> Result<(), Failure> {
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

/// Connections that are open, by the name of whose they are.
pub(crate) type Counts = Arc<Mutex<HashMap<String, usize>>>;

/// A place among the connections of one name.
struct Place {
    counts: Counts,
    name: String,
}

impl Place {
    fn take(counts: &Counts, name: &str, most: usize) -> Option<Self> {
        let mut held = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(name.to_owned()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self { counts: Arc::clone(counts), name: name.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.name);
            }
        }
    }
}
