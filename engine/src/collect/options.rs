//! `options` of a source: what an API's answers look like, what it is asked, and how the secret is shown.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::settings::{SourceKind, SourceSettings, TEXT_MAX};

/// Longest body that is posted: it is a question, kept in the queue for each page.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Longest region and service of AWS.
const PLACE_BYTES_MAX: usize = 64;
/// Headers that a source may not set: they carry secrets, or are made by the request itself.
const RESERVED_HEADERS: [&str; 11] = [
    "authorization",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "connection",
    "transfer-encoding",
    "te",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
];

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
    /// The secret is an access key of AWS, with which each request is signed for a region and a service.
    AwsSigv4 {
        /// Such as `us-east-1`.
        region: String,
        /// The name that the service signs with, such as `ce` for Cost Explorer.
        service: String,
    },
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

impl SourceOptions {
    /// What is wrong with the options of a source, without any value that might be a secret.
    pub(super) fn check(&self, source: &SourceSettings) -> Result<(), String> {
        if !(1..=24).contains(&self.periods.unwrap_or(2)) {
            return Err("options: periods must be from 1 to 24".to_owned());
        }
        self.check_kind(source.kind)?;
        self.check_pages(source)?;
        self.check_headers()?;
        self.check_aws(source)
    }

    fn check_kind(&self, kind: SourceKind) -> Result<(), String> {
        if matches!(kind, SourceKind::JsonApi | SourceKind::PartnerCenter) {
            return Ok(());
        }
        let plain = Self { periods: self.periods, ..Self::default() };
        let of_files =
            Self { credential_as: self.credential_as.clone(), headers: self.headers.clone(), ..plain.clone() };
        if *self == plain || (kind == SourceKind::HttpsFiles && *self == of_files) {
            return Ok(());
        }
        Err("options: this kind takes only periods, and for https_files headers and credential_as".to_owned())
    }

    fn check_pages(&self, source: &SourceSettings) -> Result<(), String> {
        let points = |pointer: &str| pointer.is_empty() || pointer.starts_with('/');
        let next = match &self.next {
            Some(NextPage::Link(at) | NextPage::Token { at, .. } | NextPage::BodyToken { at, .. }) => at.as_str(),
            Some(NextPage::LinkHeader | NextPage::HeaderToken { .. }) | None => "",
        };
        if !points(&self.items) || !points(next) {
            return Err("options: a JSON pointer begins with /, as in /value/items".to_owned());
        }
        if self.format == BodyFormat::Csv
            && matches!(self.next, Some(NextPage::Link(_) | NextPage::Token { .. } | NextPage::BodyToken { .. }))
        {
            return Err("options: after a page of CSV comes what a header says: link_header or header_token".to_owned());
        }
        if matches!(self.next, Some(NextPage::BodyToken { .. }))
            && !self.body.as_ref().is_some_and(serde_json::Value::is_object)
        {
            return Err("options: body_token needs a body that is a JSON object".to_owned());
        }
        if self.body.as_ref().is_some_and(|body| body.to_string().len() > BODY_BYTES_MAX) {
            return Err(format!("options: body must have at most {BODY_BYTES_MAX} bytes"));
        }
        if source.page_size.is_some() && source.kind == SourceKind::JsonApi && self.page_size_parameter.is_none() {
            return Err("page_size needs options: page_size_parameter, the parameter that it is sent as".to_owned());
        }
        Ok(())
    }

    fn check_headers(&self) -> Result<(), String> {
        let named = self.headers.keys().chain(match &self.credential_as {
            CredentialUse::Header(name) => Some(name),
            CredentialUse::Bearer | CredentialUse::Basic | CredentialUse::Oauth | CredentialUse::AwsSigv4 { .. } => {
                None
            }
        });
        for name in named {
            let name = name.to_lowercase();
            let is_token = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if !is_token || RESERVED_HEADERS.contains(&name.as_str()) {
                return Err("options: a header is a name of letters, digits and -, and none that the request itself makes; a secret goes into credential".to_owned());
            }
        }
        for (name, value) in &self.headers {
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

    fn check_aws(&self, source: &SourceSettings) -> Result<(), String> {
        let CredentialUse::AwsSigv4 { region, service } = &self.credential_as else { return Ok(()) };
        if source.credential.is_none() {
            return Err("options: aws_sigv4 needs a credential, where the access key is".to_owned());
        }
        let is_name = |text: &str| {
            (1..=PLACE_BYTES_MAX).contains(&text.len())
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        if !is_name(region) || !is_name(service) {
            return Err("options: region and service of aws_sigv4 are names such as us-east-1 and ce".to_owned());
        }
        // S3 alone reads a signature in another way.
        if service == "s3" {
            return Err("options: aws_sigv4 does not sign for s3: what lies there is of kind object_store".to_owned());
        }
        Ok(())
    }
}
