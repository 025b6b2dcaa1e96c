//! Errors on the wire: ErrorResponse, NoticeResponse, and how a connection ends.

use std::io;

use pgwire::messages::response::{ErrorResponse, NoticeResponse};

use super::backend::{Failure, Notice};

/// How grave an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum ConnectionEnd {
    /// The client said goodbye.
    Terminated,
    /// The client went away without a word, or the network failed.
    Gone,
    /// The client is to be told before the connection is closed.
    Fatal(Failure),
}

impl From<io::Error> for ConnectionEnd {
    fn from(error: io::Error) -> Self {
        tracing::debug!(%error, "connection lost");
        Self::Gone
    }
}

/// Why a statement stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It failed; the connection goes on.
    Statement(Failure),
    /// The connection is over.
    Connection(ConnectionEnd),
}

impl Stop {
    /// Moves the position of a failure from a statement to the text that the statement was cut from.
    pub(crate) fn shifted(self, characters_before: usize) -> Self {
        match self {
            Self::Statement(failure) => Self::Statement(failure.shifted(characters_before)),
            end => end,
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Statement(failure)
    }
}

impl From<ConnectionEnd> for Stop {
    fn from(end: ConnectionEnd) -> Self {
        Self::Connection(end)
    }
}

/// Makes the message of an error: fields S, V, C, M and where known D, H, P.
pub(crate) fn response(severity: Severity, failure: &Failure) -> ErrorResponse {
    let mut fields = fields(severity.name(), failure.sqlstate, &failure.message);
    let optional = [
        (b'D', failure.detail.clone()),
        (b'H', failure.hint.clone()),
        (b'P', failure.position.map(|position| position.to_string())),
    ];
    fields.extend(optional.into_iter().filter_map(|(code, text)| text.map(|text| (code, without_zeros(&text)))));
    ErrorResponse::new(fields)
}

/// Makes the message of a notice.
pub(crate) fn notice(notice: &Notice) -> NoticeResponse {
    NoticeResponse::new(fields(notice.severity, notice.sqlstate, &notice.message))
}

fn fields(severity: &str, sqlstate: &str, message: &str) -> Vec<(u8, String)> {
    vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', sqlstate.to_owned()),
        (b'M', without_zeros(message)),
    ]
}

/// A zero byte would end the field early and make the rest of the message garbage.
fn without_zeros(text: &str) -> String {
    text.replace('\0', "")
}
