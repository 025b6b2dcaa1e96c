//! Any paged API: where its items are and what comes after a page is said in `options`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::crawl::{Answer, Follow, Plan, Rows, same_place};
use super::error::CollectError;
use super::http::{Body, Call, Reply, Shows, address, read_page};
use super::json_items::items;
use super::months;
use super::options::{BodyFormat, NextPage};
use super::settings::SourceSettings;
use crate::catalog::QueuedRequest;

/// Longest token or address of a next page.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// A request as it lies in the queue; it holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct QueuedCall {
    pub(super) url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
    /// A body to post.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Value>,
}

impl QueuedCall {
    /// The request for the queue; what it asks for is its key.
    pub(super) fn queued(&self, kind: &str, context: &[(&str, &str)]) -> QueuedRequest {
        let request = serde_json::json!(self).to_string();
        let context: serde_json::Map<String, Value> =
            context.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        let context = Value::Object(context).to_string();
        QueuedRequest {
            request_no: 0,
            key: format!("{kind} {context} {request}"),
            kind: kind.to_owned(),
            request,
            context,
            is_done: false,
            attempts: 0,
            not_before: None,
            content_hash: None,
            file: None,
            conditions: None,
        }
    }

    pub(super) fn of(request: &QueuedRequest) -> Result<Self, CollectError> {
        serde_json::from_str(&request.request).map_err(|error| CollectError::Settings(error.to_string()))
    }

    /// As it is sent, with the source's secret.
    pub(super) fn call(self) -> Result<Call, CollectError> {
        Ok(Call {
            method: if self.body.is_some() { Method::POST } else { Method::GET },
            url: address(&self.url)?,
            headers: self.headers.into_iter().collect(),
            body: self.body.map(|body| body.to_string()),
            shows: Shows::Secret,
        })
    }
}

/// The crawl of a paged API.
pub(super) struct JsonApi<'a> {
    source: &'a SourceSettings,
    now: DateTime<Utc>,
}

impl<'a> JsonApi<'a> {
    pub(super) fn new(source: &'a SourceSettings, now: DateTime<Utc>) -> Self {
        Self { source, now }
    }

    /// The request for the page after `request`, if the answer names one.
    fn next(&self, request: &QueuedRequest, reply: &Reply, document: &Value) -> Result<Option<QueuedCall>, String> {
        let asked = QueuedCall::of(request).map_err(|error| error.to_string())?;
        let Some(next) = &self.source.options.next else { return Ok(None) };
        let location = &self.source.location;
        let at = |pointer: &str| token(document.pointer(pointer));
        Ok(match next {
            NextPage::Link(pointer) => at(pointer)?
                .map(|link| Ok::<_, String>(QueuedCall { url: same_place(location, &link)?.to_string(), ..asked }))
                .transpose()?,
            NextPage::LinkHeader => reply
                .header("link")
                .and_then(next_link)
                .map(|link| Ok::<_, String>(QueuedCall { url: same_place(location, &link)?.to_string(), ..asked }))
                .transpose()?,
            NextPage::Token { at: pointer, parameter } => {
                at(pointer)?.map(|token| with_parameter(asked, parameter, &token)).transpose()?
            }
            NextPage::HeaderToken { header, parameter } => reply
                .header(header)
                .filter(|token| !token.is_empty())
                .map(|token| with_parameter(asked, parameter, token))
                .transpose()?,
            NextPage::BodyToken { at: pointer, field } => at(pointer)?.map(|token| {
                let mut next = asked;
                if let Some(Value::Object(body)) = &mut next.body {
                    body.insert(field.clone(), Value::from(token));
                }
                next
            }),
        })
    }
}

impl Plan for JsonApi<'_> {
    fn begin(&self) -> Result<Vec<QueuedRequest>, CollectError> {
        let options = &self.source.options;
        let body = options.body.as_ref().map(Value::to_string);
        let names_month =
            months::names_month(&self.source.location) || body.as_deref().is_some_and(months::names_month);
        let months = if names_month { months::months(self.source, self.now) } else { Vec::new() };
        let mut first = Vec::new();
        for month in months.iter().copied().map(Some).chain((!names_month).then_some(None)) {
            let fill = |text: &str| month.map_or_else(|| text.to_owned(), |month| months::fill(text, month));
            let mut url = address(&fill(&self.source.location))?;
            if let (Some(name), Some(size)) = (&options.page_size_parameter, self.source.page_size) {
                url.query_pairs_mut().append_pair(name, &size.to_string());
            }
            let body = body.as_deref().map(|body| serde_json::from_str(&fill(body))).transpose();
            let body = body.map_err(|error| CollectError::Settings(error.to_string()))?;
            let call = QueuedCall { url: url.to_string(), headers: options.headers.clone(), body };
            first.push(call.queued("page", &[]));
        }
        Ok(first)
    }

    fn call(&self, request: &QueuedRequest) -> Result<Result<Call, i64>, CollectError> {
        Ok(Ok(QueuedCall::of(request)?.call()?))
    }

    fn body(&self, _request: &QueuedRequest) -> Body {
        match self.source.options.format {
            BodyFormat::Json => Body::Json,
            BodyFormat::Csv => Body::Page,
        }
    }

    fn read(&self, request: &QueuedRequest, answer: &Answer<'_>) -> Result<Follow, String> {
        let text = read_page(answer.path, answer.page_bytes_max).map_err(|error| error.to_string())?;
        let (document, rows) = match self.source.options.format {
            BodyFormat::Json => {
                let document: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                (document, Rows::Items(items(&text, &self.source.options.items)?))
            }
            BodyFormat::Csv => (Value::Null, if text.is_empty() { Rows::None } else { Rows::Body }),
        };
        let next = self.next(request, answer.reply, &document)?;
        Ok(Follow { next_page: next.map(|next| next.queued("page", &[])), rows, ..Follow::default() })
    }

    /// Of a `GET` only: a `POST` whose condition does not hold is an error by RFC 9110, 13.1.2, and no answer.
    fn read_by(&self) -> Option<Vec<&str>> {
        let options = &self.source.options;
        let next = match &options.next {
            Some(NextPage::LinkHeader) => Some("link"),
            Some(NextPage::HeaderToken { header, .. }) => Some(header.as_str()),
            Some(NextPage::Link(_) | NextPage::Token { .. } | NextPage::BodyToken { .. }) | None => None,
        };
        options.body.is_none().then(|| next.into_iter().collect())
    }
}

/// A token of a document; null, empty and absent are none.
fn token(value: Option<&Value>) -> Result<Option<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.len() <= TOKEN_BYTES_MAX => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err("what names the next page is no text, or too long".to_owned()),
    }
}

fn with_parameter(asked: QueuedCall, name: &str, token: &str) -> Result<QueuedCall, String> {
    let mut url = Url::parse(&asked.url).map_err(|error| error.to_string())?;
    let kept: Vec<(String, String)> =
        url.query_pairs().filter(|(key, _)| key != name).map(|(k, v)| (k.into(), v.into())).collect();
    url.query_pairs_mut().clear().extend_pairs(kept).append_pair(name, token);
    Ok(QueuedCall { url: url.to_string(), ..asked })
}

/// The address with `rel="next"` of a `Link` header.
fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (address, parameters) = link.split_once(';')?;
        let is_next = parameters.split(';').any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| address.trim().trim_start_matches('<').trim_end_matches('>').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_address_of_a_link_header() {
        let header = "<https://a/x?p=1>; rel=\"prev\", <https://a/x?p=3>; title=\"t\"; rel=\"next\"";
        assert_eq!(next_link(header).as_deref(), Some("https://a/x?p=3"));
        assert_eq!(next_link("<https://a/x?p=1>; rel=\"prev\""), None);
    }

    #[test]
    fn a_token_takes_the_place_of_the_one_before() {
        let asked = QueuedCall { url: "https://a/x?size=2&token=1".to_owned(), ..QueuedCall::default() };
        let next = with_parameter(asked, "token", "a b").expect("an address");
        assert_eq!(next.url, "https://a/x?size=2&token=a+b");
    }
}
