//! The outbox of alerts: what was raised, and what became of its deliveries.
//!
//! None of it is of a snapshot: what people answer to an alert is, among the approvals.

use super::CatalogError;
use super::tx::{Row, Tx, Value};

/// An alert of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Whose it is.
    pub owner_node_id: String,
    /// From 1 for each owner, so that nobody counts those of others.
    pub alert_no: i64,
    /// The view that shows it.
    pub rule: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// In words.
    pub summary: String,
    /// JSON.
    pub facts: String,
    /// When it came to have its severity.
    pub raised_at: String,
}

impl AlertRow {
    /// How it is called: `OWNER/NUMBER`.
    pub fn object(&self) -> String {
        format!("{}/{}", self.owner_node_id, self.alert_no)
    }

    /// Whether it is critical.
    pub fn is_critical(&self) -> bool {
        self.severity == "critical"
    }

    /// The alert of that name.
    pub fn named(tx: &dyn Tx, object: &str) -> Result<Option<Self>, CatalogError> {
        let Some((owner, number)) = object.rsplit_once('/') else { return Ok(None) };
        let Ok(number) = number.parse::<i64>() else { return Ok(None) };
        let sql = format!("{SELECT} where owner_node_id = ?1 and alert_no = ?2");
        tx.row(&sql, &[owner.into(), number.into()])?.as_ref().map(alert).transpose()
    }

    /// Writes down what a look found: `(owner, rule, key)` and `(severity, summary, facts)`. Gives the alert if it is new, or a warning
    /// that has become critical; otherwise its facts are brought up to date and nobody is told.
    pub fn raise(
        tx: &dyn Tx,
        (owner, rule, key): (&str, &str, &str),
        (severity, summary, facts): (&str, &str, &str),
        now: &str,
    ) -> Result<Option<Self>, CatalogError> {
        let sql = format!("{SELECT} where owner_node_id = ?1 and rule = ?2 and dedup_key = ?3");
        let known = tx.row(&sql, &[owner.into(), rule.into(), key.into()])?.as_ref().map(alert).transpose()?;
        let Some(known) = known else {
            let next =
                tx.row("select coalesce(max(alert_no), 0) + 1 from alert where owner_node_id = ?1", &[owner.into()])?;
            let alert_no = next.ok_or(CatalogError::Malformed { what: "number of an alert" })?.int(0)?;
            let values: [Value; 9] = [
                owner.into(),
                alert_no.into(),
                rule.into(),
                key.into(),
                severity.into(),
                summary.into(),
                facts.into(),
                now.into(),
                now.into(),
            ];
            tx.execute("insert into alert values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", &values)?;
            return Ok(Some(Self {
                owner_node_id: owner.to_owned(),
                alert_no,
                rule: rule.to_owned(),
                severity: severity.to_owned(),
                summary: summary.to_owned(),
                facts: facts.to_owned(),
                raised_at: now.to_owned(),
            }));
        };
        let is_worse = severity == "critical" && !known.is_critical();
        let (severity, raised_at) =
            if is_worse { (severity, now) } else { (known.severity.as_str(), known.raised_at.as_str()) };
        tx.execute(
            "update alert set severity = ?3, summary = ?4, facts = ?5, raised_at = ?6, seen_at = ?7 where owner_node_id = ?1 and alert_no = ?2",
            &[owner.into(), known.alert_no.into(), severity.into(), summary.into(), facts.into(), raised_at.into(), now.into()],
        )?;
        if is_worse { Self::named(tx, &known.object()) } else { Ok(None) }
    }
}

const SELECT: &str = "select owner_node_id, alert_no, rule, severity, summary, facts, raised_at from alert";

fn alert(row: &Row) -> Result<AlertRow, CatalogError> {
    Ok(AlertRow {
        owner_node_id: row.text(0)?.to_owned(),
        alert_no: row.int(1)?,
        rule: row.text(2)?.to_owned(),
        severity: row.text(3)?.to_owned(),
        summary: row.text(4)?.to_owned(),
        facts: row.text(5)?.to_owned(),
        raised_at: row.text(6)?.to_owned(),
    })
}

/// An alert on its way to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertDelivery {
    owner_node_id: String,
    target_id: String,
    alert_no: i64,
    severity: String,
    /// How often it was tried.
    pub attempts: i64,
    /// What its receiver knows it by, and with it those that went together; none before the first attempt.
    pub delivery_key: Option<String>,
}

/// A delivery in SQL.
const THIS: &str = "owner_node_id = ?1 and target_id = ?2 and alert_no = ?3 and severity = ?4";

impl AlertDelivery {
    /// Puts an alert into a target's queue, to be sent from an instant on.
    pub fn queue(tx: &dyn Tx, alert: &AlertRow, target: &str, from: &str) -> Result<(), CatalogError> {
        let values: [Value; 6] = [
            alert.owner_node_id.as_str().into(),
            target.into(),
            alert.alert_no.into(),
            alert.severity.as_str().into(),
            from.into(),
            Value::Null,
        ];
        tx.execute("insert into alert_delivery values (?1, ?2, ?3, ?4, 'waiting', 0, ?5, ?6, null)", &values).map(drop)
    }

    /// What is to be sent to a target by an instant, with its alert as it is now, in the order in which it was raised. A warning that
    /// waits while its alert has become critical is not sent: the alert is, as critical.
    pub fn due(
        tx: &dyn Tx,
        (owner, target): (&str, &str),
        now: &str,
        most: usize,
    ) -> Result<Vec<(Self, AlertRow)>, CatalogError> {
        let sql = "select a.owner_node_id, a.alert_no, a.rule, a.severity, a.summary, a.facts, a.raised_at, d.attempts, d.delivery_key from alert_delivery d \
                   join alert a on a.owner_node_id = d.owner_node_id and a.alert_no = d.alert_no and a.severity = d.severity \
                   where d.owner_node_id = ?1 and d.target_id = ?2 and d.state = 'waiting' and d.not_before <= ?3 \
                   order by d.not_before, d.delivery_key, d.alert_no limit ?4";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let delivery = |row: &Row| {
            let alert = alert(row)?;
            let delivery = Self {
                owner_node_id: alert.owner_node_id.clone(),
                target_id: target.to_owned(),
                alert_no: alert.alert_no,
                severity: alert.severity.clone(),
                attempts: row.int(7)?,
                delivery_key: row.opt_text(8)?.map(str::to_owned),
            };
            Ok((delivery, alert))
        };
        tx.rows(sql, &[owner.into(), target.into(), now.into(), most.into()])?.iter().map(delivery).collect()
    }

    /// Writes down the key that it is sent under, before it is sent: so an attempt is known even if the process ends in it.
    pub fn begin(&self, tx: &dyn Tx, key: &str) -> Result<(), CatalogError> {
        let values: [Value; 5] = [
            self.owner_node_id.as_str().into(),
            self.target_id.as_str().into(),
            self.alert_no.into(),
            self.severity.as_str().into(),
            key.into(),
        ];
        tx.execute(&format!("update alert_delivery set delivery_key = ?5 where {THIS}"), &values).map(drop)
    }

    /// Writes down what became of it: `sent`, `failed`, or `waiting` until an instant.
    pub fn settle(
        &self,
        tx: &dyn Tx,
        (state, attempts): (&str, i64),
        at: &str,
        error: Option<&str>,
    ) -> Result<(), CatalogError> {
        let values: [Value; 8] = [
            self.owner_node_id.as_str().into(),
            self.target_id.as_str().into(),
            self.alert_no.into(),
            self.severity.as_str().into(),
            state.into(),
            attempts.into(),
            at.into(),
            error.map(str::to_owned).into(),
        ];
        let sql = format!(
            "update alert_delivery set state = ?5, attempts = ?6, not_before = ?7, last_error = ?8 where {THIS}"
        );
        tx.execute(&sql, &values).map(drop)
    }
}

/// When an owner's views were last looked at, and at which state of the warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertLook {
    /// The snapshot that was read.
    pub snapshot: i64,
    /// The day, UTC: what views show goes by it.
    pub day: String,
    /// When.
    pub at: String,
}

impl AlertLook {
    /// The last look at an owner's views.
    pub fn of(tx: &dyn Tx, owner: &str) -> Result<Option<Self>, CatalogError> {
        let row =
            tx.row("select snapshot_id, day, looked_at from alert_look where owner_node_id = ?1", &[owner.into()])?;
        let look =
            |row: Row| Ok(Self { snapshot: row.int(0)?, day: row.text(1)?.to_owned(), at: row.text(2)?.to_owned() });
        row.map(look).transpose()
    }

    /// Writes it down.
    pub fn keep(&self, tx: &dyn Tx, owner: &str) -> Result<(), CatalogError> {
        tx.execute("delete from alert_look where owner_node_id = ?1", &[owner.into()])?;
        let values = [owner.into(), self.snapshot.into(), self.day.as_str().into(), self.at.as_str().into()];
        tx.execute("insert into alert_look values (?1, ?2, ?3, ?4)", &values).map(drop)
    }
}
