//! Collection in the background of `serve`: what is due, one source after the other, until it is told to stop.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Collector, Outcome, Which};

/// How often to see what is due; a cadence is a minute or longer.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Collects what is due until it is stopped. Stopped in the middle it leaves what a crash would: a queue to go on from, and files
/// that no snapshot lists.
pub async fn run(collector: Collector, stop: CancellationToken) {
    loop {
        let collected = tokio::select! {
            () = stop.cancelled() => return,
            collected = collector.collect(Which::Due) => collected,
        };
        match collected {
            Ok(collected) => {
                for source in collected {
                    match &source.outcome {
                        Outcome::Failed { .. } => tracing::error!("{source}"),
                        Outcome::Done(report) if !report.refused.is_empty() => tracing::error!("{source}"),
                        Outcome::Done(_) | Outcome::Paused { .. } => tracing::info!("{source}"),
                    }
                }
            }
            // Another process is at it, or the catalog could not be read this time.
            Err(error) => tracing::warn!(%error, "collection"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
