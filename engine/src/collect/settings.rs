//! A row of `ref.sources`, read.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use url::Url;

use super::authorization::is_protected;
use super::credential::CredentialRef;
use super::options::SourceOptions;
use crate::catalog::{CatalogError, RefTable, Tx, Value};

/// Longest location and credential reference.
pub(super) const TEXT_MAX: usize = 4_096;
/// Longest cadence and lag.
const SPAN_MAX: TimeDelta = TimeDelta::days(400);
/// Shortest cadence.
const CADENCE_MIN: TimeDelta = TimeDelta::minutes(1);
/// So that calls an hour, in millionths, are far from any overflow.
const REQUESTS_MAX: i64 = 1_000_000;
const PAGE_SIZE_MAX: i64 = 100_000;
/// Parameters of an address that providers put secrets in.
const SECRET_PARAMETERS: [&str; 14] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "client_secret",
    "key",
    "password",
    "secret",
    "sig",
    "signature",
    "subscription-key",
    "token",
    "x-amz-credential",
    "x-amz-signature",
];

/// How a source delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Files below a folder of this machine.
    Folder,
    /// Objects below a URL.
    ObjectStore,
    /// A file, or a manifest and what it names, at an address.
    HttpsFiles,
    /// A paged API.
    JsonApi,
    /// Microsoft Partner Center.
    PartnerCenter,
}

/// A source: a row of `ref.sources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSettings {
    /// Its name.
    pub name: String,
    /// How it delivers.
    pub kind: SourceKind,
    /// Where.
    pub location: String,
    /// The mapping that reads its files.
    pub landing_source: Option<String>,
    /// How often to look.
    pub cadence: TimeDelta,
    /// How late a delivery may be.
    pub expected_lag: TimeDelta,
    /// Where its secret is.
    pub credential: Option<CredentialRef>,
    /// When the secret was made.
    pub credential_issued_at: Option<DateTime<Utc>>,
    /// Whether it is collected.
    pub is_enabled: bool,
    /// Calls in any hour.
    pub requests_per_hour: i64,
    /// Items of a page.
    pub page_size: Option<i64>,
    /// What an API's answers look like.
    pub options: SourceOptions,
}

impl SourceSettings {
    /// Reads a row, in the table's column order.
    ///
    /// # Errors
    /// What is wrong with it and what to do, without any value that might be a secret.
    pub fn of(values: &[Value]) -> Result<Self, String> {
        let table = RefTable::named("sources").ok_or("there is no table of sources")?;
        let value = |column: &str| table.position(column).and_then(|at| values.get(at));
        let text = |column: &str| value(column).and_then(Value::as_text);
        let options = match text("options") {
            Some(json) => serde_json::from_str(json).map_err(|error| format!("options: {error}"))?,
            None => SourceOptions::default(),
        };
        let kind = text("kind").unwrap_or_default();
        let kind = serde_json::from_value(kind.into()).map_err(|_| {
            "kind must be one of folder, object_store, https_files, json_api, partner_center".to_owned()
        })?;
        let issued = text("credential_issued_at").and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        let settings = Self {
            name: text("name").unwrap_or_default().to_owned(),
            kind,
            location: text("location").unwrap_or_default().to_owned(),
            landing_source: text("landing_source").map(str::to_owned),
            cadence: span("cadence", text("cadence"))?,
            expected_lag: span("expected_lag", text("expected_lag"))?,
            credential: text("credential").map(str::parse).transpose()?,
            credential_issued_at: issued.map(|at| at.to_utc()),
            is_enabled: value("enabled").and_then(Value::as_int) == Some(1),
            requests_per_hour: value("requests_per_hour").and_then(Value::as_int).unwrap_or_default(),
            page_size: value("page_size").and_then(Value::as_int),
            options,
        };
        settings.check()?;
        Ok(settings)
    }

    /// All sources, each read or with what is wrong with it.
    pub fn all(tx: &dyn Tx) -> Result<Vec<Self>, CatalogError> {
        let malformed = CatalogError::Malformed { what: "source" };
        let table = RefTable::named("sources").ok_or(malformed)?;
        let rows = table.rows_at(tx, super::super::catalog::head(tx)?)?;
        rows.iter().map(|row| Self::of(&row.values).map_err(CatalogError::Refused)).collect()
    }

    fn check(&self) -> Result<(), String> {
        if self.location.is_empty() || self.location.len() > TEXT_MAX {
            return Err(format!("location must have 1 to {TEXT_MAX} bytes"));
        }
        if self.cadence < CADENCE_MIN {
            return Err("cadence must be a minute or longer".to_owned());
        }
        if !(2..=REQUESTS_MAX).contains(&self.requests_per_hour) {
            return Err(format!("requests_per_hour must be from 2 to {REQUESTS_MAX}"));
        }
        if self.page_size.is_some_and(|size| !(1..=PAGE_SIZE_MAX).contains(&size)) {
            return Err(format!("page_size must be from 1 to {PAGE_SIZE_MAX}"));
        }
        if self.credential.is_none() && self.credential_issued_at.is_some() {
            return Err("credential_issued_at needs a credential".to_owned());
        }
        match self.kind {
            SourceKind::Folder => self.check_folder()?,
            SourceKind::ObjectStore => self.check_store()?,
            SourceKind::HttpsFiles | SourceKind::JsonApi | SourceKind::PartnerCenter => self.check_address()?,
        }
        self.options.check(self)
    }

    fn check_folder(&self) -> Result<(), String> {
        if !std::path::Path::new(&self.location).is_absolute() {
            return Err("location must be an absolute path: the program is not always started in one place".to_owned());
        }
        match self.credential {
            Some(_) => Err("a folder needs no credential".to_owned()),
            None => Ok(()),
        }
    }

    fn check_store(&self) -> Result<(), String> {
        let url = self.url()?;
        if !["s3", "s3a", "az", "azure", "adl", "abfs", "abfss", "gs"].contains(&url.scheme()) {
            return Err("location must begin with s3://, az://, abfss:// or gs://".to_owned());
        }
        no_secret("location", &url)
    }

    fn check_address(&self) -> Result<(), String> {
        let url = self.url()?;
        no_secret("location", &url)?;
        if is_protected(&url) {
            return Ok(());
        }
        Err("location must begin with https:// (http:// only on this machine)".to_owned())
    }

    fn url(&self) -> Result<Url, String> {
        Url::parse(&self.location).map_err(|error| format!("location must be a URL: {error}"))
    }
}

/// An address is shown to whoever sees the row that it is in: it holds no secret.
pub(crate) fn no_secret(column: &str, url: &Url) -> Result<(), String> {
    let holds_one = url
        .query_pairs()
        .any(|(name, value)| !value.is_empty() && SECRET_PARAMETERS.contains(&name.to_lowercase().as_str()));
    if holds_one || !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{column} holds what looks like a secret: put that where credential points"));
    }
    Ok(())
}

/// `15 minutes`, `1 hour`, `2 days`.
fn span(column: &str, text: Option<&str>) -> Result<TimeDelta, String> {
    let wrong = || format!("{column} must be a number of minutes, hours or days, such as 15 minutes");
    let (number, unit) = text.and_then(|text| text.trim().split_once(' ')).ok_or_else(wrong)?;
    let number: i64 = number.parse().ok().filter(|n| (0..=1_000_000).contains(n)).ok_or_else(wrong)?;
    let span = match unit.trim() {
        "minute" | "minutes" => TimeDelta::minutes(number),
        "hour" | "hours" => TimeDelta::hours(number),
        "day" | "days" => TimeDelta::days(number),
        _ => return Err(wrong()),
    };
    if span > SPAN_MAX {
        return Err(format!("{column} must be at most 400 days"));
    }
    Ok(span)
}
