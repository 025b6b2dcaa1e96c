//! Collection: sources are looked at when they are due, what is new lands once, and what is late shows.

#[path = "collection/clock.rs"]
pub(crate) mod clock;
#[path = "collection/files_at_addresses.rs"]
mod files_at_addresses;
#[path = "collection/folders.rs"]
mod folders;
#[path = "collection/paged.rs"]
mod paged;
#[path = "collection/partner.rs"]
mod partner;
#[path = "collection/runs.rs"]
mod runs;
#[path = "collection/server.rs"]
pub(crate) mod server;
#[path = "collection/signed.rs"]
mod signed;
#[path = "collection/sources.rs"]
mod sources;
#[path = "collection/unchanged.rs"]
mod unchanged;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use ratehouse::collect::{Collected, Collector, Outcome, Report, Which};

use crate::fixture::{Fixture, run};
use clock::ManualClock;

/// A warehouse, its collector, and the collector's clock.
struct House {
    fixture: Fixture,
    clock: Arc<ManualClock>,
}

impl House {
    /// A clock that is five minutes ahead: files that were just written have settled.
    async fn new() -> Self {
        let fixture = Fixture::chain().await;
        Self { fixture, clock: Arc::new(ManualClock::ahead_by(chrono::TimeDelta::minutes(5))) }
    }

    fn collector(&self) -> Collector {
        Collector::new(&self.fixture.warehouse).with_clock(Arc::clone(&self.clock) as _)
    }

    /// Adds a source; `more` is `, column = value` ....
    async fn source(&self, name: &str, kind: &str, location: &str, more: &[(&str, &str)]) {
        let columns: String = more.iter().map(|(column, _)| format!(", {column}")).collect();
        let values: String = more.iter().map(|(_, value)| format!(", '{value}'")).collect();
        let sql = format!(
            "insert into ref.sources (name, kind, location{columns}) values ('{name}', '{kind}', '{location}'{values})"
        );
        run(&self.fixture.admin(), &sql).await;
    }

    async fn collect(&self, which: Which<'_>) -> Vec<Collected> {
        self.collector().collect(which).await.expect("the catalog is there")
    }

    /// Collects a source by its name; it must be looked at to the end.
    async fn done(&self, name: &str) -> Report {
        match self.collect(Which::Named(name)).await.remove(0).outcome {
            Outcome::Done(report) => report,
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// The text of a compressed file.
fn unzipped(path: &Path) -> String {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).expect("a whole file");
    text
}

/// Whether a text is in a file below a folder, as it is or compressed.
fn is_anywhere(folder: &Path, text: &str) -> bool {
    let found = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    std::fs::read_dir(folder).expect("a folder").flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_anywhere(&path, text);
        }
        let stored = std::fs::read(&path).unwrap_or_default();
        let mut plain = Vec::new();
        let _ = flate2::read::MultiGzDecoder::new(stored.as_slice()).read_to_end(&mut plain);
        found(&stored) || found(&plain)
    })
}
