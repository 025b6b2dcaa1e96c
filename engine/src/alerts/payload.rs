//! What receivers are sent.

use serde_json::{Map, Value as Json, json};

use super::target::Kind;
use super::{Target, ticket};
use crate::catalog::AlertRow;

/// Longest title of a ticket: Jira's limit is 255 characters, ServiceNow's 160.
const TITLE_MAX: usize = 160;
/// Longest description of a ticket, in characters: Jira's limit is 32,767.
const DESCRIPTION_MAX: usize = 30_000;

/// The body of a delivery of one alert, or of several in a digest, that has a key.
pub(super) fn payload(target: &Target, key: &str, alerts: &[AlertRow]) -> Json {
    match target.kind {
        Kind::Webhook => json!({ "alerts": alerts.iter().map(whole).collect::<Vec<_>>() }),
        Kind::Servicenow => servicenow(target, key, alerts),
        Kind::Jira => jira(target, key, alerts),
    }
}

/// What a delivery is known by from its first attempt on: alerts go to a target once, and once more as critical.
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

/// One fact a line; what is behind an alert is a line each.
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
                let names = ["service_name", "sku_id", "resource_id", "owner"];
                let parts: Vec<String> = names.into_iter().filter_map(part).collect();
                let amount = part("impact").or_else(|| part("cost")).unwrap_or_default();
                format!("driven by {}: {amount}", parts.join(", "))
            })),
            value => lines.push(format!("{name}: {}", text(&value))),
        }
    }
    lines.push(format!("answer: call acknowledge('{}', 'why')", alert.object()));
    lines
}

/// What a ticket says of its alerts, up to what it can hold.
fn described(alerts: &[AlertRow]) -> Vec<String> {
    let (mut all, mut length) = (Vec::new(), 0);
    for (told, alert) in alerts.iter().enumerate() {
        let lines = lines(alert);
        length += lines.iter().map(|line| line.chars().count() + 1).sum::<usize>();
        if length > DESCRIPTION_MAX {
            all.push(format!("and {} more: select * from ops.alerts where state = 'open'", alerts.len() - told));
            break;
        }
        all.extend(lines);
    }
    all
}

/// A row of the Table API: <https://www.servicenow.com/docs/bundle/latest/page/integrate/inbound-rest/concept/c_TableAPI.html>.
/// By `correlation_id` it is found again.
fn servicenow(target: &Target, key: &str, alerts: &[AlertRow]) -> Json {
    let is_critical = alerts.iter().any(AlertRow::is_critical);
    let urgency = if is_critical { "1" } else { "2" };
    let mut row = target.options.fields.clone();
    for (name, value) in [
        ("short_description", title(alerts)),
        ("description", described(alerts).join("\n")),
        ("urgency", urgency.to_owned()),
        ("impact", urgency.to_owned()),
        ("correlation_id", key.to_owned()),
        ("correlation_display", "Ratehouse".to_owned()),
    ] {
        row.insert(name.to_owned(), Json::String(value));
    }
    Json::Object(row)
}

/// An issue: <https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-post>; its description
/// is an Atlassian document, a paragraph a line. By its label it is found again.
fn jira(target: &Target, key: &str, alerts: &[AlertRow]) -> Json {
    let paragraph = |line: String| json!({ "type": "paragraph", "content": [{ "type": "text", "text": line }] });
    let content: Vec<Json> = described(alerts).into_iter().map(paragraph).collect();
    json!({
        "fields": {
            "project": { "key": target.options.project },
            "issuetype": { "name": target.options.issue_type.as_deref().unwrap_or("Task") },
            "summary": title(alerts),
            "description": { "type": "doc", "version": 1, "content": content },
            "labels": ["ratehouse", ticket::label(key)],
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{DESCRIPTION_MAX, described};
    use crate::catalog::AlertRow;

    #[test]
    fn a_digest_says_how_many_alerts_it_cannot_hold() {
        let alerts: Vec<AlertRow> = (1..=500)
            .map(|alert_no| AlertRow {
                owner_node_id: "north".to_owned(),
                alert_no,
                rule: "anomalies".to_owned(),
                severity: "warning".to_owned(),
                summary: "x".repeat(100),
                facts: "{}".to_owned(),
                raised_at: "2026-01-01T00:00:00.000000Z".to_owned(),
            })
            .collect();
        let lines = described(&alerts);
        let length: usize = lines.iter().map(|line| line.chars().count() + 1).sum();
        assert!((DESCRIPTION_MAX - 500..DESCRIPTION_MAX + 100).contains(&length), "{length}");
        let told = (lines.len() - 1) / 2;
        let last = lines.last().expect("a line");
        assert_eq!(*last, format!("and {} more: select * from ops.alerts where state = 'open'", 500 - told));
        assert_eq!(described(&alerts[..3]).len(), 6);
    }
}
