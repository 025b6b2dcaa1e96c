//! Partner Center: customers, the subscriptions of each, and the usage of each subscription.
//!
//! 200 customers with 5 subscriptions each are 1 + 200 + 1,000 requests, before paging. All usage is one delivery; its rows say
//! whose they are by `customerId` and `subscriptionId`, and since when usage was reported that is among them by `reportedFrom`: what
//! was used in months before came late, and is not all of its month.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::crawl::{Answer, Follow, Plan, Rows, same_place};
use super::error::CollectError;
use super::http::{Body, Call, address, read_page};
use super::json_api::QueuedCall;
use super::json_items::items;
use super::months;
use super::settings::SourceSettings;
use crate::catalog::QueuedRequest;

/// Where Partner Center has the items of a page.
pub(super) const ITEMS: &str = "/items";
/// Items of a page, unless the source says otherwise.
const PAGE_SIZE: i64 = 500;

/// The crawl of a partner's customers.
pub(super) struct PartnerCrawl {
    base: String,
    page_size: i64,
    from: String,
    to: String,
}

impl PartnerCrawl {
    pub(super) fn new(source: &SourceSettings, now: DateTime<Utc>) -> Result<Self, CollectError> {
        let base = address(&source.location)?.to_string().trim_end_matches('/').to_owned();
        let first = months::months(source, now).first().map(|month| month.first_day());
        Ok(Self {
            base,
            page_size: source.page_size.unwrap_or(PAGE_SIZE),
            from: format!("{}T00:00:00Z", first.unwrap_or(now.date_naive())),
            to: format!("{}T00:00:00Z", now.date_naive()),
        })
    }

    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<QueuedCall, CollectError> {
        let mut url = address(&format!("{}/v1{path}", self.base))?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        Ok(QueuedCall { url: url.to_string(), ..QueuedCall::default() })
    }

    /// The page that `links.next` names, with the headers that it asks for.
    fn next_page(&self, request: &QueuedRequest, document: &Value) -> Result<Option<QueuedRequest>, String> {
        let Some(next) = document.pointer("/links/next").filter(|next| !next.is_null()) else { return Ok(None) };
        let uri = next.get("uri").and_then(Value::as_str).ok_or("links.next has no uri")?;
        let path = if uri.starts_with('/') && !uri.starts_with("/v1/") { format!("/v1{uri}") } else { uri.to_owned() };
        let url = same_place(&self.base, &path)?.to_string();
        let mut call = QueuedCall { url, ..QueuedCall::default() };
        for header in next.get("headers").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
            if let (Some(key), Some(value)) = (text("key"), text("value")) {
                call.headers.insert(key, value);
            }
        }
        let context = text_fields(&request.context)?;
        let context: Vec<(&str, &str)> = context.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        Ok(Some(call.queued(&request.kind, &context)))
    }

    fn below(&self, request: &QueuedRequest, item: &Value) -> Result<Option<QueuedRequest>, String> {
        let id = |item: &Value| {
            let id = item.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_id = !id.is_empty()
                && id.len() <= 128
                && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if is_id { Ok(id) } else { Err("an item has no usable id".to_owned()) }
        };
        let failed = |error: CollectError| error.to_string();
        match request.kind.as_str() {
            "customers" => {
                let customer = id(item)?;
                let call = self.get(&format!("/customers/{customer}/subscriptions"), &[]).map_err(failed)?;
                Ok(Some(call.queued("subscriptions", &[("customerId", &customer)])))
            }
            "subscriptions" => {
                // Licences have no usage; where nothing is said, it is asked.
                if item
                    .get("billingType")
                    .and_then(Value::as_str)
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("license"))
                {
                    return Ok(None);
                }
                let subscription = id(item)?;
                let context = text_fields(&request.context)?;
                let customer = context.get("customerId").cloned().unwrap_or_default();
                let path = format!("/customers/{customer}/subscriptions/{subscription}/utilizations/azure");
                let size = self.page_size.to_string();
                let parameters = [
                    ("start_time", self.from.as_str()),
                    ("end_time", self.to.as_str()),
                    ("granularity", "Daily"),
                    ("show_details", "True"),
                    ("size", &size),
                ];
                let call = self.get(&path, &parameters).map_err(failed)?;
                let rows_get =
                    [("customerId", &*customer), ("reportedFrom", &*self.from), ("subscriptionId", &*subscription)];
                Ok(Some(call.queued("usage", &rows_get)))
            }
            _ => Ok(None),
        }
    }
}

impl Plan for PartnerCrawl {
    fn begin(&self) -> Result<Vec<QueuedRequest>, CollectError> {
        let size = self.page_size.to_string();
        Ok(vec![self.get("/customers", &[("size", &size)])?.queued("customers", &[])])
    }

    fn call(&self, request: &QueuedRequest) -> Result<Result<Call, i64>, CollectError> {
        Ok(Ok(QueuedCall::of(request)?.call()?))
    }

    fn body(&self, _request: &QueuedRequest) -> Body {
        Body::Json
    }

    fn read(&self, request: &QueuedRequest, answer: &Answer<'_>) -> Result<Follow, String> {
        let text = read_page(answer.path, answer.page_bytes_max).map_err(|error| error.to_string())?;
        let document: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let mut follow = Follow { next_page: self.next_page(request, &document)?, ..Follow::default() };
        if request.kind == "usage" {
            follow.rows = Rows::Items(items(&text, ITEMS)?);
            return Ok(follow);
        }
        let listed = document.pointer(ITEMS).and_then(Value::as_array).ok_or("the answer has no items")?;
        for item in listed {
            follow.next.extend(self.below(request, item)?);
        }
        Ok(follow)
    }
}

fn text_fields(context: &str) -> Result<std::collections::BTreeMap<String, String>, String> {
    serde_json::from_str(context).map_err(|error| error.to_string())
}
