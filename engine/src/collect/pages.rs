//! The answers of a crawl as one delivery: compressed files, and a manifest that says when they were asked for.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::error::CollectError;
use super::http::read_page;
use super::https_files::{make, remove};
use super::json_items::{items, with_fields};
use super::options::BodyFormat;
use super::partner_center;
use super::settings::{SourceKind, SourceSettings};

/// An answer with rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) path: PathBuf,
    /// What its rows are about: a JSON object of texts.
    pub(super) context: String,
    pub(super) kind: String,
}

/// Writes the delivery and gives its manifest; none if there are no rows. The same answers make the same bytes.
pub(super) fn assemble(
    source: &SourceSettings,
    pieces: &[Piece],
    folder: &Path,
    began_at: &str,
    page_bytes_max: u64,
) -> Result<Option<PathBuf>, CollectError> {
    remove(folder)?;
    make(folder)?;
    let are_files = source.options.format == BodyFormat::Csv || pieces.iter().any(|piece| piece.kind == "blob");
    let names = if are_files {
        let ending = if source.options.format == BodyFormat::Csv { "csv.gz" } else { "jsonl.gz" };
        copy(pieces, folder, ending)?
    } else {
        lines(source, pieces, folder, page_bytes_max)?
    };
    if names.is_empty() {
        return Ok(None);
    }
    let path = folder.join("manifest.json");
    let manifest = serde_json::json!({ "files": names, "created_at": began_at });
    std::fs::write(&path, manifest.to_string()).map_err(|error| CollectError::io(&path, error))?;
    Ok(Some(path))
}

/// Each answer is a file of its own.
fn copy(pieces: &[Piece], folder: &Path, ending: &str) -> Result<Vec<String>, CollectError> {
    let mut names = Vec::with_capacity(pieces.len());
    for (number, piece) in pieces.iter().enumerate() {
        let name = format!("part-{number:08}.{ending}");
        std::fs::copy(&piece.path, folder.join(&name)).map_err(|error| CollectError::io(&piece.path, error))?;
        names.push(name);
    }
    Ok(names)
}

/// All items of all answers, one a line, as they were written.
fn lines(
    source: &SourceSettings,
    pieces: &[Piece],
    folder: &Path,
    page_bytes_max: u64,
) -> Result<Vec<String>, CollectError> {
    let name = "rows.jsonl.gz";
    let path = folder.join(name);
    let io = |error| CollectError::io(&path, error);
    let mut file = GzEncoder::new(File::create(&path).map_err(io)?, Compression::default());
    let mut count = 0_u64;
    let pointer = match source.kind {
        SourceKind::PartnerCenter => partner_center::ITEMS,
        _ => &source.options.items,
    };
    for piece in pieces {
        let broken = |reason: String| CollectError::Refused { address: piece.path.display().to_string(), reason };
        let text = read_page(&piece.path, page_bytes_max).map_err(|error| CollectError::io(&piece.path, error))?;
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&piece.context).map_err(|error| broken(error.to_string()))?;
        let fields: Vec<(String, String)> =
            fields.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect();
        for item in items(&text, pointer).map_err(broken)? {
            let line = if fields.is_empty() { item } else { with_fields(&item, &fields).map_err(broken)? };
            file.write_all(line.as_bytes()).map_err(io)?;
            file.write_all(b"\n").map_err(io)?;
            count += 1;
        }
    }
    file.finish().map_err(io)?.sync_all().map_err(io)?;
    Ok(if count == 0 { Vec::new() } else { vec![name.to_owned()] })
}
