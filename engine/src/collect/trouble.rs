//! Why an attempt failed, and whether another one may go well.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};

use super::aws_refusal;
use super::error::CollectError;
use super::retry::retry_after;

/// Why an attempt failed.
pub(super) enum Trouble {
    /// It may go well another time.
    Passing {
        reason: String,
        wait: Option<TimeDelta>,
    },
    /// It will not.
    Lasting(String),
    /// The secret is not accepted, or not any more.
    Unauthorized,
    Local(CollectError),
}

impl Trouble {
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing { reason: reason.into(), wait: None }
    }

    /// What a status says is wrong, if anything.
    pub(super) fn of_status(response: &Response, now: DateTime<Utc>) -> Option<Self> {
        let status = response.status();
        if status.is_success() {
            return None;
        }
        let said = format!("answered {status}");
        Some(match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Self::Passing { reason: said, wait: told_to_wait(response, now) }
            }
            _ if status.is_server_error() => Self::Passing { reason: said, wait: told_to_wait(response, now) },
            _ => Self::Lasting(said),
        })
    }

    /// The same with the name that a service of AWS gives it: one of them passes although its status is 400.
    pub(super) async fn named_by_aws(self, response: Response) -> Self {
        match self {
            Self::Lasting(said) => match aws_refusal::name_of(response).await {
                Some(name) if aws_refusal::is_passing(&name) => Self::passing(format!("{said}: {name}")),
                Some(name) => Self::Lasting(format!("{said}: {name}")),
                None => Self::Lasting(said),
            },
            Self::Passing { .. } | Self::Unauthorized | Self::Local(_) => self,
        }
    }

    /// The failure of a connection, without the address: it may hold a secret.
    pub(super) fn of_connection(error: &reqwest::Error) -> Self {
        if error.is_redirect() {
            return Self::Lasting(
                "answered with a redirect to another host, or with too many: they are not followed".to_owned(),
            );
        }
        if error.is_builder() {
            return Self::Lasting("the request cannot be made: a header or an address is not well formed".to_owned());
        }
        Self::passing(if error.is_timeout() {
            "no answer in time"
        } else if error.is_connect() {
            "no connection"
        } else {
            "the answer was cut off"
        })
    }
}

fn told_to_wait(response: &Response, now: DateTime<Utc>) -> Option<TimeDelta> {
    retry_after(response.headers().get(RETRY_AFTER)?.to_str().ok()?, now)
}
