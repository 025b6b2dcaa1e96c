//! How the Postgres face is served: address, encryption, limits, threads.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Everything the listener needs to know.
#[derive(Clone)]
pub struct ServeConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate; without one nothing is encrypted.
    pub tls: Option<Tls>,
    /// Whether clients may connect without encryption.
    pub encryption: Encryption,
    /// Whether clients must show a certificate of the authority that [`Tls`] trusts; those they show must be right in any case.
    pub requires_client_certificate: bool,
    /// Bounds on everything a client may use up.
    pub limits: Limits,
    /// Where statements are planned and run; not the runtime that serves the sockets.
    pub work: Handle,
}

impl ServeConfig {
    /// Listens at an address with default limits and without a certificate.
    pub fn new(listen: SocketAddr, work: Handle) -> Self {
        Self {
            listen,
            tls: None,
            encryption: Encryption::UnlessLoopback,
            requires_client_certificate: false,
            limits: Limits::default(),
            work,
        }
    }

    /// Whether a connection in the clear is refused.
    pub(crate) fn requires_encryption(&self) -> bool {
        match self.encryption {
            Encryption::Required => true,
            Encryption::UnlessLoopback => !self.listen.ip().is_loopback(),
            Encryption::Optional => false,
        }
    }
}

/// Whether clients may connect without encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// They may not.
    Required,
    /// Only to a listener on a loopback address.
    UnlessLoopback,
    /// They may. Passwords are still never sent, but results are readable on the way.
    Optional,
}

/// Bounds on everything a client may use up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections that have sent their start-up packet.
    pub connections_max: usize,
    /// Connections of one login.
    pub connections_per_login_max: usize,
    /// Connections of the logins of one node, so that one tenant cannot take every place.
    pub connections_per_node_max: usize,
    /// Connections that have not finished their login.
    pub handshakes_max: usize,
    /// Bytes of a message after login; CopyData is streamed and not bounded.
    pub message_bytes_max: usize,
    /// Named prepared statements of a connection.
    pub statements_max: usize,
    /// Portals and cursors of a connection.
    pub portals_max: usize,
    /// Bytes that all scrollable cursors of a connection may keep.
    pub scroll_bytes_max: usize,
    /// From accept to the end of the login.
    pub login_timeout: Duration,
    /// Between two messages of a client.
    pub idle_timeout: Duration,
    /// Without progress while something is sent.
    pub write_stall_timeout: Duration,
    /// For connections to end after a shutdown.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            connections_per_login_max: 50,
            connections_per_node_max: 100,
            handshakes_max: 4_096,
            message_bytes_max: 1024 * 1024,
            statements_max: 256,
            portals_max: 64,
            scroll_bytes_max: 64 * 1024 * 1024,
            login_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(8 * 60 * 60),
            write_stall_timeout: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

/// A certificate ready to be used.
#[derive(Clone)]
pub struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    /// The first certificate of the chain, for channel binding.
    pub(crate) certificate_pem: Arc<[u8]>,
}

/// Why a certificate cannot be used. The server does not start then, rather than serve in the clear.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable or holds no PEM of the right kind.
    #[error("cannot read {what} from {path}: {source}")]
    Pem {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: String,
        /// The reason.
        source: pem::Error,
    },
    /// The file has no certificate in it.
    #[error("no certificate in {path}")]
    Empty {
        /// The file.
        path: String,
    },
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] tokio_rustls::rustls::Error),
    /// The authority's certificates cannot be used to check those of clients.
    #[error("certificates of clients cannot be checked: {0}")]
    Authority(#[from] VerifierBuilderError),
}

impl Tls {
    /// Reads a certificate chain and its key from PEM files, and those of the authority that signs the certificates of clients,
    /// if there is one. TLS 1.2 and 1.3 are offered.
    pub fn from_pem_files(certificates: &Path, key: &Path, client_authority: Option<&Path>) -> Result<Self, TlsError> {
        let chain = certificates_of(certificates)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(failed("a private key", key))?;
        let first = chain.first().ok_or_else(|| TlsError::Empty { path: certificates.display().to_string() })?;
        let certificate_pem = pem_of(first).into_bytes().into();
        let provider = Arc::new(ring::default_provider());
        let clients = match client_authority {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates_of(path)? {
                    roots.add(certificate)?;
                }
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .allow_unauthenticated()
                    .build()?
            }
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate_pem })
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(pem::Error) -> TlsError {
    let path = path.display().to_string();
    move |source| TlsError::Pem { what, path, source }
}

fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(failed("a certificate", path))
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
