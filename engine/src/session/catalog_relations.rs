//! The relations that queries of the catalog give: documents and operations.

use super::row_source::{CatalogRelation, Parties, Whose};
use crate::billing::lines::{self, LineFields};
use crate::catalog::{
    CONTRACT_COMMITMENTS, CatalogError, KUBERNETES_ALLOCATIONS, METRICS, PROVIDER_BILLING_PERIODS, PROVIDER_INVOICES,
    RefColumn, RefType, Tx, Value,
};

const fn column(name: &'static str, kind: RefType, comment: &'static str) -> RefColumn {
    RefColumn { name, kind, nullable: true, default: None, comment }
}

const fn text(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Text, comment)
}

const fn int(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Int, comment)
}

const fn amount(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Decimal, comment)
}

const fn instant(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Instant, comment)
}

/// The lines of a document in scope, in place of its row.
fn lines_of(tx: &dyn Tx, document: &[Value]) -> Result<Vec<Vec<Value>>, CatalogError> {
    let lines = lines::of_document(tx, document.first().and_then(Value::as_text).unwrap_or_default())?;
    let line = |(fields, line_no): (LineFields, i64)| {
        let [kind, service, category, description, quantity, unit, amount, _] = fields.map(Value::from);
        let own = [line_no.into(), kind, service, category, description, quantity, unit, amount];
        document.iter().take(1).cloned().chain(own).chain(document.iter().skip(9).cloned()).collect()
    };
    Ok(lines.into_iter().zip(1..).map(line).collect())
}

/// How a source and what it delivers stand, in place of its row.
fn freshness_of(tx: &dyn Tx, source: &[Value]) -> Result<Vec<Vec<Value>>, CatalogError> {
    crate::collect::freshness(tx, source, chrono::Utc::now())
}

/// The columns of `ops.metrics`: those of its table, in the table's order, and whether the row's node is one that counts.
static METRIC_COLUMNS: [RefColumn; 11] = {
    let is_known = column(
        "is_known",
        RefType::Bool,
        "Whether the node is there, and its owner or at any time below it: what is not counts for nothing.",
    );
    let mut columns = [is_known; 11];
    let mut at = 0;
    while at < METRICS.columns.len() {
        columns[at] = METRICS.columns[at];
        at += 1;
    }
    columns
};

/// All of them.
pub(crate) static CATALOG_RELATIONS: [CatalogRelation; 19] = [
    CatalogRelation {
        schema: "public",
        name: "invoices",
        comment: "One row per invoice (a seller, a buyer, a billing period, a currency), and per credit or debit note that corrects one.",
        columns: &[
            text("invoice_id", "Identifies the invoice."),
            text("number", "Its number in the series of its seller and buyer."),
            text("seller_node_id", "Who is paid."),
            text("buyer_node_id", "Who pays."),
            text("billing_period", "The period, such as 2026-10."),
            text("currency", "Currency of all its amounts."),
            text("status", "draft, approved, issued, paid or disputed."),
            amount("subtotal", "Charges before credits and tax, to the minor unit."),
            amount("tax", "Tax, to the minor unit."),
            amount("credits", "Credits, to the minor unit; negative."),
            amount("total", "What is to be paid, to the minor unit."),
            int("snapshot_id", "The state of the warehouse that it was made from."),
            text("content_hash", "SHA-256 of its content."),
            instant("issued_at", "When it was issued."),
            instant("due_date", "When it is due; null for credit notes."),
            text("document_type", "invoice, credit_note or debit_note."),
            text("corrects_number", "The invoice that a note corrects."),
            text("reason", "Why a note corrects it."),
        ],
        sql: "select invoice_id, number, seller_node_id, buyer_node_id, billing_period, currency, status, subtotal, tax, credits, total, snapshot_id, content_hash, issued_at, due_date, \
              document_type, corrects_number, reason from invoice where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) order by billing_period, seller_node_id, buyer_node_id, number",
        whose: Whose::Parties(Parties { seller: 2, buyer: 3, period: Some(4) }),
        detail: None,
    },
    CatalogRelation {
        schema: "public",
        name: "invoice_lines",
        comment: "One row per line of an invoice; the lines add up to its total exactly.",
        columns: &[
            text("invoice_id", "The invoice."),
            int("line_no", "The line, from 1."),
            text("kind", "usage, licence, labour, fee, credit, tax, rounding or adjustment."),
            text("service_name", "The provider's service."),
            text("charge_category", "Usage, Purchase, Tax, Credit or Adjustment."),
            text("description", "What the buyer reads."),
            amount("quantity", "How much, in unit."),
            text("unit", "Of what."),
            amount("amount", "What it costs, to the minor unit."),
            text("currency", "Currency of amount."),
            text("seller_node_id", "Who is paid."),
            text("buyer_node_id", "Who pays."),
            text("billing_period", "The period."),
        ],
        sql: "select invoice_id, null, null, null, null, null, null, null, null, currency, seller_node_id, buyer_node_id, billing_period \
              from invoice where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) order by billing_period, seller_node_id, buyer_node_id, number",
        whose: Whose::Parties(Parties { seller: 10, buyer: 11, period: Some(12) }),
        detail: Some(lines_of),
    },
    CatalogRelation {
        schema: "public",
        name: "adjustments",
        comment: "One row per correction of an issued invoice that was submitted: what charges changed by, or what somebody credits. For sellers.",
        columns: &[
            text("object_id", "What submit, approve and reject call it: SELLER/BUYER/PERIOD or NUMBER/LINE."),
            text("kind", "restatement (what charges changed by) or credit (of one line)."),
            text("invoice_number", "The invoice that it corrects."),
            text("seller_node_id", "Who issued that."),
            text("buyer_node_id", "Who got it."),
            text("billing_period", "Its period."),
            text("currency", "Currency of amount."),
            amount("amount", "What the buyer is to be billed in addition, unrounded; negative for credits."),
            text("method", "note, or true_up: billed with a later period."),
            text("status", "submitted (somebody must approve), settled or rejected."),
            text("settled_by", "The number of the note that bills it, or the billing period that it is billed with."),
            text("reason", "Why it was submitted."),
        ],
        sql: "select object_id, kind, invoice_number, seller_node_id, buyer_node_id, billing_period, currency, amount, method, status, settled_by, reason \
              from adjustment where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) order by adjustment_id",
        // Its buyer knows the note, not that there was talk of one.
        whose: Whose::Parties(Parties { seller: 3, buyer: 3, period: Some(5) }),
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "deliveries",
        comment: "One row per delivery: what came, when, and what became of it.",
        columns: &[
            int("delivery_id", "Its number."),
            text("source", "The mapping that read it."),
            text("name", "Its file, folder or manifest."),
            text("content_hash", "SHA-256 over its parts."),
            text("sequence", "Orders the deliveries of a source."),
            int("parts", "Part files."),
            int("bytes", "Their size."),
            int("rows", "Rows accepted."),
            int("rejected_rows", "Rows in quarantine."),
            int("lossy_rows", "Rows that lost digits beyond 18 after the point."),
            amount("billed_cost", "Sum of the accepted rows' BilledCost, over currencies: a control total, not money."),
            amount("rejected_billed_cost", "The same of the rejected rows, as far as it could be read."),
            text("state", "landed, empty or stale (older than what its slices held)."),
            instant("landed_at", "When."),
            int("snapshot_id", "The commit that recorded it."),
        ],
        sql: "select delivery_id, source, name, content_hash, sequence, parts, bytes, rows, rejected_rows, lossy_rows, billed_cost, rejected_billed_cost, state, landed_at, snapshot_id \
              from delivery where snapshot_id <= ?1 order by delivery_id",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "slices",
        comment: "One row per slice: what a billing account's period holds and how fresh its charges are.",
        columns: &[
            int("slice_id", "Its number."),
            text("source", "The mapping that reads it; ratehouse for what a seller bills by itself."),
            text("provider_name", "The provider."),
            text(
                "billing_account_id",
                "The provider's billing account; the seller's node for what it bills by itself.",
            ),
            text("billing_period", "The provider's billing period."),
            text(
                "role",
                "priced; amortised: its lines of covered and unused commitments are priced in the priced slice of the account and period, \
                 in place of that one's covered usage, and its others are for reference; reference for another view of cost that is priced elsewhere.",
            ),
            int(
                "delivery_id",
                "The delivery that it holds; null for what no provider sends, as are the figures of it.",
            ),
            int("rows", "Usage rows."),
            amount("billed_cost", "Sum of BilledCost, in the provider's currency."),
            amount("effective_cost", "Sum of EffectiveCost."),
            amount("list_cost", "Sum of ListCost."),
            int("rated_snapshot", "The snapshot whose reference data its charges show."),
            int("stale_since", "The snapshot that made its charges old."),
            text("stale_reason", "Why they are old."),
        ],
        sql: "select s.slice_id, s.source, s.provider_name, s.billing_account_id, s.billing_period, s.role, d.delivery_id, d.rows, d.billed_cost, d.effective_cost, d.list_cost, r.rated_snapshot, r.stale_since, r.stale_reason \
              from slice s join slice_state r on r.slice_id = s.slice_id left join delivery_slice d on d.slice_id = s.slice_id \
              and d.begin_snapshot <= ?1 and (d.end_snapshot is null or d.end_snapshot > ?1) \
              where r.begin_snapshot <= ?1 and (r.end_snapshot is null or r.end_snapshot > ?1) \
              and (d.slice_id is not null or s.source = 'ratehouse') order by s.slice_id",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "rejected_rows",
        comment: "One row per quarantined row: which file, row and column, and why.",
        columns: &[
            int("delivery_id", "The delivery."),
            text("name", "Its file."),
            text(
                "role",
                "priced; amortised; statement for what the provider says of its periods and invoices; reference for what blocks nothing.",
            ),
            text("provider_name", "Its provider if that could be read."),
            text("billing_account_id", "Its billing account if that could be read."),
            text("billing_period", "Its billing period if that could be read; if not, it blocks every close."),
            int("source_file", "The part file, from 0."),
            int("source_row", "The row of the part file."),
            text("column_name", "The column at fault."),
            text("value_class", "What kind of value it held."),
            text("reason", "Why it was refused."),
            text("raw", "The row as it came."),
            amount("billed_cost", "Its BilledCost if that could be read."),
            text("state", "open, or replaced: a corrected delivery settled it."),
        ],
        sql: "select r.delivery_id, d.name, d.role, r.provider_name, r.billing_account_id, r.billing_period, r.source_file, r.source_row, r.column_name, r.value_class, r.reason, r.raw, r.billed_cost, \
              case when r.end_snapshot <= ?1 then 'replaced' else 'open' end \
              from rejected_row r join delivery d on d.delivery_id = r.delivery_id where d.snapshot_id <= ?1 order by r.delivery_id, r.source_file, r.source_row",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "quality",
        comment: "One row per delivery and FOCUS rule that rows of it break; findings never refuse a row.",
        columns: &[
            int("delivery_id", "The delivery."),
            text("rule", "The rule, R1 to R20, X1, X2, or S: what the source's own mapping says."),
            text("severity", "error, warning or note."),
            int("rows", "Rows that break it."),
            text("example", "The first one, part file and row."),
            text("description", "What is wrong."),
        ],
        sql: "select f.delivery_id, f.rule, f.severity, f.rows, f.example, f.description from finding f join delivery d on d.delivery_id = f.delivery_id \
              where d.snapshot_id <= ?1 order by f.delivery_id, f.rule, f.description",
        whose: Whose::Roots,
        detail: None,
    },
    // The columns of these are those of their tables, in the tables' order.
    CatalogRelation {
        schema: "ops",
        name: "provider_billing_periods",
        comment: "One row per invoice issuer and billing period that it says something of: FOCUS Billing Period.",
        columns: PROVIDER_BILLING_PERIODS.columns,
        sql: "select * from provider_billing_period where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) \
              order by delivery_id, source_file, source_row",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "provider_invoices",
        comment: "One row per line of a provider's invoice: FOCUS Invoice Detail.",
        columns: PROVIDER_INVOICES.columns,
        sql: "select * from provider_invoice where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) \
              order by delivery_id, source_file, source_row",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "contract_commitments",
        comment: "One row per commitment of a contract with a provider: FOCUS Contract Commitment.",
        columns: CONTRACT_COMMITMENTS.columns,
        sql: "select * from contract_commitment where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) \
              order by delivery_id, source_file, source_row",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "kubernetes_allocations",
        comment: "One row per window and what OpenCost measured in it of a node of a cluster: a container, what is idle ...; ref.driver_rules says whose use it is.",
        columns: KUBERNETES_ALLOCATIONS.columns,
        sql: "select * from kubernetes_allocation where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) \
              order by delivery_id, source_file, source_row",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "metrics",
        comment: "One row per metric that landed: how much of something a node used in a time. The view metrics has those that count, with ref.drivers.",
        columns: &METRIC_COLUMNS,
        sql: "with recursive below (owner_node_id, node_id) as (\
              select node_id, node_id from ref_nodes where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) \
              union select b.owner_node_id, n.node_id from below b join ref_nodes n on n.parent_id = b.node_id \
              where n.begin_snapshot <= ?1 and (n.end_snapshot is null or n.end_snapshot > ?1)) \
              select m.owner_node_id, m.driver, m.node_id, m.resource_id, m.quantity, m.valid_from, m.valid_to, m.delivery_id, m.source_file, m.source_row, \
              b.node_id is not null from metric m left join below b on b.owner_node_id = m.owner_node_id and b.node_id = m.node_id \
              where m.begin_snapshot <= ?1 and (m.end_snapshot is null or m.end_snapshot > ?1) \
              order by m.delivery_id, m.source_file, m.source_row",
        whose: Whose::Owner(0),
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "files",
        comment: "One row per data file that the snapshot is made of.",
        columns: &[
            int("file_id", "Its number."),
            text("table_name", "The lake table."),
            text("path", "Tier and path."),
            int("rows", "Rows in it."),
            int("bytes", "Its size."),
            int("slice_id", "The slice all its rows belong to."),
            text("child", "The root's child all its rows belong to."),
            int("begin_snapshot", "The snapshot that listed it."),
        ],
        sql: "select file_id, case table_id when 1 then 'usage' when 2 then 'charges' when 3 then 'charges_daily' when 4 then 'charges_monthly' when 5 then 'edges_monthly' else 'charges_by_terms' end, path, rows, bytes, slice_id, child, begin_snapshot \
              from data_file where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) order by file_id",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "snapshots",
        comment: "One row per snapshot: who changed what kind of thing, when and why, hash-chained.",
        columns: &[
            int("snapshot_id", "Its number, without gaps."),
            instant("at", "When."),
            text("actor", "Who."),
            text("kind", "What kind of change."),
            text("note", "Why."),
            text("changes_hash", "Digest of the changes."),
            text("prev_hash", "The hash of the one before."),
            text("hash", "Its hash."),
        ],
        sql: "select snapshot_id, at, actor, kind, note, changes_hash, prev_hash, hash from snapshot where snapshot_id <= ?1 order by snapshot_id",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "alerts",
        comment: "One row per alert: what was unusual or above its budget and told to a target of ref.alert_targets.",
        columns: &[
            text("alert", "What call acknowledge and call expect name it by: OWNER/NUMBER."),
            text("owner_node_id", "Whose alert it is."),
            text(
                "rule",
                "The view that shows it: anomalies, spend_over_forecast, budget_status, deployment_velocity, underutilised or licence_waste.",
            ),
            text("severity", "warning or critical."),
            text("summary", "What it is about, in words."),
            column("facts", RefType::Json, "The view's row, and what drove it."),
            text("state", "open, acknowledged or expected."),
            text("answered_by", "Who said so."),
            text("justification", "Why."),
            instant("raised_at", "When it came to have its severity."),
            instant("seen_at", "When it was last found."),
        ],
        sql: "select a.owner_node_id || '/' || a.alert_no, a.owner_node_id, a.rule, a.severity, a.summary, a.facts, \
              case p.action when 'acknowledge' then 'acknowledged' when 'expect' then 'expected' else 'open' end, p.login, p.justification, a.raised_at, a.seen_at \
              from alert a left join approval p on p.kind = 'alert' and p.object_id = a.owner_node_id || '/' || a.alert_no and p.snapshot_id <= ?1 \
              and not exists (select 1 from approval l where l.kind = 'alert' and l.object_id = p.object_id and l.snapshot_id > p.snapshot_id and l.snapshot_id <= ?1) \
              order by a.owner_node_id, a.alert_no",
        whose: Whose::Parties(Parties { seller: 1, buyer: 1, period: None }),
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "alert_deliveries",
        comment: "One row per alert, severity and target that it goes to.",
        columns: &[
            text("owner_node_id", "Whose alert it is."),
            text("target_id", "The target, a row of ref.alert_targets."),
            text("alert", "The alert, of ops.alerts."),
            text("severity", "As what it is told."),
            text("state", "waiting, sent or failed."),
            int("attempts", "How often it was tried."),
            instant("at", "From when on what waits is sent; when the rest was settled."),
            text("last_error", "Why it did not arrive."),
            text(
                "delivery_key",
                "What the receiver knows it by: the Idempotency-Key, ServiceNow's correlation_id, the end of a label of Jira's issue. Null before it was tried; the same for those that went together.",
            ),
        ],
        sql: "select owner_node_id, target_id, owner_node_id || '/' || alert_no, severity, state, attempts, not_before, last_error, delivery_key \
              from alert_delivery where ?1 >= 0 order by owner_node_id, target_id, alert_no, severity",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "approvals",
        comment: "One row per act of submitting, approving or rejecting, and per answer to an alert.",
        columns: &[
            text("kind", "What kind of object."),
            text("object_id", "Which one."),
            text("action", "submit, approve, reject, acknowledge or expect."),
            text("login", "Who."),
            text("role", "In which role."),
            text("justification", "Why."),
            instant("at", "When."),
            int("snapshot_id", "The commit."),
            text("seller_node_id", "Whose card, credit, budget, alert or invoice it is."),
        ],
        sql: "select a.kind, a.object_id, a.action, a.login, a.role, a.justification, a.at, a.snapshot_id, \
              case when a.kind in ('adjustment', 'budget', 'alert') then substr(a.object_id, 1, instr(a.object_id || '/', '/') - 1) \
              else coalesce(c.seller_node_id, g.seller_node_id) end from approval a \
              left join ref_rate_cards c on a.kind = 'rate_card_version' and c.card_id = substr(a.object_id, 1, instr(a.object_id || '/', '/') - 1) and c.end_snapshot is null \
              left join ref_credits g on a.kind = 'credit' and g.credit_id = a.object_id and g.end_snapshot is null \
              where a.snapshot_id <= ?1 order by a.snapshot_id",
        whose: Whose::Parties(Parties { seller: 8, buyer: 8, period: None }),
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "collection_runs",
        comment: "One row per collection of a source in the last 31 days, and how it went.",
        columns: &[
            text("source", "The source, of ref.sources."),
            instant("began_at", "When it began."),
            instant("ended_at", "When it ended."),
            text(
                "outcome",
                "done (also where nothing was new), refused (a delivery was), paused (a later one goes on from there) or failed.",
            ),
            text("detail", "Why it was not done; of several deliveries that were refused, about the first."),
        ],
        sql: "select source_name, began_at, ended_at, outcome, detail from collection_log where ?1 >= 0 order by began_at, source_name",
        whose: Whose::Roots,
        detail: None,
    },
    CatalogRelation {
        schema: "ops",
        name: "freshness",
        comment: "One row per source; and of each source one per delivery that waits or was refused, and one per billing account for its newest period and for each that is missing.",
        columns: &[
            text("source", "The source, a row of ref.sources."),
            text("kind", "folder, object_store, https_files, json_api or partner_center."),
            text("item", "The file or manifest that waits or was refused; null for other rows."),
            text("provider_name", "The provider, of rows about a billing account."),
            text("billing_account_id", "The provider's billing account."),
            text("billing_period", "The period."),
            text(
                "state",
                "fresh, late, missing, waiting (not complete yet), paused (goes on at next_due), refused, failing, never (not looked at yet) or disabled.",
            ),
            instant("last_seen", "When the source was last looked at without an error, or the item last seen."),
            instant("last_landed", "When the newest delivery landed."),
            instant("next_due", "When the source is looked at again."),
            int(
                "lag_seconds",
                "Seconds since the newest delivery; of what is missing, since it was expected; of what waits, since it does.",
            ),
            int("failures", "Attempts in a row that failed."),
            text("detail", "What is wrong, in words; null if nothing is."),
            int("credential_age_days", "Days since the secret was made, if ref.sources says."),
            column("is_rotation_due", RefType::Bool, "Whether the secret is older than 90 days."),
        ],
        sql: "select name, kind, location, landing_source, cadence, expected_lag, credential, credential_issued_at, enabled, requests_per_hour, page_size, options \
              from ref_sources where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) order by name",
        whose: Whose::Roots,
        detail: Some(freshness_of),
    },
];
