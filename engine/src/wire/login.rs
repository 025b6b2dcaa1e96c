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
use super::startup::{SessionRequest, parse_options};
use super::work::shutting_down;

/// Start-up parameters that are not run-time parameters.
const NOT_SETTINGS: &[&str] = &["user", "database", "options", "replication", "client_encoding"];

/// A connection's place among all, and among those of its login; given back when dropped.
pub(crate) type Places = (OwnedSemaphorePermit, LoginPlace);

impl Shared {
    /// Logs a client in, up to the messages before ReadyForQuery. Everything but success ends the connection.
    pub(crate) async fn log_in(
        &self,
        link: &mut Link,
        request: SessionRequest,
        peer: IpAddr,
        encrypted: bool,
    ) -> Result<Entered, ConnectionEnd> {
        let SessionRequest { key_length, negotiate, parameters } = request;
        if let Some((version, options)) = negotiate {
            link.put(&NegotiateProtocolVersion::new(version, options));
        }
        if !encrypted && self.config.requires_encryption() {
            let failure = Failure::new("28000", "connections without encryption are not accepted");
            return Err(ConnectionEnd::Fatal(failure.with_hint("Connect with sslmode=require or stricter.")));
        }
        let login = parameters.get("user").filter(|login| !login.is_empty()).cloned().unwrap_or_default();
        if login.is_empty() {
            let failure = Failure::new("28000", "no PostgreSQL user name specified in startup packet");
            return Err(ConnectionEnd::Fatal(failure));
        }
        check_parameters(&parameters)?;
        let crowded = || ConnectionEnd::Fatal(Failure::new("53300", "sorry, too many clients already"));
        let place = Arc::clone(&self.connections).try_acquire_owned().map_err(|_| crowded())?;

        let certificate = self.config.tls.as_ref().filter(|_| encrypted).map(|tls| &*tls.certificate_pem);
        let candidate = Candidate { login: &login, peer, certificate };
        authenticate(link, &*self.backend, &self.throttle, &candidate).await?;

        let login_place = LoginPlace::take(&self.per_login, &login, self.config.limits.connections_per_login_max);
        let crowded =
            || ConnectionEnd::Fatal(Failure::new("53300", format!("too many connections for role \"{login}\"")));
        let login_place = login_place.ok_or_else(crowded)?;
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
        apply_settings(&*session, &parameters).map_err(ConnectionEnd::Fatal)?;
        if self.closing.is_cancelled() {
            return Err(ConnectionEnd::Fatal(shutting_down()));
        }
        let mut reported = Reported::new(&login);
        reported.send_changes(&*session, link);
        link.put(&BackendKeyData::new(registration.pid, SecretKey::Bytes(registration.secret.clone())));
        Ok(Entered { session, registration, reported, closing, places: (place, login_place) })
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

/// A login's place among its own connections.
pub(crate) struct LoginPlace {
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
        Some(Self { counts: Arc::clone(counts), login: login.to_owned() })
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
