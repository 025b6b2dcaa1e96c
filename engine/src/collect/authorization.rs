//! How a source's secret is shown to its provider.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use url::Url;

use super::credential::{CredentialRef, Secret};
use super::error::CollectError;
use super::http::{address, refused};
use super::options::{CredentialUse, PartnerRequest};
use super::settings::{SourceKind, SourceSettings};
use super::sigv4::{AccessKey, Place, signed};

/// A token is asked for anew this long before it expires.
const EXPIRES_EARLY: TimeDelta = TimeDelta::minutes(5);
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// A source's secret and how it is shown.
pub(super) struct Authorization {
    credential: Option<CredentialRef>,
    used_as: CredentialUse,
    scope: &'static str,
    token: Option<(Secret, DateTime<Utc>)>,
}

/// The secret of an OAuth client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientSecret {
    /// A Microsoft tenant; or `token_url` says where tokens come from.
    tenant_id: Option<String>,
    token_url: Option<String>,
    client_id: String,
    client_secret: String,
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: i64,
}

impl Authorization {
    pub(super) fn new(source: &SourceSettings) -> Result<Self, CollectError> {
        let is_partner = source.kind == SourceKind::PartnerCenter;
        if is_partner && source.credential.is_none() {
            return Err(CollectError::Settings("partner_center needs a credential".to_owned()));
        }
        let used_as = if is_partner { CredentialUse::Oauth } else { source.options.credential_as.clone() };
        let scope = match source.options.partner {
            PartnerRequest::Crawl => "https://api.partnercenter.microsoft.com/.default",
            PartnerRequest::Export { .. } => "https://graph.microsoft.com/.default",
        };
        Ok(Self { credential: source.credential.clone(), used_as, scope, token: None })
    }

    /// Whether the provider is a service of AWS, which says in its own way why it refuses.
    pub(super) fn is_of_aws(&self) -> bool {
        matches!(self.used_as, CredentialUse::AwsSigv4 { .. })
    }

    /// Forgets a token that was not accepted; says whether there is another to be had.
    pub(super) fn renew(&mut self) -> bool {
        self.token.take().is_some()
    }

    /// The request with the secret.
    ///
    /// # Errors
    /// When the secret cannot be read, or no token is given for it.
    pub(super) async fn show(
        &mut self,
        request: RequestBuilder,
        client: &Client,
        now: DateTime<Utc>,
    ) -> Result<RequestBuilder, CollectError> {
        let Some(reference) = self.credential.clone() else { return Ok(request) };
        let secret = reference.read()?;
        Ok(match &self.used_as {
            CredentialUse::Bearer => request.bearer_auth(secret.reveal()),
            CredentialUse::Basic => {
                let (user, password) = secret.reveal().split_once(':').ok_or_else(|| CollectError::Credential {
                    reference: reference.to_string(),
                    reason: "basic authorization needs user:password".to_owned(),
                })?;
                request.basic_auth(user, Some(password))
            }
            CredentialUse::Header(name) => request.header(name, secret.reveal()),
            CredentialUse::Oauth => request.bearer_auth(self.token(&reference, &secret, client, now).await?.reveal()),
            CredentialUse::AwsSigv4 { region, service } => {
                let key = AccessKey::of(&secret).ok_or_else(|| CollectError::Credential {
                    reference: reference.to_string(),
                    reason: "an access key of AWS is KEY_ID:SECRET, KEY_ID:SECRET:SESSION_TOKEN, or a JSON object with access_key_id, secret_access_key and, if it has one, session_token".to_owned(),
                })?;
                sign(request, &key, Place { region, service }, now)?
            }
        })
    }

    async fn token(
        &mut self,
        reference: &CredentialRef,
        secret: &Secret,
        client: &Client,
        now: DateTime<Utc>,
    ) -> Result<Secret, CollectError> {
        if let Some((token, _)) = self.token.as_ref().filter(|(_, expires)| *expires > now) {
            return Ok(token.clone());
        }
        let unusable =
            |reason: &str| CollectError::Credential { reference: reference.to_string(), reason: reason.to_owned() };
        // What serde says of a secret may hold a part of it.
        let given: ClientSecret = serde_json::from_str(secret.reveal()).map_err(|_| {
            unusable("it must be a JSON object with client_id, client_secret, and tenant_id or token_url")
        })?;
        let url = token_address(&given).ok_or_else(|| {
            unusable(
                "it must have a tenant_id, or a token_url that begins with https:// (http:// only on this machine)",
            )
        })?;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &given.client_id)
            .append_pair("client_secret", &given.client_secret)
            .append_pair("scope", given.scope.as_deref().unwrap_or(self.scope))
            .finish();
        let request = client.post(url.clone()).header("content-type", "application/x-www-form-urlencoded").body(form);
        let failed = |reason: &str| refused(&url, format!("no token was given: {reason}"));
        let mut response = request.send().await.map_err(|_| failed("no answer"))?;
        if !response.status().is_success() {
            return Err(failed(&format!("answered {}", response.status())));
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|_| failed("the answer was cut off"))? {
            body.extend_from_slice(&piece);
            if body.len() > TOKEN_BYTES_MAX {
                return Err(failed("the answer is too long"));
            }
        }
        let token: Token =
            serde_json::from_slice(&body).map_err(|_| failed("the answer has no access_token and expires_in"))?;
        let lifetime = TimeDelta::seconds(token.expires_in.clamp(0, 86_400));
        let secret = Secret::new(&token.access_token);
        self.token = Some((secret.clone(), now + (lifetime - EXPIRES_EARLY).max(lifetime / 2)));
        Ok(secret)
    }
}

fn sign(
    request: RequestBuilder,
    key: &AccessKey,
    place: Place<'_>,
    now: DateTime<Utc>,
) -> Result<RequestBuilder, CollectError> {
    let (client, request) = request.build_split();
    let request = request.ok().and_then(|request| signed(request, key, place, now)).ok_or_else(|| {
        CollectError::Settings("the request cannot be made: a header or an address is not well formed".to_owned())
    })?;
    Ok(RequestBuilder::from_parts(client, request))
}

fn token_address(given: &ClientSecret) -> Option<Url> {
    let text = match (&given.token_url, &given.tenant_id) {
        (Some(url), _) => url.clone(),
        (None, Some(tenant)) if tenant.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')) => {
            format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token")
        }
        (None, _) => return None,
    };
    address(&text).ok().filter(is_protected)
}

/// Whether what is sent there cannot be read on the way.
pub(crate) fn is_protected(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}
