//! Why a collection stops.

use chrono::{DateTime, Utc};

use crate::catalog::CatalogError;
use crate::error::Error;
use crate::landing::LandingError;

/// A collection cannot go on; what it has is kept. No text here holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Nothing is wrong: it goes on later from where it is.
    #[error("{why}; it goes on at {}", until.format("%Y-%m-%d %H:%M:%S UTC"))]
    Paused {
        /// From when on.
        until: DateTime<Utc>,
        /// Why it waits.
        why: String,
    },
    /// The secret cannot be read.
    #[error("the credential {reference} cannot be used: {reason}")]
    Credential {
        /// Where it should be.
        reference: String,
        /// What is wrong.
        reason: String,
    },
    /// A provider refused or answered what cannot be used.
    #[error("{address}: {reason}")]
    Refused {
        /// The address without parameters.
        address: String,
        /// What was said.
        reason: String,
    },
    /// The settings ask for what cannot be done.
    #[error("{0}")]
    Settings(String),
    /// A file of the collection.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Finding files.
    #[error(transparent)]
    Landing(#[from] LandingError),
    /// Landing them.
    #[error(transparent)]
    Warehouse(Box<Error>),
}

impl From<Error> for CollectError {
    fn from(error: Error) -> Self {
        Self::Warehouse(Box::new(error))
    }
}

impl CollectError {
    pub(super) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }
}
