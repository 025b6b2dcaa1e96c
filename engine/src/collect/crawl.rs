//! A crawl: requests whose answers lead to further requests, until nothing is left to ask; then one delivery.
//!
//! The queue is in the catalog and the answers are files, so that a crawl goes on where it was
//! after a pause, a failure or a crash. An answer is durable before the transaction that marks its request
//! as answered and queues what follows. Nothing lands before everything was answered: a delivery
//! replaces whole slices. What the last crawl was answered is asked for only if it changed (`answers`).

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use reqwest::StatusCode;
use sha2::{Digest, Sha256};

use super::Collector;
use super::answers::{Conditions, Former};
use super::clock;
use super::error::CollectError;
use super::files::{Seen, Verdict};
use super::http::{Asker, Body, Call, Reply, address, refused};
use super::https_files::{make, remove};
use super::json_api::JsonApi;
use super::options::PartnerRequest;
use super::outcome::Report;
use super::pages::{Piece, assemble};
use super::partner_center::PartnerCrawl;
use super::partner_export::PartnerExport;
use super::settings::{SourceKind, SourceSettings};
use crate::catalog::QueuedRequest;
use crate::landing::survey;
use crate::warehouse::stores::Environment;

/// A crawl that failed for good begins anew once it is this old: addresses of next pages do not live for ever.
const ANEW_AFTER: TimeDelta = TimeDelta::hours(24);

/// What an answer leads to.
#[derive(Debug, Default)]
pub(super) struct Follow {
    /// What to ask next.
    pub(super) next: Vec<QueuedRequest>,
    /// The page after this one, which must be another one.
    pub(super) next_page: Option<QueuedRequest>,
    /// What of the answer is rows.
    pub(super) rows: Rows,
    /// The same is to be asked again after this time: the provider is not done.
    pub(super) again_after: Option<TimeDelta>,
}

/// What of an answer is rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Rows {
    /// Nothing.
    #[default]
    None,
    /// These items of a page.
    Items(Vec<String>),
    /// The whole body.
    Body,
}

/// An answer that was kept.
pub(super) struct Answer<'a> {
    pub(super) reply: &'a Reply,
    pub(super) path: &'a Path,
    pub(super) page_bytes_max: u64,
}

/// What one kind of provider is asked, and how its answers are read.
pub(super) trait Plan: Send + Sync {
    /// What to ask first.
    fn begin(&self) -> Result<Vec<QueuedRequest>, CollectError>;

    /// A request as it is sent; none if what it needs must be asked for again: the request of that number.
    fn call(&self, request: &QueuedRequest) -> Result<Result<Call, i64>, CollectError>;

    /// How the answer is kept.
    fn body(&self, request: &QueuedRequest) -> Body;

    /// What an answer leads to.
    fn read(&self, request: &QueuedRequest, answer: &Answer<'_>) -> Result<Follow, String>;

    /// The headers that answers are read by besides their bodies, if they may be asked for only if they changed.
    fn read_by(&self) -> Option<Vec<&str>> {
        None
    }
}

fn plan(source: &SourceSettings, now: chrono::DateTime<chrono::Utc>) -> Result<Box<dyn Plan + '_>, CollectError> {
    Ok(match (source.kind, &source.options.partner) {
        (SourceKind::PartnerCenter, PartnerRequest::Crawl) => Box::new(PartnerCrawl::new(source, now)?),
        (SourceKind::PartnerCenter, PartnerRequest::Export { path, body }) => {
            Box::new(PartnerExport::new(source, path, body, now)?)
        }
        _ => Box::new(JsonApi::new(source, now)),
    })
}

impl Collector {
    /// Crawls an API to its end, or as far as it may now.
    pub(super) async fn crawl(&self, source: &SourceSettings) -> Result<Report, CollectError> {
        let catalog = self.warehouse.catalog();
        let plan = plan(source, self.clock.now())?;
        let mut asker = Asker::new(source, catalog, &self.clock, &self.limits)?;
        let began_at = self.begin(source, plan.as_ref())?;
        let mut kept = Kept { folder: self.pages(source), bytes: 0 };
        make(&kept.folder)?;
        kept.measure()?;
        while let Some(request) = catalog.read(|tx| QueuedRequest::next(tx, &source.name))? {
            let answered = self.answer(source, plan.as_ref(), &mut asker, (request, &mut kept)).await;
            let is_old = clock::instant(&began_at).is_none_or(|began| self.clock.now() - began > ANEW_AFTER);
            if matches!(answered, Err(CollectError::Refused { .. })) && is_old {
                self.end(source)?;
            }
            answered?;
        }
        self.deliver(source, &began_at).await
    }

    /// Takes up the crawl that has begun, or begins one.
    fn begin(&self, source: &SourceSettings, plan: &dyn Plan) -> Result<String, CollectError> {
        let catalog = self.warehouse.catalog();
        let begun = catalog.read::<_, CollectError>(|tx| {
            Ok((QueuedRequest::run(tx, &source.name)?, QueuedRequest::all(tx, &source.name)?))
        })?;
        if let (Some((_, began_at)), requests) = begun {
            let pages = self.pages(source);
            if requests.iter().filter_map(|request| request.file.as_ref()).all(|file| pages.join(file).exists()) {
                return Ok(began_at);
            }
            // A backup that was restored has the queue and not the answers.
            self.end(source)?;
        }
        remove(&self.pages(source))?;
        let first = plan.begin()?;
        let began_at = clock::text(self.clock.now());
        catalog.remember::<_, CollectError>(|tx| {
            QueuedRequest::begin(tx, &source.name, &began_at, &began_at)?;
            for request in &first {
                request.queue(tx, &source.name)?;
            }
            Ok(())
        })?;
        Ok(began_at)
    }

    fn end(&self, source: &SourceSettings) -> Result<(), CollectError> {
        self.warehouse.catalog().remember(|tx| QueuedRequest::end(tx, &source.name))?;
        remove(&self.pages(source))
    }

    pub(super) fn pages(&self, source: &SourceSettings) -> PathBuf {
        self.folder().join(&source.name).join("pages")
    }

    /// Gets the answer of one request and queues what it leads to.
    async fn answer(
        &self,
        source: &SourceSettings,
        plan: &dyn Plan,
        asker: &mut Asker<'_>,
        (mut request, kept): (QueuedRequest, &mut Kept),
    ) -> Result<(), CollectError> {
        let catalog = self.warehouse.catalog();
        let now = self.clock.now();
        if let Some(until) = request.not_before.as_deref().and_then(clock::instant).filter(|until| *until > now) {
            asker.wait(until - now, "the provider said to wait").await?;
        }
        let mut call = match plan.call(&request)? {
            Ok(call) => call,
            Err(needed) => return self.ask_again(source, needed),
        };
        let body = plan.body(&request);
        let file = file_name(request.request_no, body);
        let path = kept.folder.join(&file);
        let former = self.former(source, plan, &request)?;
        call.headers.extend(former.iter().flat_map(Former::asked_by));
        let reply = match asker.ask(&call, body, &path, &mut request.attempts).await {
            Ok(reply) => reply,
            Err(error) => {
                if let CollectError::Paused { until, .. } = &error {
                    request.not_before = Some(clock::text(*until));
                }
                catalog.remember(|tx| request.keep(tx, &source.name))?;
                return Err(error);
            }
        };
        let is_unchanged = reply.status == StatusCode::NOT_MODIFIED;
        let former = former.filter(|_| is_unchanged);
        let reply = match &former {
            Some(former) => former.take(&reply, &path)?,
            None if is_unchanged => {
                return Err(refused(&call.url, "answered 304 although it was not asked whether it changed".to_owned()));
            }
            None => reply,
        };
        let answer = Answer { reply: &reply, path: &path, page_bytes_max: self.limits.page_bytes_max };
        let follow = plan.read(&request, &answer).map_err(|reason| {
            former.iter().for_each(Former::discard);
            refused(&call.url, reason)
        })?;
        request.content_hash = hash_of(&follow.rows, body, &path)?;
        request.file = (follow.rows != Rows::None).then_some(file);
        let conditions = plan.read_by().and_then(|read_by| Conditions::of(source, &read_by, &reply));
        request.conditions = conditions.as_ref().map(Conditions::text);
        (request.attempts, request.not_before) = (0, None);
        if let Some(wait) = follow.again_after {
            request.not_before = Some(clock::text(self.clock.now() + wait));
        }
        request.is_done = follow.again_after.is_none();
        kept.bytes += reply.bytes;
        if kept.bytes > self.limits.crawl_bytes_max {
            return Err(refused(
                &call.url,
                format!("answers with more than {} bytes in all", self.limits.crawl_bytes_max),
            ));
        }
        self.advance(source, request, &follow, &call)?;
        Ok(())
    }

    /// Puts a request that was answered back into the queue.
    fn ask_again(&self, source: &SourceSettings, request_no: i64) -> Result<(), CollectError> {
        Ok(self.warehouse.catalog().remember(|tx| {
            let all = QueuedRequest::all(tx, &source.name)?;
            all.into_iter()
                .filter(|request| request.request_no == request_no)
                .try_for_each(|request| QueuedRequest { is_done: false, ..request }.keep(tx, &source.name))
        })?)
    }

    /// Marks a request as answered and queues what follows, in one transaction.
    fn advance(
        &self,
        source: &SourceSettings,
        mut request: QueuedRequest,
        follow: &Follow,
        call: &Call,
    ) -> Result<(), CollectError> {
        let name = &source.name;
        self.warehouse.catalog().remember::<_, CollectError>(|tx| {
            // A page that repeats an earlier one of the same list brings no rows twice.
            if let Some(hash) = request.content_hash.clone()
                && request.is_repeated(tx, name, &hash)?
            {
                request.file = None;
            }
            request.keep(tx, name)?;
            for next in &follow.next {
                next.queue(tx, name)?;
            }
            if let Some(next) = &follow.next_page
                && !next.queue(tx, name)?
            {
                return Err(refused(
                    &call.url,
                    "the next page is one that was asked for before: its pages go round in a circle".to_owned(),
                ));
            }
            if QueuedRequest::count(tx, name)? > self.limits.requests_max {
                return Err(refused(&call.url, format!("leads to more than {} requests", self.limits.requests_max)));
            }
            Ok(())
        })
    }

    /// Makes one delivery of all answers, lands it, and ends the crawl.
    async fn deliver(&self, source: &SourceSettings, began_at: &str) -> Result<Report, CollectError> {
        let requests = self.warehouse.catalog().read(|tx| QueuedRequest::all(tx, &source.name))?;
        let pages = self.pages(source);
        let pieces: Vec<Piece> = requests
            .iter()
            .filter_map(|request| {
                let path = pages.join(request.file.as_ref()?);
                Some(Piece { path, context: request.context.clone(), kind: request.kind.clone() })
            })
            .collect();
        let folder = self.folder().join(&source.name).join("delivery");
        let manifest = {
            let (source, began_at, limit) = (source.clone(), began_at.to_owned(), self.limits.page_bytes_max);
            let assembled = tokio::task::spawn_blocking(move || assemble(&source, &pieces, &folder, &began_at, limit));
            assembled.await.map_err(|error| CollectError::Settings(error.to_string()))??
        };
        let mut report = Report::default();
        if let Some(path) = manifest {
            let name = path.display().to_string();
            let verdict = match survey(&name, &Environment).await?.pop() {
                Some((_, Ok(files))) => self.land(source, &self.warehouse.landing_sources()?, files).await?,
                Some((_, Err(error))) => Verdict::Refused(error.to_string()),
                None => Verdict::Refused(format!("{name}: it names no file")),
            };
            self.note(source, Seen { name, fingerprint: began_at.to_owned() }, verdict, &mut report)?;
        }
        self.finish(source, &requests)?;
        Ok(report)
    }
}

/// The answers of a crawl on disk.
struct Kept {
    folder: PathBuf,
    bytes: u64,
}

impl Kept {
    fn measure(&mut self) -> Result<(), CollectError> {
        let entries = std::fs::read_dir(&self.folder).map_err(|error| CollectError::io(&self.folder, error))?;
        self.bytes = entries.flatten().filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
        Ok(())
    }
}

/// What the file of an answer is called.
pub(super) fn file_name(request_no: i64, body: Body) -> String {
    let ending = if body == Body::File { "file.gz" } else { "page.gz" };
    format!("{request_no:08}.{ending}")
}

/// What tells a page from one that was given twice: its rows, or the whole of it. Files have names of their own.
fn hash_of(rows: &Rows, body: Body, path: &Path) -> Result<Option<String>, CollectError> {
    let mut hash = Sha256::new();
    match rows {
        Rows::Items(items) if !items.is_empty() => {
            for item in items {
                hash.update(item.as_bytes());
                hash.update(b"\n");
            }
        }
        // The same text compresses to the same bytes.
        Rows::Body if body == Body::Page => {
            hash.update(std::fs::read(path).map_err(|error| CollectError::io(path, error))?);
        }
        Rows::None | Rows::Items(_) | Rows::Body => return Ok(None),
    }
    Ok(Some(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// A further request of the same API: its address must lead to where the source's location does, or the secret would be shown elsewhere.
pub(super) fn same_place(location: &str, next: &str) -> Result<url::Url, String> {
    let base = address(location).map_err(|error| error.to_string())?;
    let url = base.join(next).map_err(|error| format!("the next address cannot be read: {error}"))?;
    if url.origin() != base.origin() {
        return Err("the next address is at another host: it is not followed".to_owned());
    }
    Ok(url)
}
