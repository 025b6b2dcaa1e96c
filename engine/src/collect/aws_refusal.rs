//! Why an AWS service refuses: a name beside a status that says little, 400 also to a caller who is too fast.

use reqwest::Response;
use serde::Deserialize;

/// Longest answer that is read for its name.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const NAME_BYTES_MAX: usize = 100;

/// What to try again after a while: the errors that the AWS SDKs do
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
const PASSING: [&str; 15] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeoutException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type", alias = "code")]
    name: String,
}

/// The name that a refusal gives its reason, if it gives one.
pub(super) async fn name_of(mut response: Response) -> Option<String> {
    if let Some(text) = response.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok()) {
        return name(text);
    }
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            return None;
        }
    }
    name(&serde_json::from_slice::<Refusal>(&body).ok()?.name)
}

/// Whether the same may go well another time.
pub(super) fn is_passing(name: &str) -> bool {
    PASSING.contains(&name)
}

/// `com.amazonaws.ce#LimitExceededException:http://...` without what is around it. Anything but a name may be an account's data.
fn name(text: &str) -> Option<String> {
    let text = text.split_once(':').map_or(text, |(before, _)| before);
    let name = text.rsplit_once('#').map_or(text, |(_, after)| after).trim();
    let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(|c| c.is_ascii_alphanumeric());
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_refusal_is_without_what_is_around_it() {
        for text in [
            "LimitExceededException",
            "com.amazonaws.ce#LimitExceededException",
            "LimitExceededException:http://internal.amazon.com/coral/com.amazon.coral.service/",
        ] {
            assert_eq!(name(text).as_deref(), Some("LimitExceededException"));
        }
        assert_eq!(name("User arn:aws:iam::123456789012:user/ada may not"), None);
        assert_eq!(name(""), None);
        assert!(is_passing("ThrottlingException") && !is_passing("AccessDeniedException"));
    }
}
