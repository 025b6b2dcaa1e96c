//! The run-time parameters a client is told of, at login and whenever they change.

use pgwire::messages::startup::ParameterStatus;

use super::backend::BackendSession;
use super::link::Link;

/// What PostgreSQL 15 reports, in its order, by the name the client sees; the value is used where the session has none.
const REPORTED: &[(&str, &str)] = &[
    ("application_name", ""),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("default_transaction_read_only", "off"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("IntervalStyle", "postgres"),
    ("is_superuser", "off"),
    ("server_encoding", "UTF8"),
    ("server_version", concat!("15.8 (Ratehouse ", env!("CARGO_PKG_VERSION"), ")")),
    ("session_authorization", ""),
    ("standard_conforming_strings", "on"),
    ("TimeZone", "UTC"),
];

/// The version that clients are told; drivers read the number in front.
pub const SERVER_VERSION: &str = concat!("15.8 (Ratehouse ", env!("CARGO_PKG_VERSION"), ")");

/// The reported parameters with the values last sent.
pub(crate) struct Reported {
    sent: Vec<Option<String>>,
    login: String,
}

impl Reported {
    /// Starts with nothing sent.
    pub(crate) fn new(login: &str) -> Self {
        Self { sent: vec![None; REPORTED.len()], login: login.to_owned() }
    }

    /// Appends a ParameterStatus for every parameter whose value is not the one last sent.
    pub(crate) fn send_changes(&mut self, session: &dyn BackendSession, link: &mut Link) {
        for ((name, default), sent) in REPORTED.iter().zip(&mut self.sent) {
            let fallback = if *name == "session_authorization" { &self.login } else { *default };
            let value = session.setting(&name.to_lowercase()).unwrap_or_else(|| fallback.to_owned());
            if sent.as_ref() != Some(&value) {
                link.put(&ParameterStatus::new((*name).to_owned(), value.clone()));
                *sent = Some(value);
            }
        }
    }
}

/// Whether a name of an encoding means UTF-8, the only one served.
pub(crate) fn is_utf8(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(letters.to_ascii_lowercase().as_str(), "utf8" | "unicode")
}
