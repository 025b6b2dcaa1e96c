//! An opened delivery: its source is known, its header fits, its rows can be read.

use std::io::Read;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::csv::{Header, read_header};
use super::delivery_period::period_of;
use super::discover::{DeliveryFiles, PartFile};
use super::error::LandingError;
use super::header_names::HeaderNames;
use super::json::{first_object, mark_bytes, names_in};
use super::location::{Format, format_of, gunzip};
use super::manifest::ManifestFacts;
use super::mapping::Mapping;
use super::parquet;
use super::reading::{LandedRows, start};
use super::source::{Source, SourceCatalog, SourceInfo};

/// Bytes that are looked at for the header.
const HEADER_BYTES_MAX: usize = 1 << 20;

/// A delivery whose parts are all of one known source.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// As in `DeliveryFiles`.
    pub name: String,
    /// Its source.
    pub source: SourceInfo,
    /// What its manifest says, if it has one.
    pub manifest: Option<ManifestFacts>,
    parts: Vec<OpenPart>,
}

/// A part whose header is known, and its mapping.
#[derive(Debug, Clone)]
pub(crate) struct OpenPart {
    pub(crate) file: PartFile,
    pub(crate) kind: PartKind,
    pub(crate) mapping: Arc<Mapping>,
}

/// A part whose mapping is fitted to its header, before it is known what the whole delivery is.
pub(crate) struct FittedPart {
    pub(crate) file: PartFile,
    pub(crate) kind: PartKind,
    pub(crate) header: HeaderNames,
    mapping: Mapping,
}

/// How a part's rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartKind {
    /// CSV, perhaps compressed: bytes and lines before the first data row.
    Csv {
        is_gzip: bool,
        header_bytes: usize,
        header_lines: u64,
    },
    /// JSON lines, perhaps compressed: bytes of the byte-order mark.
    JsonLines {
        is_gzip: bool,
        mark_bytes: usize,
    },
    Parquet,
}

impl DeliveryFiles {
    /// Looks at every part's header and finds the one source that they all are.
    ///
    /// `named` is what the user gave as `--source`; without it the source is detected from the
    /// header and, where two views of one cost have the same header, from the delivery's name.
    ///
    /// # Errors
    /// Everything that refuses a delivery whole; see `LandingError`. A header without rows is a
    /// valid, empty delivery.
    pub async fn open(self, sources: &SourceCatalog, named: Option<&str>) -> Result<Delivery, LandingError> {
        let mut source: Option<(Arc<Source>, String)> = None;
        let mut parts = Vec::with_capacity(self.parts.len());
        for file in &self.parts {
            let name = file.location.name();
            let (kind, header) = look(file).await?;
            let found = match named {
                Some(named) => sources.named(named, &name, &header)?,
                None => sources.detect(&name, &header, &self.hints(file))?,
            };
            match &source {
                None => source = Some((Arc::clone(&found), name.clone())),
                Some((first, of)) if first.directives.name != found.directives.name => {
                    return Err(LandingError::PartsDisagree {
                        file: name,
                        found: found.directives.name.clone(),
                        first: of.clone(),
                        expected: first.directives.name.clone(),
                    });
                }
                Some(_) => {}
            }
            let mapping = Mapping::fit(&found, &name, &header).await?;
            parts.push(FittedPart { file: file.clone(), kind, header, mapping });
        }
        let Some((source, _)) = source else {
            return Err(LandingError::Manifest { file: self.name, reason: "it names no files".to_owned() });
        };
        let period = match &source.directives.delivery_period {
            Some(column) => period_of(&source, column, &parts).await?,
            None => None,
        };
        let open = |part: FittedPart| OpenPart {
            file: part.file,
            kind: part.kind,
            mapping: Arc::new(Mapping { delivery_period: period, ..part.mapping }),
        };
        let parts = parts.into_iter().map(open).collect();
        Ok(Delivery { name: self.name, source: source.info(), manifest: self.manifest, parts })
    }

    /// Names that may tell apart sources with the same header.
    fn hints(&self, file: &PartFile) -> Vec<String> {
        let kind = self.manifest.as_ref().and_then(|m| m.kind.clone());
        [self.name.clone(), file.location.name()].into_iter().chain(kind).collect()
    }
}

impl Delivery {
    /// Parts that are opened as one source.
    pub(crate) fn of_parts(files: &DeliveryFiles, source: SourceInfo, parts: Vec<OpenPart>) -> Self {
        Self { name: files.name.clone(), source, manifest: files.manifest.clone(), parts }
    }

    /// The parts, in the order of `source_file`.
    pub fn parts(&self) -> impl Iterator<Item = &PartFile> {
        self.parts.iter().map(|p| &p.file)
    }

    /// Stored bytes of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts().map(|p| p.bytes).sum()
    }

    /// SHA-256 over the parts' own SHA-256s in order of value, so that the order of parts does
    /// not matter; of a single file, the file's own (what `sha256sum` prints).
    ///
    /// Reads every byte. `LandedRows::content_hash` gives the same value for nothing once the
    /// rows have been read; this is for asking beforehand whether a delivery is already known.
    ///
    /// # Errors
    /// `Unreadable`.
    pub async fn content_hash(&self) -> Result<String, LandingError> {
        let mut hashes = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let location = part.file.location.clone();
            let runtime = Handle::current();
            let hash = tokio::task::spawn_blocking(move || hash_file(&location, &runtime)).await;
            hashes.push(hash.map_err(|e| part.file.location.unreadable(&e))??);
        }
        Ok(combine(hashes))
    }

    /// Reads the rows on `threads` worker threads. Must be called within a Tokio runtime.
    ///
    /// Batches come in the order of the parts and of their rows; memory is bounded by a few
    /// chunks a thread, whatever the files' size. Dropping the stream stops the work.
    pub fn read(self, threads: usize) -> LandedRows {
        start(self.parts, threads.max(1))
    }
}

/// The format and the columns of a part.
pub(crate) async fn look(file: &PartFile) -> Result<(PartKind, HeaderNames), LandingError> {
    let name = file.location.name();
    if file.bytes == 0 {
        return Err(LandingError::ZeroBytes { file: name });
    }
    let location = file.location.clone();
    let runtime = Handle::current();
    let joined = tokio::task::spawn_blocking(move || {
        let mut first = first_bytes(location.open(&runtime)?, 4_096).map_err(|e| location.unreadable(&e))?;
        let format = format_of(&first, &location.name())?;
        let is_gzip = format == Format::Gzip;
        if is_gzip {
            let truncated =
                |e: std::io::Error| LandingError::Truncated { file: location.name(), reason: e.to_string() };
            first = first_bytes(gunzip(location.open(&runtime)?), HEADER_BYTES_MAX).map_err(truncated)?;
            let inner = format_of(&first, &location.name())?;
            if !matches!(inner, Format::Csv | Format::JsonLines) {
                let (found, hint) = ("a compressed file inside a compressed file", "decompress it first");
                return Err(LandingError::WrongFormat { file: location.name(), found, hint });
            }
        } else if format != Format::Parquet {
            first = first_bytes(location.open(&runtime)?, HEADER_BYTES_MAX).map_err(|e| location.unreadable(&e))?;
        }
        Ok((format, first))
    })
    .await;
    let (format, first) = joined.map_err(|e| file.location.unreadable(&e))??;
    if format == Format::Parquet {
        let opened = parquet::open(&file.location, file.bytes).await?;
        return Ok((PartKind::Parquet, parquet::header(&opened)));
    }
    let is_gzip = format == Format::Gzip;
    if first_object(&first) {
        let names = names_in(&first, first.len() < HEADER_BYTES_MAX).ok_or_else(|| {
            let (found, hint) = (
                "JSON without one object a line",
                "write each object in one line (jq -c), or name a manifest …-Manifest.json or manifest.json",
            );
            LandingError::WrongFormat { file: name, found, hint }
        })?;
        let kind = PartKind::JsonLines { is_gzip, mark_bytes: mark_bytes(&first) };
        return Ok((kind, HeaderNames::open(&names)));
    }
    let Header { columns, bytes, lines } = header_of(&first, &name)?;
    Ok((PartKind::Csv { is_gzip, header_bytes: bytes, header_lines: lines }, HeaderNames::new(&columns)))
}

fn header_of(first: &[u8], name: &str) -> Result<Header, LandingError> {
    if first.is_empty() {
        return Err(LandingError::ZeroBytes { file: name.to_owned() });
    }
    let is_end = first.len() < HEADER_BYTES_MAX;
    read_header(first, is_end)
        .map_err(|reason| LandingError::Header { file: name.to_owned(), reason: reason.to_owned() })
}

fn first_bytes(reader: Box<dyn Read + Send>, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut first = Vec::new();
    reader.take(bytes as u64).read_to_end(&mut first)?;
    Ok(first)
}

pub(crate) fn hash_file(location: &super::location::Location, runtime: &Handle) -> Result<[u8; 32], LandingError> {
    let mut reader = location.open(runtime)?;
    let mut hash = Sha256::new();
    std::io::copy(&mut reader, &mut hash).map_err(|e| location.unreadable(&e))?;
    Ok(hash.finalize().into())
}

/// The hash of a delivery from those of its parts.
pub(crate) fn combine(mut hashes: Vec<[u8; 32]>) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    if let [one] = hashes.as_slice() {
        return hex(one);
    }
    hashes.sort_unstable();
    let mut whole = Sha256::new();
    for hash in hashes {
        whole.update(hash);
    }
    hex(&whole.finalize())
}
