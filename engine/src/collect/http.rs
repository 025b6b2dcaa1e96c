//! One request over HTTP, its answer written to a file, and asking again when that may help.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap};
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode, redirect};
use url::Url;

use super::allowance::take_call;
use super::authorization::Authorization;
use super::clock::Clock;
use super::error::CollectError;
use super::retry::backoff;
use super::settings::SourceSettings;
use super::trouble::Trouble;
use crate::catalog::Catalog;

const REDIRECTS_MAX: usize = 5;

/// Bounds of what is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long to wait for a connection, and for the next bytes.
    pub silence_max: Duration,
    /// How long one answer may take altogether.
    pub answer_max: Duration,
    /// How often one request is tried before its source fails.
    pub attempts_max: i64,
    /// Bytes of a page.
    pub page_bytes_max: u64,
    /// Bytes of a file.
    pub file_bytes_max: u64,
    /// Bytes that a crawl keeps, compressed.
    pub crawl_bytes_max: u64,
    /// Requests of a crawl.
    pub requests_max: i64,
    /// How long a collection waits altogether before its source pauses and makes room for others.
    pub patience: TimeDelta,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence_max: Duration::from_secs(60),
            answer_max: Duration::from_secs(6 * 60 * 60),
            attempts_max: 8,
            page_bytes_max: 64 << 20,
            file_bytes_max: 64 << 30,
            crawl_bytes_max: 64 << 30,
            requests_max: 1_000_000,
            patience: TimeDelta::minutes(2),
        }
    }
}

/// A request, but for its authorization.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
    /// Whether the source's secret goes with it: it does not to another host.
    pub(super) shows: Shows,
}

/// Whether a request shows the source's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Secret,
    Nothing,
}

/// What an answer must be to count as whole, and how it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// JSON, kept compressed.
    Json,
    /// Anything of a page's size, kept compressed.
    Page,
    /// A file, kept as it is; one whose name ends in `.gz` must decompress to its end.
    File,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Bytes of the file that it was written to.
    pub(super) bytes: u64,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Asks one source's provider.
pub(super) struct Asker<'a> {
    pub(super) client: Client,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: &'a Limits,
    catalog: &'a Catalog,
    account: String,
    per_hour: i64,
    authorization: Authorization,
    random: StdRng,
    patience: TimeDelta,
}

impl<'a> Asker<'a> {
    pub(super) fn new(
        source: &SourceSettings,
        catalog: &'a Catalog,
        clock: &Arc<dyn Clock>,
        limits: &'a Limits,
    ) -> Result<Self, CollectError> {
        let location = address(&source.location)?;
        let origin = location.origin().ascii_serialization();
        let account = source.credential.as_ref().map_or(origin, ToString::to_string);
        let client = client(&location, limits).map_err(|error| CollectError::Settings(error.to_string()))?;
        Ok(Self {
            authorization: Authorization::new(source)?,
            client,
            clock: Arc::clone(clock),
            limits,
            catalog,
            account,
            per_hour: source.requests_per_hour,
            random: StdRng::from_os_rng(),
            patience: limits.patience,
        })
    }

    /// Asks until there is a whole answer, which is then durable in `to`. `failures` counts the attempts in vain, also those of
    /// collections before.
    ///
    /// # Errors
    /// `Paused` when it has to wait longer than a collection waits; `Refused` when asking again does not help.
    pub(super) async fn ask(
        &mut self,
        call: &Call,
        body: Body,
        to: &Path,
        failures: &mut i64,
    ) -> Result<Reply, CollectError> {
        let mut has_renewed = false;
        loop {
            self.wait_for_allowance().await?;
            match self.attempt(call, body, to).await {
                Ok(reply) => return Ok(reply),
                Err(Trouble::Local(error)) => return Err(error),
                Err(Trouble::Lasting(reason)) => return Err(refused(&call.url, reason)),
                Err(Trouble::Unauthorized) => {
                    if has_renewed || !self.authorization.renew() {
                        return Err(refused(&call.url, "answered 401: the credential is not accepted".to_owned()));
                    }
                    has_renewed = true;
                }
                Err(Trouble::Passing { reason, wait }) => {
                    *failures += 1;
                    if *failures >= self.limits.attempts_max {
                        let tried = std::mem::take(failures);
                        return Err(refused(&call.url, format!("{reason}; it was tried {tried} times")));
                    }
                    let wait = wait.unwrap_or_else(|| {
                        TimeDelta::from_std(backoff(*failures, &mut self.random)).unwrap_or(TimeDelta::minutes(5))
                    });
                    self.wait(wait, &reason).await?;
                }
            }
        }
    }

    /// Waits, or says from when on the source may go on.
    pub(super) async fn wait(&mut self, time: TimeDelta, why: &str) -> Result<(), CollectError> {
        if time > self.patience {
            return Err(CollectError::Paused { until: self.clock.now() + time, why: why.to_owned() });
        }
        self.patience -= time;
        self.clock.sleep(time.to_std().unwrap_or_default()).await;
        Ok(())
    }

    async fn wait_for_allowance(&mut self) -> Result<(), CollectError> {
        while let Some(wait) = take_call(self.catalog, &self.account, self.per_hour, self.clock.now())? {
            let why = format!("the {} calls an hour of this account are used up", self.per_hour);
            self.wait(wait, &why).await?;
        }
        Ok(())
    }

    async fn attempt(&mut self, call: &Call, body: Body, to: &Path) -> Result<Reply, Trouble> {
        let mut request = self
            .client
            .request(call.method.clone(), call.url.clone())
            .header(ACCEPT_ENCODING, "identity")
            .timeout(self.limits.answer_max);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(text) = &call.body {
            if !call.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request = request.header("content-type", "application/json");
            }
            request = request.body(text.clone());
        }
        if call.shows == Shows::Secret {
            let now = self.clock.now();
            request = self.authorization.show(request, &self.client, now).await.map_err(Trouble::Local)?;
        }
        let response = request.send().await.map_err(|error| Trouble::of_connection(&error))?;
        let now = self.clock.now();
        let is_missing = body == Body::File && response.status() == StatusCode::NOT_FOUND;
        if is_missing || response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Reply { status: response.status(), headers: response.headers().clone(), bytes: 0 });
        }
        if let Some(trouble) = Trouble::of_status(&response, now) {
            return Err(if self.authorization.is_of_aws() { trouble.named_by_aws(response).await } else { trouble });
        }
        let encoding = response.headers().get(CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            return Err(Trouble::Lasting("answered with an encoding that was not asked for".to_owned()));
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = self.receive(response, body, to).await?;
        Ok(Reply { status, headers, bytes })
    }

    /// Writes an answer beside `to`, and under that name once it is whole and durable.
    async fn receive(&self, mut response: Response, body: Body, to: &Path) -> Result<u64, Trouble> {
        let bytes_max = match body {
            Body::Json | Body::Page => self.limits.page_bytes_max,
            Body::File => self.limits.file_bytes_max,
        };
        let unfinished = PathBuf::from(format!("{}.part", to.display()));
        let io = |source| Trouble::Local(CollectError::io(&unfinished, source));
        let file = std::fs::File::create(&unfinished).map_err(io)?;
        let mut sink = match body {
            Body::Json | Body::Page => Sink::Compressed(Box::new(GzEncoder::new(file, Compression::default()))),
            Body::File => Sink::Plain(file),
        };
        let mut received = 0_u64;
        // An answer that is shorter than its Content-Length is an error here.
        while let Some(piece) = response.chunk().await.map_err(|error| Trouble::of_connection(&error))? {
            received += piece.len() as u64;
            if received > bytes_max {
                return Err(Trouble::Lasting(format!("answered with more than {bytes_max} bytes")));
            }
            sink.write(&piece).map_err(io)?;
        }
        let file = sink.finish().map_err(io)?;
        file.sync_all().map_err(io)?;
        let stored = file.metadata().map_err(io)?.len();
        let check = {
            let (unfinished, is_gz) = (unfinished.clone(), to.extension().is_some_and(|e| e == "gz"));
            let bytes_max = self.limits.page_bytes_max;
            tokio::task::spawn_blocking(move || is_whole(&unfinished, body, is_gz, bytes_max))
        };
        check.await.map_err(|error| Trouble::passing(error.to_string()))?.map_err(Trouble::passing)?;
        std::fs::rename(&unfinished, to).map_err(io)?;
        Ok(stored)
    }
}

enum Sink {
    Plain(std::fs::File),
    Compressed(Box<GzEncoder<std::fs::File>>),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Compressed(file) => file.write_all(bytes),
        }
    }

    fn finish(self) -> std::io::Result<std::fs::File> {
        match self {
            Self::Plain(file) => Ok(file),
            Self::Compressed(file) => file.finish(),
        }
    }
}

/// Whether what was written is whole, as far as its form tells.
fn is_whole(path: &Path, body: Body, is_gz: bool, bytes_max: u64) -> Result<(), String> {
    match body {
        Body::Json => {
            let text = read_page(path, bytes_max).map_err(|error| error.to_string())?;
            serde_json::from_str::<serde::de::IgnoredAny>(&text)
                .map(drop)
                .map_err(|error| format!("answered with broken JSON (line {})", error.line()))
        }
        Body::File if is_gz => {
            let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
            std::io::copy(&mut flate2::read::MultiGzDecoder::new(std::io::BufReader::new(file)), &mut std::io::sink())
                .map(drop)
                .map_err(|error| format!("answered with a file that is cut off or damaged ({error})"))
        }
        Body::Page | Body::File => Ok(()),
    }
}

/// A page that was kept, as text.
pub(super) fn read_page(path: &Path, bytes_max: u64) -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    flate2::read::MultiGzDecoder::new(file).take(bytes_max).read_to_end(&mut bytes)?;
    // Partner Center begins its answers with a byte order mark.
    let text = String::from_utf8(bytes).map_err(|_| std::io::Error::other("answered with what is not UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn client(location: &Url, limits: &Limits) -> reqwest::Result<Client> {
    let same_place = redirect::Policy::custom(|attempt| {
        let first = attempt.previous().first().map(Url::origin);
        if attempt.previous().len() > REDIRECTS_MAX {
            return attempt.error("too many redirects");
        }
        if first == Some(attempt.url().origin()) {
            attempt.follow()
        } else {
            attempt.error("a redirect to another host")
        }
    });
    let builder = client_of(location).redirect(same_place);
    builder.connect_timeout(limits.silence_max).read_timeout(limits.silence_max).build()
}

/// A client that says who it is and asks an address, to be given its limits.
pub(crate) fn client_of(location: &Url) -> ClientBuilder {
    let builder = Client::builder().user_agent(concat!("ratehouse/", env!("CARGO_PKG_VERSION")));
    // What is on this machine is not behind a proxy.
    if location.scheme() == "http" { builder.no_proxy() } else { builder }
}

/// A URL without its parameters, for messages.
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

pub(super) fn refused(url: &Url, reason: String) -> CollectError {
    CollectError::Refused { address: shown(url), reason }
}

/// An address of a source.
pub(super) fn address(text: &str) -> Result<Url, CollectError> {
    Url::parse(text).map_err(|error| CollectError::Settings(format!("the address cannot be read: {error}")))
}
