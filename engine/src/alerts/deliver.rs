//! Sends what is due, once or again.

use chrono::TimeDelta;
use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};

use super::payload::{key, payload};
use super::{Alerter, Round, Target, ticket};
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

impl Trouble {
    fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_lasting: false, wait: None }
    }
}

/// Deliveries that go together.
struct Batch {
    /// What the receiver knows them by.
    key: String,
    /// Whether they were tried before, and may have arrived.
    is_repeated: bool,
    deliveries: Vec<AlertDelivery>,
    alerts: Vec<AlertRow>,
}

impl Batch {
    fn of(target: &Target, together: Vec<(AlertDelivery, AlertRow)>) -> Self {
        let (deliveries, alerts): (Vec<AlertDelivery>, Vec<AlertRow>) = together.into_iter().unzip();
        let known = deliveries.first().and_then(|delivery| delivery.delivery_key.clone());
        let is_repeated = known.is_some();
        Self { key: known.unwrap_or_else(|| key(target, &alerts)), is_repeated, deliveries, alerts }
    }
}

/// So much of what is due that nothing is torn from what it went with before: that waits for the next round.
fn whole(mut due: Vec<(AlertDelivery, AlertRow)>) -> Vec<(AlertDelivery, AlertRow)> {
    let key_at = |at: Option<&(AlertDelivery, AlertRow)>| at.and_then(|(delivery, _)| delivery.delivery_key.clone());
    let last = key_at(due.last());
    if due.len() >= DUE_MAX && last.is_some() && key_at(due.first()) != last {
        due.retain(|(delivery, _)| delivery.delivery_key != last);
    }
    due
}

/// What is due, as it is sent. What was tried goes again with what it went with, and with nothing else: the receiver may have it.
/// Of what is new warnings of a digest go together, all else by itself.
fn batches(target: &Target, due: Vec<(AlertDelivery, AlertRow)>) -> Vec<Batch> {
    let is_digested = |alert: &AlertRow| target.digest_at.is_some() && !alert.is_critical();
    let mut groups: Vec<Vec<(AlertDelivery, AlertRow)>> = Vec::new();
    for (delivery, alert) in due {
        let is_of = |(first, other): &(AlertDelivery, AlertRow)| match (&first.delivery_key, &delivery.delivery_key) {
            (None, None) => is_digested(other) && is_digested(&alert),
            (before, now) => before == now,
        };
        match groups.iter_mut().find(|group| group.first().is_some_and(is_of)) {
            Some(group) => group.push((delivery, alert)),
            None => groups.push(vec![(delivery, alert)]),
        }
    }
    groups.into_iter().map(|group| Batch::of(target, group)).collect()
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
            whole(due).into_iter().filter(|(_, alert)| !is_quiet || alert.is_critical()).collect();
        if due.is_empty() {
            return Ok(());
        }
        let client = client_of(&target.url).redirect(redirect::Policy::none()).timeout(self.answer_max);
        let client = client.build().map_err(|error| Error::Refused(error.to_string()))?;
        for batch in batches(target, due) {
            if !batch.is_repeated {
                catalog.remember(|tx| batch.deliveries.iter().try_for_each(|one| one.begin(tx, &batch.key)))?;
            }
            let sent = self.send(&client, target, &batch).await;
            self.settle(target, &batch.deliveries, sent, round)?;
        }
        Ok(())
    }

    async fn send(&self, client: &Client, target: &Target, batch: &Batch) -> Result<(), Trouble> {
        if batch.is_repeated && self.is_there(client, target, &batch.key).await? {
            return Ok(());
        }
        let request = client
            .post(target.url.clone())
            .header("idempotency-key", &batch.key)
            .header("content-type", "application/json")
            .body(payload(target, &batch.key, &batch.alerts).to_string());
        self.ask(target, request).await.map(drop)
    }

    /// Whether the receiver has the ticket of a key already, as far as it tells.
    async fn is_there(&self, client: &Client, target: &Target, key: &str) -> Result<bool, Trouble> {
        let Some(address) = ticket::address(target, key) else { return Ok(false) };
        let answer = match self.ask(target, client.get(address).header("accept", "application/json")).await {
            Ok(response) => response.bytes().await.map_err(|_| Trouble::passing("its answer was cut off"))?,
            // Whoever may not search is sent it again: twice is better than never.
            Err(trouble) if trouble.is_lasting => return Ok(false),
            Err(trouble) => return Err(trouble),
        };
        let answer = serde_json::from_slice(&answer).map_err(|_| Trouble::passing("it answered with broken JSON"))?;
        Ok(ticket::is_in(target, key, &answer))
    }

    /// Asks with the target's secret; what is no success is trouble.
    async fn ask(&self, target: &Target, mut request: RequestBuilder) -> Result<Response, Trouble> {
        if let Some(credential) = &target.credential {
            let secret = credential.read().map_err(|error| Trouble::passing(error.to_string()))?;
            request = if target.is_basic {
                let (user, password) = secret.reveal().split_once(':').unwrap_or((secret.reveal(), ""));
                request.basic_auth(user, Some(password))
            } else {
                request.bearer_auth(secret.reveal())
            };
        }
        // Without the address: paths of webhooks are secrets, too.
        let response = request.send().await.map_err(|error| {
            Trouble::passing(if error.is_timeout() { "it did not answer in time" } else { "it could not be reached" })
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
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
