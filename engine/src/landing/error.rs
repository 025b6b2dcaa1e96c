//! Why a delivery is refused whole.
//!
//! A malformed *row* never ends up here: it becomes a `RejectedRow` and the rest lands. These
//! errors are about files, manifests, headers and mappings, and nothing has changed when one is
//! returned. No text here contains a value of the data, only names of files and columns.

/// A delivery cannot be landed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LandingError {
    /// An input names nothing.
    #[error("{input}: no such file, folder or object")]
    NotFound {
        /// What was asked for.
        input: String,
    },
    /// A file has no bytes at all.
    #[error(
        "{file}: the file has 0 bytes; an empty delivery has at least a header, so this one was cut off: fetch it again"
    )]
    ZeroBytes {
        /// The file.
        file: String,
    },
    /// A compressed or columnar file ends too early or is damaged.
    #[error("{file}: the file is cut off or damaged ({reason}); fetch it again")]
    Truncated {
        /// The file.
        file: String,
        /// What the decoder said.
        reason: String,
    },
    /// The bytes are not of a format that can be landed.
    #[error("{file}: this is {found}, not CSV or JSON lines (or either as .gz) or Parquet; {hint}")]
    WrongFormat {
        /// The file.
        file: String,
        /// What it looks like.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A manifest cannot be read.
    #[error("{file}: the manifest cannot be used: {reason}")]
    Manifest {
        /// The manifest.
        file: String,
        /// Why.
        reason: String,
    },
    /// A manifest names a file that is not there.
    #[error("{manifest}: names {part}, which is not there; the delivery is incomplete, fetch the missing part")]
    MissingPart {
        /// The manifest.
        manifest: String,
        /// The part it names.
        part: String,
    },
    /// No mapping knows this header.
    #[error(
        "{file}: no source has this header; the nearest is {nearest}, which also needs: {missing}. Known sources: {known}"
    )]
    UnknownSource {
        /// The file.
        file: String,
        /// Name of the most similar source.
        nearest: String,
        /// Columns it would need.
        missing: String,
        /// Names of all sources.
        known: String,
    },
    /// Two mappings fit equally well.
    #[error("{file}: the header fits {candidates} alike; name one with --source")]
    AmbiguousSource {
        /// The file.
        file: String,
        /// The mappings.
        candidates: String,
    },
    /// `--source` names no mapping.
    #[error("there is no source {name}; known sources: {known}")]
    UnknownSourceName {
        /// What was named.
        name: String,
        /// Names of all sources.
        known: String,
    },
    /// A header lacks columns that its source cannot do without.
    #[error("{file}: as {source_name} the header must also have: {missing}")]
    MissingColumns {
        /// The file.
        file: String,
        /// The source.
        source_name: String,
        /// What is missing.
        missing: String,
    },
    /// A data set that is small by nature is not.
    #[error("{file}: a {source_name} has more than {limit} rows; is it the right file?")]
    TooManyRows {
        /// The file.
        file: String,
        /// The data set.
        source_name: &'static str,
        /// How many it may have.
        limit: usize,
    },
    /// Two rows of a data set are about the same thing.
    #[error("{file}: rows {first} and {second} have the same {key}; one of them is wrong, and which cannot be known")]
    Twins {
        /// The file.
        file: String,
        /// A row.
        first: String,
        /// The other.
        second: String,
        /// What names a row.
        key: String,
    },
    /// Two rows are of times that overlap and are not the same.
    #[error(
        "{file}: rows {first} and {second} are of windows that overlap; what was measured in both would count twice: export windows of one length"
    )]
    Overlap {
        /// The file.
        file: String,
        /// A row.
        first: String,
        /// The other.
        second: String,
    },
    /// Parts of one delivery are of different sources.
    #[error("{file}: is {found}, but {first} of the same delivery is {expected}; land them separately")]
    PartsDisagree {
        /// The part that differs.
        file: String,
        /// Its source.
        found: String,
        /// The first part.
        first: String,
        /// The first part's source.
        expected: String,
    },
    /// A header line cannot be used.
    #[error("{file}: the header cannot be used: {reason}")]
    Header {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A line is longer than any row may be.
    #[error("{file}: line {line} is longer than {limit_bytes} bytes; this is no file of rows")]
    LineTooLong {
        /// The file.
        file: String,
        /// Its 1-based line.
        line: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// A mapping file is wrong.
    #[error("source {source_name}: {reason}")]
    Mapping {
        /// The mapping.
        source_name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system or the object store failed.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What failed.
        reason: String,
    },
}

impl LandingError {
    /// The SQLSTATE of the failure, as `call land` reports it.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::MissingPart { .. } => "58P01",
            Self::Unreadable { .. } => "58030",
            Self::ZeroBytes { .. }
            | Self::Truncated { .. }
            | Self::WrongFormat { .. }
            | Self::Manifest { .. }
            | Self::MissingColumns { .. }
            | Self::PartsDisagree { .. }
            | Self::Header { .. }
            | Self::LineTooLong { .. }
            | Self::TooManyRows { .. }
            | Self::Twins { .. }
            | Self::Overlap { .. } => "22P04",
            Self::UnknownSource { .. } | Self::AmbiguousSource { .. } | Self::UnknownSourceName { .. } => "42704",
            Self::Mapping { .. } => "F0000",
        }
    }
}
