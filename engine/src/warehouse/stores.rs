//! Object stores of provider files, with the credentials that the environment holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use url::Url;

use crate::landing::{LandingError, Stores};

/// Finds stores by URL; credentials come from the environment, never from a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment;

impl Stores for Environment {
    fn resolve(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, LandingError> {
        let unreadable = |reason: String| LandingError::Unreadable { file: url.to_string(), reason };
        let variables = std::env::vars().map(|(key, value)| (key.to_ascii_lowercase(), value));
        let (store, _) = object_store::parse_url_opts(url, variables).map_err(|error| unreadable(error.to_string()))?;
        Ok(Arc::from(store))
    }
}

/// Finds stores by URL with options that a source's credential holds, such as `aws_access_key_id`, and none of the environment's.
#[derive(Clone)]
pub(crate) struct Given(pub(crate) BTreeMap<String, String>);

impl Stores for Given {
    fn resolve(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, LandingError> {
        let options = self.0.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.clone()));
        let (store, _) = object_store::parse_url_opts(url, options)
            .map_err(|error| LandingError::Unreadable { file: url.to_string(), reason: error.to_string() })?;
        Ok(Arc::from(store))
    }
}
