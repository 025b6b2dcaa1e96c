//! Reads reference rows from the catalog into the types of `facts`.

use std::sync::Arc;

use ratehouse_udfs::decimal::{Rounding, parse_decimal};
use ratehouse_udfs::tags::TagPolicy;

use super::commitments::{Benefit, CommitmentRow, Purchase, Unused};
use super::error::RatingError;
use super::facts::{
    AccountRow, AttributionRow, AttributionTarget, CardRow, CommitPeriod, ContractRow, CreditPolicy, CreditPolicyRow,
    CreditRow, DriverRow, DriverRuleRow, FxRow, LicenceRow, NodeKind, NodeRow, PolicyRow, PoolMethod, PoolRow,
    RefFacts, RuleRow, ShareRow, TagPolicyRow, TimeEntryRow, TrueUpRow, VersionRow, VirtualTagRow,
};
use super::metrics::Metrics;
use super::span::{Span, parse_instant};
use crate::catalog::{CatalogError, RefRow, RefTable, SnapshotId, Tx, Value};
use crate::period::BillingPeriod;

impl RefFacts {
    /// Reads them as they were at a snapshot, without measurements.
    ///
    /// # Errors
    /// [`RatingError::Reference`] names the row and column that hold what they cannot mean.
    pub fn read(tx: &dyn Tx, snapshot: SnapshotId) -> Result<Self, RatingError> {
        let pools = read_table(tx, snapshot, "pools", pool)?;
        Ok(Self {
            nodes: read_table(tx, snapshot, "nodes", node)?,
            accounts: read_table(tx, snapshot, "accounts", account)?,
            attribution_rules: read_table(tx, snapshot, "attribution_rules", attribution)?,
            metrics: Metrics::read(tx, snapshot, &pools)?,
            pools,
            pool_shares: read_table(tx, snapshot, "pool_shares", share)?,
            drivers: read_table(tx, snapshot, "drivers", driver)?,
            driver_rules: read_table(tx, snapshot, "driver_rules", driver_rule)?,
            measured: Arc::default(),
            tag_policies: read_table(tx, snapshot, "tag_policies", tag_policy)?,
            virtual_tags: read_virtual_tags(tx, snapshot)?,
            rate_cards: read_table(tx, snapshot, "rate_cards", card)?,
            rate_card_versions: read_table(tx, snapshot, "rate_card_versions", version)?,
            rate_rules: read_table(tx, snapshot, "rate_rules", rule)?,
            charge_policies: read_table(tx, snapshot, "charge_policies", policy)?,
            commitment_policies: read_table(tx, snapshot, "commitment_policies", commitment)?,
            fx_rates: read_table(tx, snapshot, "fx_rates", fx_rate)?,
            licences: read_table(tx, snapshot, "licences", licence)?,
            time_entries: read_table(tx, snapshot, "time_entries", time_entry)?,
            contracts: read_table(tx, snapshot, "contracts", contract)?,
            credits: read_table(tx, snapshot, "credits", credit)?,
            credit_policies: read_table(tx, snapshot, "credit_policies", credit_policy)?,
            true_ups: true_ups(tx, snapshot)?,
        })
    }
}

/// Reads the rules of virtual tags as they were at a snapshot.
pub(super) fn read_virtual_tags(tx: &dyn Tx, snapshot: SnapshotId) -> Result<Vec<VirtualTagRow>, RatingError> {
    read_table(tx, snapshot, "virtual_tags", virtual_tag)
}

fn read_table<T>(
    tx: &dyn Tx,
    snapshot: SnapshotId,
    name: &'static str,
    parse: impl Fn(&Cells<'_>) -> Result<T, RatingError>,
) -> Result<Vec<T>, RatingError> {
    let table = RefTable::named(name).ok_or(RatingError::Reference {
        table: name,
        row: String::new(),
        column: "",
        wanted: "a known table",
    })?;
    table.rows_at(tx, snapshot)?.iter().map(|row| parse(&Cells { table, row })).collect()
}

/// The settled adjustments that are billed with a later period.
fn true_ups(tx: &dyn Tx, snapshot: SnapshotId) -> Result<Vec<TrueUpRow>, RatingError> {
    let rows = tx.rows(
        "select adjustment_id, seller_node_id, buyer_node_id, invoice_number, currency, amount, settled_by from adjustment \
         where method = 'true_up' and status = 'settled' and begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) \
         order by adjustment_id",
        &[snapshot.into()],
    )?;
    let row = |row: &crate::catalog::Row| -> Result<TrueUpRow, RatingError> {
        let malformed = || CatalogError::Malformed { what: "adjustment" };
        let text = |at| row.text(at).map(str::to_owned);
        let period: BillingPeriod = row.text(6)?.parse().map_err(|_| malformed())?;
        Ok(TrueUpRow {
            adjustment_id: row.int(0)?,
            seller_node_id: text(1)?,
            buyer_node_id: text(2)?,
            invoice_number: text(3)?,
            currency: text(4)?,
            amount: parse_decimal(row.text(5)?).map_err(|_| malformed())?.value,
            billed_with: period.first_day_number(),
        })
    };
    rows.iter().map(row).collect()
}

/// One row, addressed by column names.
pub(super) struct Cells<'a> {
    pub(super) table: &'static RefTable,
    pub(super) row: &'a RefRow,
}

impl Cells<'_> {
    fn wrong(&self, column: &'static str, wanted: &'static str) -> RatingError {
        let key: Vec<String> = self
            .table
            .key
            .iter()
            .map(|name| match self.value(name) {
                Some(Value::Text(text)) => text.clone(),
                Some(Value::Int(int)) => int.to_string(),
                Some(Value::Null) | None => "-".to_owned(),
            })
            .collect();
        RatingError::Reference { table: self.table.name, row: key.join("/"), column, wanted }
    }

    fn value(&self, column: &str) -> Option<&Value> {
        self.table.position(column).and_then(|at| self.row.values.get(at))
    }

    fn optional(&self, column: &str) -> Option<String> {
        self.value(column).and_then(Value::as_text).map(str::to_owned)
    }

    fn text(&self, column: &'static str) -> Result<String, RatingError> {
        self.optional(column).ok_or_else(|| self.wrong(column, "text"))
    }

    fn int(&self, column: &'static str) -> Result<i64, RatingError> {
        self.value(column).and_then(Value::as_int).ok_or_else(|| self.wrong(column, "an integer"))
    }

    fn optional_int(&self, column: &str) -> Option<i64> {
        self.value(column).and_then(Value::as_int)
    }

    fn decimal(&self, column: &'static str) -> Result<Option<i128>, RatingError> {
        let Some(text) = self.value(column).and_then(Value::as_text) else { return Ok(None) };
        let parsed = parse_decimal(text).map_err(|_| self.wrong(column, "a decimal"))?;
        Ok(Some(parsed.value))
    }

    fn amount(&self, column: &'static str) -> Result<i128, RatingError> {
        self.decimal(column)?.ok_or_else(|| self.wrong(column, "a decimal"))
    }

    fn instant(&self, column: &'static str) -> Result<Option<i64>, RatingError> {
        let Some(text) = self.value(column).and_then(Value::as_text) else { return Ok(None) };
        parse_instant(text).map(Some).ok_or_else(|| self.wrong(column, "an instant"))
    }

    fn span(&self) -> Result<Span, RatingError> {
        Ok(Span {
            from: self.instant("valid_from")?.unwrap_or(i64::MIN),
            until: self
                .instant(if self.table.name == "credits" { "expires_at" } else { "valid_to" })?
                .unwrap_or(i64::MAX),
        })
    }
}

/// When a row applies; always for a table without validity.
pub(super) fn valid(cells: &Cells<'_>) -> Result<Span, RatingError> {
    cells.span()
}

pub(super) fn node(cells: &Cells<'_>) -> Result<NodeRow, RatingError> {
    Ok(NodeRow {
        node_id: cells.text("node_id")?,
        parent_id: cells.optional("parent_id"),
        kind: NodeKind::parse(&cells.text("kind")?).ok_or_else(|| cells.wrong("kind", "a kind of node"))?,
        currency: cells.text("currency")?,
        time_zone: cells.text("time_zone")?.parse().map_err(|_| cells.wrong("time_zone", "an IANA time zone"))?,
        valid: cells.span()?,
        fx_policy: cells.text("fx_policy")?,
    })
}

pub(super) fn account(cells: &Cells<'_>) -> Result<AccountRow, RatingError> {
    Ok(AccountRow {
        provider_name: cells.text("provider_name")?,
        billing_account_id: cells.text("billing_account_id")?,
        sub_account_id: cells.optional("sub_account_id"),
        node_id: cells.text("node_id")?,
        valid: cells.span()?,
    })
}

pub(super) fn attribution(cells: &Cells<'_>) -> Result<AttributionRow, RatingError> {
    Ok(AttributionRow {
        rule_id: cells.text("rule_id")?,
        owner_node_id: cells.text("owner_node_id")?,
        priority: cells.int("priority")?,
        provider_name: cells.optional("provider_name"),
        billing_account_id: cells.optional("billing_account_id"),
        sub_account_id: cells.optional("sub_account_id"),
        tag_key: cells.optional("tag_key"),
        tag_value: cells.optional("tag_value"),
        resource_pattern: cells.optional("resource_pattern"),
        service_name: cells.optional("service_name"),
        target: match cells.text("method")?.as_str() {
            "pool" => AttributionTarget::Pool(cells.text("pool_id")?),
            _ => AttributionTarget::Node(cells.text("node_id")?),
        },
        valid: cells.span()?,
    })
}

pub(super) fn pool(cells: &Cells<'_>) -> Result<PoolRow, RatingError> {
    let method = PoolMethod::parse(&cells.text("method")?);
    Ok(PoolRow {
        owner_node_id: cells.text("owner_node_id")?,
        pool_id: cells.text("pool_id")?,
        method: method.ok_or_else(|| cells.wrong("method", "a way to split a pool"))?,
        driver: cells.optional("driver"),
        fallback_node_id: cells.optional("fallback_node_id"),
        disclose: cells.optional_int("disclose").is_some_and(|truth| truth != 0),
        spread_idle: cells.text("idle")? == "spread",
        valid: cells.span()?,
    })
}

pub(super) fn share(cells: &Cells<'_>) -> Result<ShareRow, RatingError> {
    Ok(ShareRow {
        owner_node_id: cells.text("owner_node_id")?,
        pool_id: cells.text("pool_id")?,
        node_id: cells.text("node_id")?,
        share: cells.decimal("share")?,
        valid: cells.span()?,
    })
}

pub(super) fn driver(cells: &Cells<'_>) -> Result<DriverRow, RatingError> {
    Ok(DriverRow {
        owner_node_id: cells.text("owner_node_id")?,
        driver: cells.text("driver")?,
        node_id: cells.text("node_id")?,
        resource_id: cells.optional("resource_id"),
        quantity: cells.amount("quantity")?,
        valid: cells.span()?,
    })
}

pub(super) fn driver_rule(cells: &Cells<'_>) -> Result<DriverRuleRow, RatingError> {
    Ok(DriverRuleRow {
        owner_node_id: cells.text("owner_node_id")?,
        rule_id: cells.text("rule_id")?,
        priority: cells.int("priority")?,
        cluster: cells.optional("cluster"),
        namespace: cells.optional("namespace"),
        controller: cells.optional("controller"),
        label_key: cells.optional("label_key"),
        label_value: cells.optional("label_value"),
        node_id: cells.text("node_id")?,
        valid: cells.span()?,
    })
}

pub(super) fn tag_policy(cells: &Cells<'_>) -> Result<TagPolicyRow, RatingError> {
    let policy = TagPolicy::parse(&cells.text("policy")?).map_err(|_| cells.wrong("policy", "a tag policy"))?;
    let keys = policy.keys().map(str::to_owned).collect();
    Ok(TagPolicyRow { owner_node_id: cells.text("owner_node_id")?, keys })
}

pub(super) fn virtual_tag(cells: &Cells<'_>) -> Result<VirtualTagRow, RatingError> {
    let is_true = |column: &str| cells.optional_int(column).is_some_and(|truth| truth != 0);
    Ok(VirtualTagRow {
        owner_node_id: cells.text("owner_node_id")?,
        rule_id: cells.text("rule_id")?,
        priority: cells.int("priority")?,
        virtual_key: cells.text("virtual_key")?,
        virtual_value: cells.optional("virtual_value"),
        provider_name: cells.optional("provider_name"),
        billing_account_id: cells.optional("billing_account_id"),
        sub_account_id: cells.optional("sub_account_id"),
        tag_key: cells.optional("tag_key"),
        tag_value: cells.optional("tag_value"),
        resource_pattern: cells.optional("resource_pattern"),
        service_name: cells.optional("service_name"),
        replaces: is_true("replaces"),
        disclose: is_true("disclose"),
        valid: cells.span()?,
    })
}

pub(super) fn card(cells: &Cells<'_>) -> Result<CardRow, RatingError> {
    Ok(CardRow {
        card_id: cells.text("card_id")?,
        seller_node_id: cells.text("seller_node_id")?,
        buyer_node_id: cells.optional("buyer_node_id"),
        currency: cells.text("currency")?,
    })
}

pub(super) fn version(cells: &Cells<'_>) -> Result<VersionRow, RatingError> {
    let number = cells.int("version")?;
    // A base card without a version names the version of the same number; a version alone names this card.
    let base = match (cells.optional("base_card_id"), cells.optional_int("base_version")) {
        (Some(card), version) => Some((card, version.unwrap_or(number))),
        (None, Some(version)) => Some((cells.text("card_id")?, version)),
        (None, None) => None,
    };
    Ok(VersionRow {
        card_id: cells.text("card_id")?,
        version: number,
        valid: cells.span()?,
        is_active: cells.text("status")? == "active",
        base,
        rounding: rounding(cells)?,
    })
}

fn rounding(cells: &Cells<'_>) -> Result<Option<(Rounding, u8)>, RatingError> {
    let Some(digits) = cells.optional_int("rounding_digits") else { return Ok(None) };
    let digits = u8::try_from(digits).map_err(|_| cells.wrong("rounding_digits", "a number of digits"))?;
    let mode = cells.optional("rounding_mode").map(|mode| mode.parse()).transpose();
    let mode = mode.map_err(|_| cells.wrong("rounding_mode", "a rounding mode"))?;
    Ok(Some((mode.unwrap_or_default(), digits)))
}

pub(super) fn rule(cells: &Cells<'_>) -> Result<RuleRow, RatingError> {
    Ok(RuleRow {
        card_id: cells.text("card_id")?,
        version: cells.int("version")?,
        rule_id: cells.text("rule_id")?,
        priority: cells.int("priority")?,
        provider_name: cells.optional("provider_name"),
        service_category: cells.optional("service_category"),
        service_name: cells.optional("service_name"),
        sku_id: cells.optional("sku_id"),
        region_id: cells.optional("region_id"),
        charge_category: cells.optional("charge_category"),
        pricing_category: cells.optional("pricing_category"),
        resource_type: cells.optional("resource_type"),
        marketplace: cells.optional_int("marketplace").map(|truth| truth != 0),
        tag_key: cells.optional("tag_key"),
        tag_value: cells.optional("tag_value"),
        unit: cells.optional("unit"),
        method: cells.text("method")?,
        value: cells.decimal("value")?,
        base: cells.optional("base"),
        bands: cells.optional("bands"),
        scope: cells.text("scope")?,
        rounding: rounding(cells)?,
    })
}

pub(super) fn policy(cells: &Cells<'_>) -> Result<PolicyRow, RatingError> {
    Ok(PolicyRow {
        node_id: cells.text("node_id")?,
        buyer_node_id: cells.optional("buyer_node_id"),
        charge_category: cells.text("charge_category")?,
        charge_class: cells.optional("charge_class"),
        policy: cells.text("policy")?,
        valid: cells.span()?,
    })
}

pub(super) fn commitment(cells: &Cells<'_>) -> Result<CommitmentRow, RatingError> {
    let (benefit, purchase, unused) = (cells.text("benefit")?, cells.text("purchase")?, cells.text("unused")?);
    Ok(CommitmentRow {
        provider_name: cells.optional("provider_name"),
        commitment_id: cells.optional("commitment_id"),
        buyer_node_id: cells.optional("buyer_node_id"),
        benefit: Benefit::ALL
            .into_iter()
            .find(|known| known.name() == benefit)
            .ok_or_else(|| cells.wrong("benefit", "user, purchaser or seller"))?,
        purchase: Purchase::ALL
            .into_iter()
            .find(|known| known.name() == purchase)
            .ok_or_else(|| cells.wrong("purchase", "retain or pass"))?,
        unused: Unused::ALL
            .into_iter()
            .find(|known| known.name() == unused)
            .ok_or_else(|| cells.wrong("unused", "retain, purchaser or share"))?,
        owner_node_id: cells.optional("owner_node_id"),
        valid: cells.span()?,
    })
}

pub(super) fn fx_rate(cells: &Cells<'_>) -> Result<FxRow, RatingError> {
    Ok(FxRow {
        fx_rate_id: cells.text("fx_rate_id")?,
        source: cells.text("source")?,
        base_currency: cells.text("base_currency")?,
        quote_currency: cells.text("quote_currency")?,
        valid_from: cells.instant("valid_from")?.unwrap_or(i64::MIN),
        rate: cells.amount("rate")?,
    })
}

pub(super) fn licence(cells: &Cells<'_>) -> Result<LicenceRow, RatingError> {
    let convention = cells.text("convention")?.parse();
    Ok(LicenceRow {
        seller_node_id: cells.text("seller_node_id")?,
        licence_id: cells.text("licence_id")?,
        node_id: cells.text("node_id")?,
        product: cells.text("product")?,
        sku_id: cells.optional("sku_id"),
        seats: cells.amount("seats")?,
        unit_price: cells.amount("unit_price")?,
        currency: cells.text("currency")?,
        convention: convention.map_err(|()| cells.wrong("convention", "a proration convention"))?,
        is_suspended: cells.text("status")? == "suspended",
        valid: cells.span()?,
    })
}

pub(super) fn time_entry(cells: &Cells<'_>) -> Result<TimeEntryRow, RatingError> {
    Ok(TimeEntryRow {
        seller_node_id: cells.text("seller_node_id")?,
        entry_id: cells.text("entry_id")?,
        node_id: cells.text("node_id")?,
        project: cells.text("project")?,
        engineer: cells.text("engineer")?,
        worked_at: cells.instant("worked_at")?.ok_or_else(|| cells.wrong("worked_at", "an instant"))?,
        hours: cells.amount("hours")?,
        rate: cells.amount("rate")?,
        currency: cells.text("currency")?,
        description: cells.optional("description"),
        billable: cells.int("billable")? != 0,
    })
}

pub(super) fn contract(cells: &Cells<'_>) -> Result<ContractRow, RatingError> {
    let commit_period = CommitPeriod::parse(&cells.text("commit_period")?);
    Ok(ContractRow {
        seller_node_id: cells.text("seller_node_id")?,
        contract_id: cells.text("contract_id")?,
        buyer_node_id: cells.text("buyer_node_id")?,
        currency: cells.text("currency")?,
        commit_amount: cells.decimal("commit_amount")?,
        commit_period: commit_period.ok_or_else(|| cells.wrong("commit_period", "a commit period"))?,
        valid: cells.span()?,
    })
}

pub(super) fn credit(cells: &Cells<'_>) -> Result<CreditRow, RatingError> {
    Ok(CreditRow {
        credit_id: cells.text("credit_id")?,
        seller_node_id: cells.text("seller_node_id")?,
        node_id: cells.text("node_id")?,
        kind: cells.text("kind")?,
        source: cells.text("source")?,
        amount: cells.amount("amount")?,
        currency: cells.text("currency")?,
        is_active: cells.text("status")? == "active",
        valid: cells.span()?,
    })
}

pub(super) fn credit_policy(cells: &Cells<'_>) -> Result<CreditPolicyRow, RatingError> {
    let policy = match cells.text("policy")?.as_str() {
        "pass" => CreditPolicy::Pass,
        "retain" => CreditPolicy::Retain,
        "split" => CreditPolicy::Split([cells.amount("keep_share")?, cells.amount("pass_share")?]),
        _ => return Err(cells.wrong("policy", "pass, retain or split")),
    };
    Ok(CreditPolicyRow { node_id: cells.text("node_id")?, kind: cells.optional("kind"), policy, valid: cells.span()? })
}
