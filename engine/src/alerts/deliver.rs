//! Sends what is due, once or again.

use chrono::TimeDelta;
use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode, redirect};

use super::payload::{key, payload};
use super::{Alerter, Round, Target};
use crate::catalog::{AlertDelivery, AlertRow};
use crate::collect::{backoff, client_of, instant_text, retry_after};
use crate::error::Error;

/// Attempts after which a delivery is given up: with pauses of up to six hours that is two days.
const ATTEMPTS_MAX: i64 = 16;
const PAUSE_MAX: TimeDelta = TimeDelta::hours(6);
/// Deliveries of a target in one round, and alerts of a digest.
const DUE_MAX: usize = 500;

/// Why a delivery did not arrive, as far as is known.
struct Trouble {
    reason: String,
    /// Whether another attempt is of no use.
    is_lasting: bool,
    wait: Option<TimeDelta>,
}

impl Alerter {
    /// Sends what is due to a target.
    pub(super) async fn deliver(&self, target: &Target, round: &mut Round) -> Result<(), Error> {
        let catalog = self.warehouse.catalog();
        let now = self.clock.now();
        let due =
            catalog.read(|tx| AlertDelivery::due(tx, (&target.owner, &target.name), &instant_text(now), DUE_MAX))?;
        let is_quiet = target.quiet.is_some_and(|quiet| quiet.holds(now, target.zone));
        let due: Vec<(AlertDelivery, AlertRow)> =
            due.into_iter().filter(|(_, alert)| !is_quiet || alert.is_critical()).collect();
        if due.is_empty() {
            return Ok(());
        }
        let client = client_of(&target.url).redirect(redirect::Policy::none()).timeout(self.answer_max);
        let client = client.build().map_err(|error| Error::Refused(error.to_string()))?;
        // Warnings of a digest go together, all else by itself.
        let (digest, single): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|(_, alert)| target.digest_at.is_some() && !alert.is_critical());
        let batches =
            single.into_iter().map(|one| vec![one]).chain(std::iter::once(digest)).filter(|batch| !batch.is_empty());
        for batch in batches {
            let (deliveries, alerts): (Vec<AlertDelivery>, Vec<AlertRow>) = batch.into_iter().unzip();
            let sent = self.send(&client, target, &alerts).await;
            self.settle(target, &deliveries, sent, round)?;
        }
        Ok(())
    }

    async fn send(&self, client: &Client, target: &Target, alerts: &[AlertRow]) -> Result<(), Trouble> {
        let failed = |reason: String| Trouble { reason, is_lasting: false, wait: None };
        let mut request = client
            .post(target.url.clone())
            .header("idempotency-key", key(target, alerts))
            .header("content-type", "application/json")
            .body(payload(target, alerts).to_string());
        if let Some(credential) = &target.credential {
            let secret = credential.read().map_err(|error| failed(error.to_string()))?;
            request = if target.is_basic {
                let (user, password) = secret.reveal().split_once(':').unwrap_or((secret.reveal(), ""));
                request.basic_auth(user, Some(password))
            } else {
                request.bearer_auth(secret.reveal())
            };
        }
        // Without the address: paths of webhooks are secrets, too.
        let response = request.send().await.map_err(|error| {
            failed(if error.is_timeout() {
                "it did not answer in time".to_owned()
            } else {
                "it could not be reached".to_owned()
            })
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let comes_back = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED);
        let told = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Err(Trouble {
            reason: format!("it answered {status}"),
            is_lasting: !comes_back,
            wait: told.and_then(|text| retry_after(text, self.clock.now())),
        })
    }

    /// Writes down what became of deliveries that went together.
    fn settle(
        &self,
        target: &Target,
        deliveries: &[AlertDelivery],
        sent: Result<(), Trouble>,
        round: &mut Round,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let name = format!("{}/{}", target.owner, target.name);
        let attempts = deliveries.iter().map(|delivery| delivery.attempts).max().unwrap_or_default() + 1;
        let (state, next, error) = match sent {
            Ok(()) => {
                round.sent += deliveries.len();
                ("sent", now, None)
            }
            Err(trouble) if trouble.is_lasting || attempts >= ATTEMPTS_MAX => {
                round.failed.push(format!("{name}: {}", trouble.reason));
                ("failed", now, Some(trouble.reason))
            }
            Err(trouble) => {
                round.postponed.push(format!("{name}: {}", trouble.reason));
                ("waiting", now + trouble.wait.unwrap_or_else(|| pause(attempts)), Some(trouble.reason))
            }
        };
        self.warehouse.catalog().remember(|tx| {
            for delivery in deliveries {
                delivery.settle(tx, (state, attempts), &instant_text(next), error.as_deref())?;
            }
            Ok(())
        })
    }
}

/// A minute doubled with each attempt, at most six hours, and a little more or less.
fn pause(attempts: i64) -> TimeDelta {
    let doublings = u32::try_from(attempts - 1).unwrap_or(u32::MAX).min(16);
    let jitter = TimeDelta::from_std(backoff(1, &mut StdRng::from_os_rng())).unwrap_or_default();
    TimeDelta::minutes(1 << doublings).min(PAUSE_MAX) + jitter
}
