//! Object stores of provider files, with the credentials that the environment holds.

use std::sync::Arc;

use object_store::ObjectStore;
use url::Url;

use crate::landing::{LandingError, Stores};

/// Finds stores by URL; credentials come from the environment, never from a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Environment;

impl Stores for Environment {
    fn resolve(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, LandingError> {
        let unreadable = |reason: String| LandingError::Unreadable { file: url.to_string(), reason };
        let variables = std::env::vars().map(|(key, value)| (key.to_ascii_lowercase(), value));
        let (store, _) = object_store::parse_url_opts(url, variables).map_err(|error| unreadable(error.to_string()))?;
        Ok(Arc::from(store))
    }
}
