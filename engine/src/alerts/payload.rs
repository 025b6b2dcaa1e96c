//! What receivers are sent.

use serde_json::{Map, Value as Json, json};

use super::Target;
use super::target::Kind;
use crate::catalog::AlertRow;

/// Longest title of a ticket: Jira's limit is 255 characters, ServiceNow's 160.
const TITLE_MAX: usize = 160;

/// The body of a delivery of one alert, or of several in a digest.
pub(super) fn payload(target: &Target, alerts: &[AlertRow]) -> Json {
    match target.kind {
        Kind::Webhook => json!({ "alerts": alerts.iter().map(whole).collect::<Vec<_>>() }),
        Kind::Servicenow => servicenow(target, alerts),
        Kind::Jira => jira(target, alerts),
    }
}

/// What a delivery is known by: the same for every attempt of the same alerts.
pub(super) fn key(target: &Target, alerts: &[AlertRow]) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    hasher.update(&target.name);
    for alert in alerts {
        hasher.update(format!("|{} {}", alert.object(), alert.severity));
    }
    format!("{:x}", hasher.finalize())
}

fn facts(alert: &AlertRow) -> Map<String, Json> {
    serde_json::from_str(&alert.facts).unwrap_or_default()
}

fn whole(alert: &AlertRow) -> Json {
    json!({
        "alert": alert.object(),
        "rule": alert.rule,
        "severity": alert.severity,
        "summary": alert.summary,
        "raised_at": alert.raised_at,
        "facts": facts(alert),
        "acknowledge": format!("call acknowledge('{}', 'why')", alert.object()),
    })
}

fn title(alerts: &[AlertRow]) -> String {
    let whole = match alerts {
        [alert] => alert.summary.clone(),
        several => format!("{} alerts: {}", several.len(), several.first().map_or("", |alert| alert.summary.as_str())),
    };
    whole.chars().take(TITLE_MAX).collect()
}

/// One fact a line; what drove an anomaly is a line each.
fn lines(alert: &AlertRow) -> Vec<String> {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    };
    let mut lines = vec![format!("{} ({}, {})", alert.summary, alert.rule, alert.severity)];
    for (name, value) in facts(alert) {
        match value {
            Json::Null => {}
            Json::Array(drivers) => lines.extend(drivers.iter().map(|driver| {
                let part = |name: &str| driver.get(name).map(text).filter(|text| !text.is_empty());
                let parts: Vec<String> = ["sku_id", "resource_id", "owner"].into_iter().filter_map(part).collect();
                format!("driven by {}: {}", parts.join(", "), part("impact").unwrap_or_default())
            })),
            value => lines.push(format!("{name}: {}", text(&value))),
        }
    }
    lines.push(format!("answer: call acknowledge('{}', 'why')", alert.object()));
    lines
}

/// A row of the Table API: <https://www.servicenow.com/docs/bundle/latest/page/integrate/inbound-rest/concept/c_TableAPI.html>.
/// `correlation_id` is for the receiver's own duplicate check.
fn servicenow(target: &Target, alerts: &[AlertRow]) -> Json {
    let is_critical = alerts.iter().any(AlertRow::is_critical);
    let urgency = if is_critical { "1" } else { "2" };
    let description: Vec<String> = alerts.iter().map(|alert| lines(alert).join("\n")).collect();
    let mut row = target.options.fields.clone();
    for (name, value) in [
        ("short_description", title(alerts)),
        ("description", description.join("\n\n")),
        ("urgency", urgency.to_owned()),
        ("impact", urgency.to_owned()),
        ("correlation_id", key(target, alerts)),
        ("correlation_display", "Ratehouse".to_owned()),
    ] {
        row.insert(name.to_owned(), Json::String(value));
    }
    Json::Object(row)
}

/// An issue: <https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-post>; its description
/// is an Atlassian document, a paragraph a line. The label tells a repeated one.
fn jira(target: &Target, alerts: &[AlertRow]) -> Json {
    let paragraph = |line: String| json!({ "type": "paragraph", "content": [{ "type": "text", "text": line }] });
    let content: Vec<Json> = alerts.iter().flat_map(lines).map(paragraph).collect();
    json!({
        "fields": {
            "project": { "key": target.options.project },
            "issuetype": { "name": target.options.issue_type.as_deref().unwrap_or("Task") },
            "summary": title(alerts),
            "description": { "type": "doc", "version": 1, "content": content },
            "labels": ["ratehouse", format!("ratehouse-{}", &key(target, alerts)[..16])],
        }
    })
}
