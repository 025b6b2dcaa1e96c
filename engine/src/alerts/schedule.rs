//! Alerts in the background of `serve`.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::Alerter;

/// How often to see what is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Looking costs what the views cost: not oftener than this, whatever lands.
const REST: TimeDelta = TimeDelta::minutes(15);

/// Makes rounds until it is stopped.
pub async fn run(alerter: Alerter, stop: CancellationToken) {
    let alerter = alerter.with_rest(REST);
    loop {
        let round = tokio::select! {
            () = stop.cancelled() => return,
            round = alerter.round() => round,
        };
        match round {
            Ok(round) => {
                for reason in &round.failed {
                    tracing::error!("an alert is given up: {reason}");
                }
                for reason in &round.postponed {
                    tracing::warn!("an alert waits: {reason}");
                }
                if round.sent > 0 {
                    tracing::info!("{} alerts sent", round.sent);
                }
            }
            // Another process is at it, or the warehouse could not be read this time.
            Err(error) => tracing::warn!(%error, "alerts"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
