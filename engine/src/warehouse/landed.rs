//! What a landing reports.

use std::fmt;

/// What became of one delivery.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Landed {
    /// It is what its slices hold now.
    Landed {
        /// Its number.
        delivery_id: i64,
        /// Its file, folder or manifest.
        name: String,
        /// The mapping that read it.
        source: String,
        /// Rows accepted.
        rows: u64,
        /// Rows in quarantine.
        rejected_rows: u64,
        /// Rows that lost digits beyond 18 after the point.
        lossy_rows: u64,
        /// Data-quality findings.
        findings: usize,
        /// Slices it replaced.
        slices: usize,
        /// The snapshot that it made.
        snapshot_id: i64,
    },
    /// The same content was landed before; nothing changed.
    Known {
        /// Its file, folder or manifest.
        name: String,
        /// The delivery that it was.
        delivery_id: i64,
        /// When that came.
        landed_at: String,
    },
    /// It is older than what its slices hold; recorded and ignored.
    Stale {
        /// Its number.
        delivery_id: i64,
        /// Its file, folder or manifest.
        name: String,
        /// The mapping that read it.
        source: String,
    },
}

impl fmt::Display for Landed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landed { name, source, rows, rejected_rows, lossy_rows, findings, slices, snapshot_id, .. } => {
                write!(f, "{name}: {rows} rows of {source} in {slices} slices, {rejected_rows} rejected")?;
                if *lossy_rows > 0 {
                    write!(f, ", {lossy_rows} rounded at 18 digits")?;
                }
                if *findings > 0 {
                    write!(f, ", {findings} quality findings")?;
                }
                write!(f, " (snapshot {snapshot_id})")
            }
            Self::Known { name, delivery_id, landed_at } => {
                write!(f, "{name}: landed before as delivery {delivery_id} on {landed_at}; nothing changed")
            }
            Self::Stale { name, delivery_id, .. } => {
                write!(f, "{name}: older than what its slices hold; recorded as delivery {delivery_id} and ignored")
            }
        }
    }
}

/// How far a landing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Stored bytes of the delivery.
    pub bytes_total: u64,
    /// Rows taken in.
    pub rows: u64,
}
