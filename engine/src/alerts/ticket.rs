//! Whether a ticket is there: an attempt may have made it although no answer came.
//!
//! Neither ServiceNow nor Jira knows an `Idempotency-Key`, so that their tickets carry the delivery's key themselves.

use serde_json::Value as Json;
use url::Url;

use super::Target;
use super::target::Kind;

/// The label of Jira's issues of a key.
pub(super) fn label(key: &str) -> String {
    format!("ratehouse-{key}")
}

/// Where the ticket of a key is looked for; none where repeats are told by their `Idempotency-Key`, or the address is not the usual one.
pub(super) fn address(target: &Target, key: &str) -> Option<Url> {
    let mut address = target.url.clone();
    match target.kind {
        Kind::Webhook => return None,
        Kind::Servicenow => {
            address.query_pairs_mut().clear().extend_pairs([
                ("sysparm_query", format!("correlation_id={key}").as_str()),
                ("sysparm_limit", "1"),
                ("sysparm_fields", "sys_id,correlation_id"),
            ]);
        }
        // <https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/#api-rest-api-3-search-jql-get>, which took
        // the place of /search. Its index is behind what was made, by seconds: attempts have a minute and more between them.
        Kind::Jira => {
            let api = target.url.path().trim_end_matches('/').strip_suffix("/issue")?;
            address.set_path(&format!("{api}/search/jql"));
            address.query_pairs_mut().clear().extend_pairs([
                ("jql", format!("labels=\"{}\"", label(key)).as_str()),
                ("maxResults", "1"),
                ("fields", "key"),
            ]);
        }
    }
    Some(address)
}

/// Whether an answer from there has the ticket.
pub(super) fn is_in(target: &Target, key: &str, answer: &Json) -> bool {
    let found = |name: &str| answer.get(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    match target.kind {
        Kind::Webhook => false,
        // It leaves out a condition on a column that the table does not have, and answers with any row.
        Kind::Servicenow => found("result").iter().any(|row| row["correlation_id"] == key),
        Kind::Jira => !found("issues").is_empty(),
    }
}
