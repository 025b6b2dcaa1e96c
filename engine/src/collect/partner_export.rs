//! Exports that Microsoft Graph prepares: ask for one, look until it is ready, fetch the blobs that its manifest names.
//!
//! The blobs lie in a store of their own, behind a signature that the manifest has. It is a secret: the manifest is removed as soon
//! as it is read, the signature stays in memory, and after a restart the operation is looked at again for it.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::authorization::is_protected;
use super::crawl::{Answer, Follow, Plan, Rows, same_place};
use super::error::CollectError;
use super::http::{Body, Call, Shows, address, read_page};
use super::json_api::QueuedCall;
use super::months;
use super::retry::retry_after;
use super::settings::SourceSettings;
use crate::catalog::QueuedRequest;

/// How soon to look at an operation again, unless the provider says.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(10);
const BLOBS_MAX: usize = 100_000;

/// The crawl of one export.
pub(super) struct PartnerExport {
    location: String,
    export: QueuedCall,
    now: DateTime<Utc>,
    signature: Mutex<Option<String>>,
}

impl PartnerExport {
    pub(super) fn new(
        source: &SourceSettings,
        path: &str,
        body: &Value,
        now: DateTime<Utc>,
    ) -> Result<Self, CollectError> {
        let month = months::months(source, now).pop();
        let fill = |text: &str| month.map_or_else(|| text.to_owned(), |month| months::fill(text, month));
        let url = same_place(&source.location, path).map_err(CollectError::Settings)?;
        let body = serde_json::from_str(&fill(&body.to_string()));
        let body = body.map_err(|error| CollectError::Settings(error.to_string()))?;
        let export = QueuedCall { url: url.to_string(), body: Some(body), ..QueuedCall::default() };
        Ok(Self { location: source.location.clone(), export, now, signature: Mutex::default() })
    }

    fn signature(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.signature.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What an operation says: wait, here is the manifest, or it failed.
    fn operation(&self, request: &QueuedRequest, answer: &Answer<'_>, document: &Value) -> Result<Follow, String> {
        let status = document.get("status").and_then(Value::as_str).unwrap_or_default();
        match status.to_ascii_lowercase().as_str() {
            "succeeded" | "completed" => self.blobs(request, document),
            "notstarted" | "running" => {
                let told = answer.reply.header("retry-after").and_then(|value| retry_after(value, self.now));
                Ok(Follow { again_after: Some(told.unwrap_or(LOOK_AGAIN)), ..Follow::default() })
            }
            _ => {
                let code = document.pointer("/error/code").and_then(Value::as_str).unwrap_or("no code");
                Err(format!("the export did not succeed (status \"{status}\", {code})"))
            }
        }
    }

    fn blobs(&self, request: &QueuedRequest, document: &Value) -> Result<Follow, String> {
        let manifest = document.get("resourceLocation").ok_or("the operation has no manifest")?;
        let text = |name: &str| {
            manifest.get(name).and_then(Value::as_str).ok_or_else(|| format!("the manifest has no {name}"))
        };
        let root = text("rootDirectory")?.trim_end_matches('/');
        let blobs = manifest.get("blobs").and_then(Value::as_array).ok_or("the manifest has no blobs")?;
        if let Some(said) = manifest.get("blobCount").and_then(Value::as_u64).filter(|said| *said != blobs.len() as u64)
        {
            return Err(format!("the manifest's blobCount is {said}, but it names {} blobs", blobs.len()));
        }
        if blobs.len() > BLOBS_MAX {
            return Err(format!("the manifest names more than {BLOBS_MAX} blobs"));
        }
        *self.signature() = Some(text("sasToken")?.trim_start_matches('?').to_owned());
        let mut follow = Follow::default();
        for blob in blobs {
            let name =
                blob.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()).ok_or("a blob has no name")?;
            let url =
                address(&format!("{root}/{}", name.trim_start_matches('/'))).map_err(|error| error.to_string())?;
            if !is_protected(&url) || url.query().is_some() {
                return Err("a blob's address must begin with https:// and have no parameters".to_owned());
            }
            let call = QueuedCall { url: url.to_string(), ..QueuedCall::default() };
            follow.next.push(call.queued("blob", &[("operation", &request.request_no.to_string())]));
        }
        Ok(follow)
    }
}

impl Plan for PartnerExport {
    fn begin(&self) -> Result<Vec<QueuedRequest>, CollectError> {
        Ok(vec![self.export.queued("export", &[])])
    }

    fn call(&self, request: &QueuedRequest) -> Result<Result<Call, i64>, CollectError> {
        let queued = QueuedCall::of(request)?;
        if request.kind != "blob" {
            return Ok(Ok(queued.call()?));
        }
        let Some(signature) = self.signature().clone() else {
            let context: Value = serde_json::from_str(&request.context).unwrap_or_default();
            let operation = context.get("operation").and_then(Value::as_str).and_then(|number| number.parse().ok());
            let lost = || CollectError::Settings("a blob does not say which operation it is of".to_owned());
            return Ok(Err(operation.ok_or_else(lost)?));
        };
        let mut url = address(&queued.url)?;
        url.set_query(Some(&signature));
        Ok(Ok(Call { method: Method::GET, url, headers: Vec::new(), body: None, shows: Shows::Nothing }))
    }

    fn body(&self, request: &QueuedRequest) -> Body {
        match request.kind.as_str() {
            "blob" => Body::File,
            // The answer to a request for an export may be empty.
            "export" => Body::Page,
            _ => Body::Json,
        }
    }

    fn read(&self, request: &QueuedRequest, answer: &Answer<'_>) -> Result<Follow, String> {
        match request.kind.as_str() {
            "blob" if answer.reply.status == StatusCode::NOT_FOUND => {
                Err("the manifest names a blob that is not there".to_owned())
            }
            "blob" => Ok(Follow { rows: Rows::Body, ..Follow::default() }),
            "export" => {
                let operation =
                    answer.reply.header("location").ok_or("the answer says not where the export is (Location)")?;
                let url = same_place(&self.location, operation)?.to_string();
                let call = QueuedCall { url, ..QueuedCall::default() };
                Ok(Follow { next: vec![call.queued("operation", &[])], ..Follow::default() })
            }
            _ => {
                let text = read_page(answer.path, answer.page_bytes_max).map_err(|error| error.to_string())?;
                let document: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                // The manifest's signature is not left lying about.
                std::fs::remove_file(answer.path).map_err(|error| error.to_string())?;
                self.operation(request, answer, &document)
            }
        }
    }
}
