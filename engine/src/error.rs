//! What can go wrong in a warehouse, for programs that embed it and for the command line.

use crate::billing::BillingError;
use crate::catalog::CatalogError;
use crate::lake::LakeError;
use crate::landing::LandingError;
use crate::rating::RatingError;
use crate::security::SessionError;

/// A failure of a warehouse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Provider files.
    #[error(transparent)]
    Landing(#[from] LandingError),
    /// Pricing.
    #[error(transparent)]
    Rating(#[from] RatingError),
    /// Closing and documents.
    #[error(transparent)]
    Billing(#[from] BillingError),
    /// A statement.
    #[error("{0}")]
    Session(#[from] SessionError),
    /// The query engine.
    #[error("query engine: {0}")]
    Engine(#[from] datafusion::error::DataFusionError),
    /// Arrow.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A file or directory.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Sums that must agree do not; nothing was written.
    #[error("conservation check failed: {0}; nothing was changed")]
    Conservation(String),
    /// Something asked for cannot be done; the text says what to do.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// The error as a session shows it.
    pub fn shown(self) -> SessionError {
        match self {
            Self::Session(error) => error,
            Self::Catalog(error) => error.into(),
            Self::Engine(error) => error.into(),
            Self::Arrow(error) => datafusion::error::DataFusionError::from(error).into(),
            Self::Refused(text) => SessionError::new("55000", text),
            Self::Conservation(_) => SessionError::new("XX001", self.to_string()),
            Self::Landing(error) => SessionError::new("22000", error.to_string()),
            Self::Billing(BillingError::Catalog(error)) => error.into(),
            Self::Billing(error) => SessionError::new(error.sqlstate(), error.to_string()),
            Self::Rating(error) => SessionError::new("22000", error.to_string()),
            Self::Lake(_) | Self::Io { .. } => {
                tracing::error!(error = %self, "storage");
                SessionError::new("58030", "stored data could not be read or written")
            }
        }
    }
}
