//! Secrets: the catalog knows where they are, and nothing of what they are.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::CollectError;

/// Longest secret that is read.
const SECRET_BYTES_MAX: u64 = 64 << 10;
const PATH_BYTES_MAX: usize = 4_096;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialRef {
    /// In an environment variable of this process.
    Environment(String),
    /// In a file that this process can read.
    File(PathBuf),
}

impl FromStr for CredentialRef {
    type Err = String;

    /// Reads `env:NAME` or `file:/path`. The error does not repeat the text: it may be the secret.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            "credential must be env:NAME or file:/path, which say where the secret is; never the secret itself"
                .to_owned()
        };
        if let Some(name) = text.strip_prefix("env:") {
            let is_name = name.len() <= 128
                && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
                && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            // Access keys of AWS are upper-case letters and digits too.
            let is_access_key = name.len() == 20 && !name.contains('_') && name.chars().any(|c| c.is_ascii_digit());
            return if is_name && !is_access_key { Ok(Self::Environment(name.to_owned())) } else { Err(refused()) };
        }
        let path = text.strip_prefix("file:").map(PathBuf::from).filter(|path| path.is_absolute());
        path.filter(|_| text.len() <= PATH_BYTES_MAX && !text.chars().any(char::is_control))
            .map(Self::File)
            .ok_or_else(refused)
    }
}

impl fmt::Display for CredentialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A secret in memory; nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// What was read or given by a provider.
    pub(super) fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The secret, for the one place that sends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl CredentialRef {
    /// Reads the secret.
    ///
    /// # Errors
    /// Which variable or file cannot be read.
    pub(crate) fn read(&self) -> Result<Secret, CollectError> {
        let failed = |reason: &str| CollectError::Credential { reference: self.to_string(), reason: reason.to_owned() };
        let text = match self {
            Self::Environment(name) => std::env::var(name).map_err(|_| failed("the variable is not set"))?,
            Self::File(path) => {
                let size = std::fs::metadata(path).map_err(|error| failed(&error.to_string()))?.len();
                if size > SECRET_BYTES_MAX {
                    return Err(failed("the file is too long for a secret"));
                }
                std::fs::read_to_string(path).map_err(|error| failed(&error.to_string()))?
            }
        };
        if text.trim().is_empty() {
            return Err(failed("it is empty"));
        }
        Ok(Secret::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_says_where_a_secret_is() {
        assert_eq!("env:PARTNER_SECRET".parse(), Ok(CredentialRef::Environment("PARTNER_SECRET".to_owned())));
        assert_eq!("file:/run/secrets/x".parse(), Ok(CredentialRef::File("/run/secrets/x".into())));
    }

    #[test]
    fn what_looks_like_a_secret_is_refused_and_not_repeated() {
        for text in [
            "hunter2",
            "env:",
            "env:hunter2",
            "env:AKIAIOSFODNN7EXAMPLE",
            "env:A B",
            "file:relative",
            "file:",
            "file:/a\nb",
            "",
        ] {
            let refused = text.parse::<CredentialRef>().expect_err(text);
            assert!(text.len() < 6 || !refused.contains(&text[4..]), "{refused}");
        }
    }

    #[test]
    fn nothing_shows_a_secret() {
        assert_eq!(format!("{:?}", Secret::new(" hunter2\n")), "Secret");
        assert_eq!(Secret::new(" hunter2\n").reveal(), "hunter2");
    }
}
