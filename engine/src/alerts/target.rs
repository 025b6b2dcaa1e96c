//! A row of `ref.alert_targets`, read.

use chrono::NaiveTime;
use chrono_tz::Tz;
use serde::Deserialize;
use url::Url;

use super::hours::{Quiet, time_of_day};
use crate::catalog::{AlertRow, CatalogError, RefTable, Tx, Value};
use crate::collect::{CredentialRef, is_protected, no_secret};

/// Longest address.
const TEXT_MAX: usize = 4_096;

/// What a receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// JSON of our own.
    Webhook,
    /// A row of ServiceNow's Table API.
    Servicenow,
    /// An issue of Jira's REST API, version 3.
    Jira,
}

/// `options`: fields of the ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Jira's project key.
    pub(super) project: Option<String>,
    /// Jira's issue type; none: `Task`.
    pub(super) issue_type: Option<String>,
    /// Fields that ServiceNow's row gets besides: `assignment_group`, `category`, ...
    #[serde(default)]
    pub(super) fields: serde_json::Map<String, serde_json::Value>,
}

/// Where alerts of an owner go, which, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) url: Url,
    pub(super) credential: Option<CredentialRef>,
    /// Whether the secret is `user:password` and not a token.
    pub(super) is_basic: bool,
    /// None: of every rule.
    rule: Option<String>,
    wants_warnings: bool,
    pub(super) zone: Tz,
    pub(super) quiet: Option<Quiet>,
    pub(super) digest_at: Option<NaiveTime>,
    pub(super) options: Options,
}

impl Target {
    /// Reads a row, in the table's column order.
    ///
    /// # Errors
    /// What is wrong with it and what to do.
    pub(crate) fn of(values: &[Value]) -> Result<Self, String> {
        let table = RefTable::named("alert_targets").ok_or("there is no table of alert targets")?;
        let text = |column: &str| table.position(column).and_then(|at| values.get(at)).and_then(Value::as_text);
        let need = |column: &str| text(column).unwrap_or_default();
        let kind = serde_json::from_value(need("kind").into())
            .map_err(|_| "kind must be one of webhook, servicenow, jira".to_owned())?;
        let url = Url::parse(need("url")).map_err(|error| format!("url must be a URL: {error}"))?;
        no_secret("url", &url)?;
        if url.as_str().len() > TEXT_MAX || !is_protected(&url) {
            return Err("url must begin with https:// (http:// only on this machine)".to_owned());
        }
        let options: Options = match text("options") {
            Some(json) => serde_json::from_str(json).map_err(|error| format!("options: {error}"))?,
            None => Options::default(),
        };
        if kind == Kind::Jira && options.project.as_deref().is_none_or(str::is_empty) {
            return Err("options of a jira target name the project: {\"project\": \"FIN\"}".to_owned());
        }
        let is_basic = match need("credential_as") {
            "bearer" => false,
            "basic" => true,
            _ => return Err("credential_as must be bearer or basic".to_owned()),
        };
        let wants_warnings = match need("min_severity") {
            "warning" => true,
            "critical" => false,
            _ => return Err("min_severity must be warning or critical".to_owned()),
        };
        let rule = text("rule").map(str::to_owned);
        if rule.as_deref().is_some_and(|rule| super::raise::RULES.iter().all(|known| known.name != rule)) {
            let names: Vec<&str> = super::raise::RULES.iter().map(|rule| rule.name).collect();
            return Err(format!("rule must be one of {}", names.join(", ")));
        }
        let zone =
            need("time_zone").parse().map_err(|_| "time_zone must be an IANA name such as Europe/Berlin".to_owned())?;
        let time = |column: &str| {
            let read = |text| time_of_day(text).ok_or_else(|| format!("{column} must be a time of day such as 07:30"));
            text(column).map(read).transpose()
        };
        let quiet = match (time("quiet_from")?, time("quiet_to")?) {
            (Some(from), Some(to)) if from != to => Some(Quiet { from, to }),
            (None, None) => None,
            _ => return Err("quiet_from and quiet_to go together and differ".to_owned()),
        };
        Ok(Self {
            owner: need("owner_node_id").to_owned(),
            name: need("target_id").to_owned(),
            kind,
            url,
            credential: text("credential").map(str::parse).transpose()?,
            is_basic,
            rule,
            wants_warnings,
            zone,
            quiet,
            digest_at: time("digest_at")?,
            options,
        })
    }

    /// Those that are enabled.
    pub(super) fn enabled(tx: &dyn Tx) -> Result<Vec<Self>, CatalogError> {
        let table =
            RefTable::named("alert_targets").ok_or(CatalogError::Malformed { what: "table of alert targets" })?;
        let at = table.position("enabled").unwrap_or_default();
        let rows = table.rows_at(tx, crate::catalog::head(tx)?)?;
        let enabled = rows.iter().filter(|row| row.values.get(at).and_then(Value::as_int) == Some(1));
        enabled.map(|row| Self::of(&row.values).map_err(CatalogError::Refused)).collect()
    }

    /// Whether it is to be told of an alert.
    pub(super) fn wants(&self, alert: &AlertRow) -> bool {
        alert.owner_node_id == self.owner
            && self.rule.as_deref().is_none_or(|rule| rule == alert.rule)
            && (self.wants_warnings || alert.is_critical())
    }
}
