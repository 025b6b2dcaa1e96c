//! Settings of a warehouse: `ratehouse.toml` in its directory, overridden by the environment.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;

/// The file's name.
pub const FILE_NAME: &str = "ratehouse.toml";

/// Settings, each with its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Memory that all queries together may use, in bytes (`memory_mib`, `RATEHOUSE_MEMORY_MIB`).
    pub memory_bytes: usize,
    /// Memory that the sessions of one login may use, in bytes (`session_memory_mib`).
    pub session_memory_bytes: usize,
    /// Temporary files of landings, in bytes (`temporary_gib`).
    pub temporary_bytes: u64,
    /// Temporary files of one session's queries, in bytes (`session_temporary_gib`).
    pub session_temporary_bytes: u64,
    /// Memory that one landing may use for clustering rows and for roll-ups, in bytes (`landing_memory_mib`).
    pub landing_memory_bytes: usize,
    /// Threads of one query or landing (`threads`, `RATEHOUSE_THREADS`).
    pub threads: usize,
    /// How long a statement may run unless the session says otherwise (`statement_timeout_s`).
    pub statement_timeout: Duration,
    /// The most that a session may ask for (`statement_timeout_max_s`).
    pub statement_timeout_max: Duration,
    /// Connections that a listener serves at once (`connections_max`).
    pub connections_max: usize,
    /// Connections of one login (`connections_per_login_max`).
    pub connections_per_login_max: usize,
    /// Connections of the logins of one node (`connections_per_node_max`).
    pub connections_per_node_max: usize,
    /// How long a connection may sit idle (`idle_timeout_s`).
    pub idle_timeout: Duration,
    /// Whether clients must encrypt even on a loopback address (`require_encryption`).
    pub require_encryption: bool,
    /// Whether clients must show a certificate of `--tls-client-ca` (`require_client_certificate`).
    pub require_client_certificate: bool,
    /// Days that replaced files are kept for readers of the past (`keep_replaced_days`).
    pub keep_replaced_days: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    memory_mib: Option<usize>,
    session_memory_mib: Option<usize>,
    landing_memory_mib: Option<usize>,
    temporary_gib: Option<u64>,
    session_temporary_gib: Option<u64>,
    threads: Option<usize>,
    statement_timeout_s: Option<u64>,
    statement_timeout_max_s: Option<u64>,
    connections_max: Option<usize>,
    connections_per_login_max: Option<usize>,
    connections_per_node_max: Option<usize>,
    idle_timeout_s: Option<u64>,
    require_encryption: Option<bool>,
    require_client_certificate: Option<bool>,
    keep_replaced_days: Option<u32>,
}

const MIB: usize = 1 << 20;
const GIB: u64 = 1 << 30;

impl Config {
    /// Reads the settings of a directory.
    ///
    /// # Errors
    /// A file that cannot be read or holds an unknown setting.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE_NAME);
        let file: File = match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|error| Error::Refused(format!("{}: {}", path.display(), error.message())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
            Err(source) => return Err(Error::Io { path: path.display().to_string(), source }),
        };
        let memory_mib = environment("RATEHOUSE_MEMORY_MIB")?.or(file.memory_mib).unwrap_or(2048).max(64);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            memory_bytes: memory_mib.saturating_mul(MIB),
            session_memory_bytes: file.session_memory_mib.unwrap_or(memory_mib / 2).max(32).saturating_mul(MIB),
            temporary_bytes: file.temporary_gib.unwrap_or(1_000).saturating_mul(GIB),
            session_temporary_bytes: file.session_temporary_gib.unwrap_or(10).saturating_mul(GIB),
            landing_memory_bytes: file.landing_memory_mib.unwrap_or(512).max(16).saturating_mul(MIB),
            threads: environment("RATEHOUSE_THREADS")?.or(file.threads).unwrap_or(cores).clamp(1, 256),
            statement_timeout: Duration::from_secs(file.statement_timeout_s.unwrap_or(60)),
            statement_timeout_max: Duration::from_secs(file.statement_timeout_max_s.unwrap_or(15 * 60).max(1)),
            connections_max: file.connections_max.unwrap_or(1_000).clamp(1, 100_000),
            connections_per_login_max: file.connections_per_login_max.unwrap_or(50).clamp(1, 100_000),
            connections_per_node_max: file.connections_per_node_max.unwrap_or(100).clamp(1, 100_000),
            idle_timeout: Duration::from_secs(file.idle_timeout_s.unwrap_or(8 * 60 * 60).max(1)),
            require_encryption: file.require_encryption.unwrap_or(false),
            require_client_certificate: file.require_client_certificate.unwrap_or(false),
            keep_replaced_days: file.keep_replaced_days.unwrap_or(7),
        })
    }
}

fn environment(name: &str) -> Result<Option<usize>, Error> {
    match std::env::var(name) {
        Ok(text) => text.parse().map(Some).map_err(|_| Error::Refused(format!("{name} must be a whole number"))),
        Err(_) => Ok(None),
    }
}
