//! A row of `ref.sources`, read.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use url::Url;

use super::authorization::is_protected;
use super::credential::CredentialRef;
use crate::catalog::{CatalogError, RefTable, Tx, Value};

/// Longest location and credential reference.
const TEXT_MAX: usize = 4_096;
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
/// Headers that a source may not set: they carry secrets, or are made by the request itself.
const RESERVED_HEADERS: [&str; 8] = [
    "authorization",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "connection",
    "transfer-encoding",
    "te",
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

/// Where an API says what comes after a page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NextPage {
    /// The whole address of the next page is at this JSON pointer.
    Link(String),
    /// In the `Link` header, with `rel="next"`.
    LinkHeader,
    /// A token at a JSON pointer, sent back as a parameter of the address.
    Token {
        /// The JSON pointer.
        at: String,
        /// The parameter.
        parameter: String,
    },
    /// A token at a JSON pointer, sent back as a field of the request's body.
    BodyToken {
        /// The JSON pointer.
        at: String,
        /// The field.
        field: String,
    },
    /// A token in a header of the answer, sent back as a parameter.
    HeaderToken {
        /// The header.
        header: String,
        /// The parameter.
        parameter: String,
    },
}

/// How the secret is shown to the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CredentialUse {
    /// `Authorization: Bearer`.
    #[default]
    Bearer,
    /// `Authorization: Basic` of `user:password`.
    Basic,
    /// A header of this name.
    Header(String),
    /// The secret is a JSON object of an OAuth client; a token is asked for with it.
    Oauth,
}

/// What the body of an answer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// A JSON document with an array of items.
    #[default]
    Json,
    /// A CSV file with a header.
    Csv,
}

/// What is asked of Partner Center.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PartnerRequest {
    /// Customers, their subscriptions, and the usage of each.
    #[default]
    Crawl,
    /// An export that Microsoft Graph prepares: the path to post to, and what.
    Export {
        /// Such as `/v1.0/reports/partners/billing/usage/unbilled/export`.
        path: String,
        /// The request's body.
        body: serde_json::Value,
    },
}

/// `options` of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceOptions {
    /// JSON pointer of the array of items; empty for the document itself.
    pub items: String,
    /// What comes after a page; none: there is one page.
    pub next: Option<NextPage>,
    /// What a body is.
    pub format: BodyFormat,
    /// The parameter that `page_size` is sent as.
    pub page_size_parameter: Option<String>,
    /// Headers to send.
    pub headers: BTreeMap<String, String>,
    /// A body to post; none: the request is a `GET`.
    pub body: Option<serde_json::Value>,
    /// How the secret is shown.
    pub credential_as: CredentialUse,
    /// How many months are asked for, the present one first, where the location names a month; 2 if it is not said.
    pub periods: Option<u8>,
    /// What is asked of Partner Center.
    pub partner: PartnerRequest,
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
        if !(1..=24).contains(&self.options.periods.unwrap_or(2)) {
            return Err("options: periods must be from 1 to 24".to_owned());
        }
        match self.kind {
            SourceKind::Folder => self.check_folder()?,
            SourceKind::ObjectStore => self.check_store()?,
            SourceKind::HttpsFiles | SourceKind::JsonApi | SourceKind::PartnerCenter => self.check_address()?,
        }
        self.check_options()
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

    fn check_options(&self) -> Result<(), String> {
        let options = &self.options;
        let is_api = matches!(self.kind, SourceKind::JsonApi | SourceKind::PartnerCenter);
        if !is_api && (*options != SourceOptions { periods: options.periods, ..SourceOptions::default() }) {
            let takes_use = self.kind == SourceKind::HttpsFiles;
            let plain = SourceOptions {
                periods: options.periods,
                credential_as: options.credential_as.clone(),
                headers: options.headers.clone(),
                ..SourceOptions::default()
            };
            if !takes_use || *options != plain {
                return Err(
                    "options: this kind takes only periods, and for https_files headers and credential_as".to_owned()
                );
            }
        }
        let points = |pointer: &str| pointer.is_empty() || pointer.starts_with('/');
        let next = match &options.next {
            Some(NextPage::Link(at) | NextPage::Token { at, .. } | NextPage::BodyToken { at, .. }) => at.as_str(),
            Some(NextPage::LinkHeader | NextPage::HeaderToken { .. }) | None => "",
        };
        if !points(&options.items) || !points(next) {
            return Err("options: a JSON pointer begins with /, as in /value/items".to_owned());
        }
        if options.format == BodyFormat::Csv
            && matches!(options.next, Some(NextPage::Link(_) | NextPage::Token { .. } | NextPage::BodyToken { .. }))
        {
            return Err("options: after a page of CSV comes what a header says: link_header or header_token".to_owned());
        }
        if matches!(options.next, Some(NextPage::BodyToken { .. }))
            && !options.body.as_ref().is_some_and(serde_json::Value::is_object)
        {
            return Err("options: body_token needs a body that is a JSON object".to_owned());
        }
        if self.page_size.is_some() && self.kind == SourceKind::JsonApi && options.page_size_parameter.is_none() {
            return Err("page_size needs options: page_size_parameter, the parameter that it is sent as".to_owned());
        }
        let named = options.headers.keys().chain(match &options.credential_as {
            CredentialUse::Header(name) => Some(name),
            CredentialUse::Bearer | CredentialUse::Basic | CredentialUse::Oauth => None,
        });
        for name in named {
            let name = name.to_lowercase();
            let is_token = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if !is_token || RESERVED_HEADERS.contains(&name.as_str()) {
                return Err("options: a header is a name of letters, digits and -, and none that the request itself makes; a secret goes into credential".to_owned());
            }
        }
        for (name, value) in &options.headers {
            let name = name.to_lowercase();
            if ["key", "token", "secret", "auth", "password"].iter().any(|word| name.contains(word)) {
                return Err(
                    "options: a header with a secret is named by credential_as, its value goes into credential"
                        .to_owned(),
                );
            }
            if value.len() > TEXT_MAX || value.chars().any(|c| c.is_control() || !c.is_ascii()) {
                return Err("options: the value of a header is one line of ASCII".to_owned());
            }
        }
        Ok(())
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
