//! The steps of one charge.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use datafusion::error::{DataFusionError, Result};
use ratehouse_udfs::decimal::format_trimmed;
use serde_json::{Value as Json, json};

use super::steps::Step;
use super::{Explaining, reads};
use crate::catalog::CatalogError;
use crate::lake::schema::MAX_POSITIONS;
use crate::rating::{
    Benefit, Cause, Dimension, Origin, PoolMethod, Question, RateBook, RowTexts, RuleRow, Span, Traced,
};
use crate::security::policy::{TermsShown, terms_shown};

/// A charge as the caller may explain it.
struct Charge<'a> {
    rows: &'a RecordBatch,
    row: usize,
}

impl<'a> Charge<'a> {
    fn column(&self, name: &str) -> Option<&'a Arc<dyn Array>> {
        self.rows.column_by_name(name).filter(|column| column.is_valid(self.row))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        Some(self.column(name)?.as_string_view_opt()?.value(self.row))
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    fn money(&self, name: &str) -> Option<i128> {
        Some(self.column(name)?.as_primitive_opt::<Decimal128Type>()?.value(self.row))
    }

    fn number(&self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<Int64Type>()?.value(self.row))
    }

    fn part(&self) -> Option<i32> {
        Some(self.column("source_file")?.as_primitive_opt::<Int32Type>()?.value(self.row))
    }

    fn instant(&self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(self.row))
    }

    /// Any value as text, for details.
    fn shown(&self, name: &str) -> Json {
        match self.column(name) {
            Some(column) if column.data_type().is_decimal() => {
                self.money(name).map(|a| plain(a).into()).unwrap_or_default()
            }
            Some(column) => array_value_to_string(column, self.row).map(Json::from).unwrap_or_default(),
            None => Json::Null,
        }
    }

    /// The charge's path from the caller down.
    fn path(&self) -> Vec<&'a str> {
        self.text("node_path").unwrap_or_default().split('/').collect()
    }
}

fn plain(amount: i128) -> String {
    format_trimmed(amount, 18, 0)
}

fn external(error: crate::error::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error.shown()))
}

/// The steps that led to a charge.
pub(super) fn steps_of(explaining: &Explaining, rows: &RecordBatch, row: usize) -> Result<Vec<Step>> {
    let charge = Charge { rows, row };
    let snapshot = charge.number("rated_snapshot").unwrap_or_default();
    let book = explaining.shared.core.book(snapshot).map_err(external)?;
    let story = Story { explaining, charge, book };
    let mut steps = Vec::new();
    if story.charge.text("origin") == Some(Origin::Usage.name()) {
        steps.push(story.line()?);
        steps.extend(story.causes());
    } else {
        steps.push(story.own());
    }
    // What the caller, or a node below it, bills by itself has cost nobody anything above.
    if story.charge.text("outcome_0").is_some() {
        steps.push(story.purchase());
    }
    if reads(&explaining.shared, "charges_by_tier") {
        for place in 1..MAX_POSITIONS {
            steps.extend(story.sale(place)?);
        }
    }
    let id = story.charge.owned("charge_id").unwrap_or_default();
    for (number, step) in (1..).zip(&mut steps) {
        step.number = number;
        step.charge_id.clone_from(&id);
    }
    Ok(steps)
}

struct Story<'a> {
    explaining: &'a Explaining,
    charge: Charge<'a>,
    /// The reference rows that priced it.
    book: Arc<RateBook>,
}

impl Story<'_> {
    /// What the provider billed: to the root with the file and the row that say so, to others at the provider's list price.
    fn line(&self) -> Result<Step> {
        let charge = &self.charge;
        let is_provider_side = self.explaining.caller.provider_side;
        let text = |name: &str| charge.text(name).unwrap_or_default();
        let words = [text("provider_name"), text("service_name"), text("sku_id"), text("region_id")];
        let mut description = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", ");
        if let Some(quantity) = charge.money("quantity") {
            description += &format!(": {} {}", plain(quantity), text("unit"));
        }
        let mut details = serde_json::Map::new();
        let mut tell = |name: &str, value: Json| {
            if !value.is_null() {
                details.insert(name.to_owned(), value);
            }
        };
        for name in [
            "billing_period",
            "charge_period_start",
            "charge_period_end",
            "billing_account_id",
            "sub_account_id",
            "resource_id",
            "charge_category",
            "charge_class",
            "pricing_category",
            "list_cost",
        ] {
            tell(name, charge.shown(name));
        }
        if is_provider_side {
            for name in ["effective_cost", "delivery_id", "source_row", "rated_snapshot"] {
                tell(name, charge.shown(name));
            }
            let delivery = charge.number("delivery_id").unwrap_or_default();
            let catalog = &self.explaining.shared.core.catalog;
            let name = catalog.read::<_, CatalogError>(|tx| {
                let row = tx.row("select name from delivery where delivery_id = ?1", &[delivery.into()])?;
                row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
            });
            let name = name.map_err(|error| external(error.into()))?;
            tell("file", name.map(Json::from).unwrap_or_default());
            tell("part", charge.part().map(Json::from).unwrap_or_default());
        }
        let amount = if is_provider_side { charge.money("amount_0") } else { charge.money("list_cost") };
        Ok(Step {
            kind: "line",
            description: if is_provider_side { description } else { description + ", at list price" },
            amount,
            currency: charge.owned("list_currency"),
            details: Some(Json::Object(details).to_string()),
            ..Step::default()
        })
    }

    /// What a seller bills by itself; who that is, if not from above the caller.
    fn own(&self) -> Step {
        let charge = &self.charge;
        let text = |name: &str| charge.text(name).unwrap_or_default();
        let mut description = format!("{}: {}", text("origin"), text("description"));
        if let Some(quantity) = charge.money("quantity") {
            description += &format!(", {} {}", plain(quantity), text("unit"));
        }
        let exists = |place: &usize| charge.text(&format!("outcome_{place}")).is_some();
        let first = (0..MAX_POSITIONS).find(exists).unwrap_or_default();
        let names =
            ["billing_period", "charge_period_start", "charge_period_end", "service_name", "sku_id", "resource_id"];
        let details = names.map(|name| (name.to_owned(), charge.shown(name)));
        let details: serde_json::Map<String, Json> =
            details.into_iter().filter(|(_, shown)| !shown.is_null()).collect();
        Step {
            kind: "own",
            description,
            seller: first.checked_sub(1).and_then(|at| charge.path().get(at).map(|seller| (*seller).to_owned())),
            buyer: Some(self.owner().to_owned()),
            details: Some(Json::Object(details).to_string()),
            ..Step::default()
        }
    }

    fn owner(&self) -> &str {
        self.charge.text("node_id").unwrap_or_default()
    }

    /// Whether the caller was on a node's path when the charge began.
    fn is_mine(&self, node: usize) -> bool {
        let tree = self.book.tree();
        let Some(own) = tree.node(&self.explaining.moment.scope.node_id) else { return false };
        let path = tree.path(node, self.charge.instant("charge_period_start").unwrap_or_default());
        path.is_some_and(|path| path.contains(&own))
    }

    /// What made it the owner's, as far as it happened at the caller or below.
    fn causes(&self) -> Vec<Step> {
        let (charge, tree) = (&self.charge, self.book.tree());
        let start = charge.instant("charge_period_start").unwrap_or_default();
        let row = Traced {
            texts: RowTexts {
                provider_name: charge.text("provider_name").unwrap_or_default(),
                billing_account_id: charge.text("billing_account_id"),
                sub_account_id: charge.text("raw_sub_account_id"),
                resource_id: charge.text("raw_resource_id"),
                tags: charge.text("raw_tags"),
                service_name: charge.text("service_name"),
            },
            period: Span { from: start, until: charge.instant("charge_period_end").unwrap_or(start) },
            at: start,
        };
        let causes = tree.node(self.owner()).map(|owner| self.book.trace(row, owner)).unwrap_or_default();
        let mut steps: Vec<Step> = causes.into_iter().filter_map(|cause| self.cause(cause)).collect();
        if charge.text("fate") == Some("allocated") && charge.text("pool_id").is_none() {
            let description = "a share of cost that is shared out above".to_owned();
            steps.insert(
                0,
                Step { kind: "pool", buyer: Some(self.charge.path()[0].to_owned()), description, ..Step::default() },
            );
        }
        if steps.is_empty() {
            let description = match charge.text("fate") {
                Some("unallocated") => "no account and no rule gives it to anybody".to_owned(),
                _ => format!("it is {}'s", self.owner()),
            };
            steps.push(Step { kind: "account", buyer: Some(self.owner().to_owned()), description, ..Step::default() });
        }
        steps
    }

    fn cause(&self, cause: Cause) -> Option<Step> {
        let tree = self.book.tree();
        let name = |node: usize| tree.name(node).to_owned();
        Some(match cause {
            Cause::Account { node } => {
                if !self.is_mine(node) {
                    return None;
                }
                let account = self.charge.text("raw_sub_account_id").or(self.charge.text("billing_account_id"));
                Step {
                    kind: "account",
                    buyer: Some(name(node)),
                    description: format!("account {} is {}'s", account.unwrap_or_default(), name(node)),
                    ..Step::default()
                }
            }
            Cause::Rule { owner, rule_id, node } => {
                if !self.is_mine(owner) {
                    return None;
                }
                Step {
                    kind: "rule",
                    seller: Some(name(owner)),
                    buyer: Some(name(node)),
                    description: format!("attribution rule {rule_id} of {} gives it to {}", name(owner), name(node)),
                    rule_id: Some(rule_id),
                    ..Step::default()
                }
            }
            Cause::Pool { owner, rule_id, pool_id, share } => {
                if !self.is_mine(owner) {
                    return None;
                }
                let whose = format!("pool {pool_id} of {}", name(owner));
                // What nobody has a share of stays with who may have one.
                let is_left = self.charge.text("fate") == Some("unallocated");
                let share = share.filter(|share| !is_left || name(share.node) != self.owner());
                let mut step = Step {
                    kind: "pool",
                    seller: Some(name(owner)),
                    rule_id: Some(rule_id),
                    description: format!("{whose}: nobody has a share of it, it stays with {}", name(owner)),
                    details: Some(json!({ "pool_id": pool_id }).to_string()),
                    ..Step::default()
                };
                if let Some(share) = share {
                    let percent = share.percent();
                    let part = match (share.method, percent) {
                        (PoolMethod::Fixed, None) => format!("{} of a billing period", plain(share.weight)),
                        (_, Some(percent)) => format!("{} percent", plain(percent)),
                        (_, None) => plain(share.weight),
                    };
                    step.buyer = Some(name(share.node));
                    step.description = format!("{whose}: {} has {part}", name(share.node));
                    step.method = Some(share.method.name().to_owned());
                    step.value = percent.or(Some(share.weight));
                    let weights = json!({
                        "pool_id": pool_id,
                        "driver": share.driver,
                        "weight": plain(share.weight),
                        "of": share.total.map(plain),
                    });
                    step.details = Some(weights.to_string());
                }
                step
            }
        })
    }

    /// What the caller pays: the root to the provider, others to the node above, by a rule of which they know published prices.
    fn purchase(&self) -> Step {
        let charge = &self.charge;
        let payer = charge.path()[0].to_owned();
        let is_root = self.explaining.moment.scope.is_root;
        let provider = charge.text("provider_name").unwrap_or_default();
        let paid = if is_root { provider } else { "its seller" };
        let mut step = Step {
            kind: "purchase",
            description: format!("what {payer} pays {paid}"),
            buyer: Some(payer.clone()),
            outcome: charge.owned("outcome_0"),
            amount: charge.money("amount_0"),
            currency: charge.owned("currency_0"),
            fx_rate_id: charge.owned("fx_rate_0"),
            ..Step::default()
        };
        if terms_shown(self.explaining.shared.principal.role) == TermsShown::Nothing || is_root {
            return step;
        }
        if let Some(rule) = self.published_price(&payer) {
            (step.method, step.value, step.unit, step.bands) = (Some(rule.method), rule.value, rule.unit, rule.bands);
        }
        step
    }

    /// The rule by which the caller buys, if it prices units.
    fn published_price(&self, buyer: &str) -> Option<RuleRow> {
        let charge = &self.charge;
        let texts = Dimension::ALL.into_iter().filter(|d| !matches!(d, Dimension::TagKey | Dimension::TagValue));
        let question = Question {
            buyer: self.book.tree().node(buyer)?,
            at: charge.instant("charge_period_start")?,
            texts: texts.filter_map(|dimension| Some((dimension, charge.text(dimension.column())?))).collect(),
            marketplace: charge.column("marketplace").is_some_and(|flags| flags.as_boolean().value(charge.row)),
            tags: charge.text("raw_tags"),
            unit: charge.text("unit"),
            is_correction: charge.text("charge_class") == Some("Correction"),
            cost: None,
            list_cost: charge.money("list_cost"),
            quantity: charge.money("quantity"),
            currency: None,
        };
        let terms = self.book.lookup(&question).ok().flatten()?;
        Some(terms.rule.filter(|rule| rule.has_unit_prices)?.row)
    }

    /// What the node so many places below the caller pays its seller; none where the charge does not go there, or its seller keeps
    /// that to itself.
    fn sale(&self, place: usize) -> Result<Option<Step>> {
        let charge = &self.charge;
        let at = |what: &str, place: usize| format!("{what}_{place}");
        let Some(outcome) = charge.owned(&at("outcome", place)) else { return Ok(None) };
        let path = charge.path();
        let (Some(seller), Some(buyer)) = (path.get(place - 1), path.get(place)) else { return Ok(None) };
        let moment = &self.explaining.moment;
        if place > 1 && !moment.tree.discloses(seller) {
            return Ok(None);
        }
        let mut step = Step {
            kind: "sale",
            seller: Some((*seller).to_owned()),
            buyer: Some((*buyer).to_owned()),
            description: format!("what {buyer} pays {seller}: passed on as it is"),
            outcome: Some(outcome.clone()),
            amount: charge.money(&at("amount", place)),
            currency: charge.owned(&at("currency", place)),
            fx_rate_id: charge.owned(&at("fx_rate", place)),
            base: Some("cost".to_owned()),
            ..Step::default()
        };
        if charge.text(&at("outcome", place - 1)).is_none() {
            step.description = format!("what {buyer} pays {seller}, who bills it by itself");
            step.base = None;
        }
        step.fx_rate = step.fx_rate_id.as_deref().and_then(|id| self.book.fx().named(id));
        if outcome == "retained" || outcome == "unrated" {
            let verb = if outcome == "retained" { "keeps it" } else { "has no price for it" };
            step.description = format!("{seller} {verb}: {buyer} pays nothing");
            step.base = None;
            return Ok(Some(step));
        }
        if let Some(rule) = charge.text(&at("rule", place)) {
            let mut names = rule.splitn(3, '/');
            step.card_id = names.next().map(str::to_owned);
            step.version = names.next().and_then(|version| version.parse().ok());
            step.rule_id = names.next().map(str::to_owned);
            step.description = format!("what {buyer} pays {seller}: rule {rule}");
            step.base = None;
            if self.knows_rules_of(seller) {
                if let Some(terms) = self.book.rule_terms(rule) {
                    step.base = terms.base.map(str::to_owned);
                    step.method = Some(terms.row.method);
                    step.value = terms.row.value;
                    step.unit = terms.row.unit;
                    step.bands = terms.row.bands;
                }
                step.approved_by = self.approvals(&step)?;
            }
        }
        let is_root = moment.scope.is_root;
        if is_root && place == 1 && step.base.is_some() && self.is_sold_on_demand() {
            step.base = Some("on_demand".to_owned());
        }
        (step.base_amount, step.base_currency) = match step.base.as_deref() {
            Some("cost" | "effective") if is_root && place == 1 => {
                (charge.money("effective_cost"), charge.owned("currency_0"))
            }
            Some("billed") => (charge.money("amount_0"), charge.owned("currency_0")),
            Some("list" | "on_demand") => (charge.money("list_cost"), charge.owned("list_currency")),
            Some("cost") => (charge.money(&at("amount", place - 1)), charge.owned(&at("currency", place - 1))),
            Some(_) | None => (None, None),
        };
        Ok(Some(step))
    }

    /// Whether a commitment covered the charge and the root sells it at its on-demand price all the same. Only the root has the columns
    /// that say so.
    fn is_sold_on_demand(&self) -> bool {
        let charge = &self.charge;
        let Some(policy) = charge.text("commitment_policy") else { return false };
        let is_covered = charge.text("charge_category") == Some("Usage")
            && charge.text("commitment_discount_status") != Some("Unused");
        let has_benefit = policy.starts_with(Benefit::User.name());
        is_covered && (!has_benefit || charge.text("pricing_category") == Some("Standard"))
    }

    /// Whether the caller sees a seller's cards, as in `ref.rate_rules`.
    fn knows_rules_of(&self, seller: &str) -> bool {
        let Explaining { shared, moment, .. } = self.explaining;
        terms_shown(shared.principal.role) == TermsShown::Rules
            && moment.shows_sales_of(seller, &crate::session::write::now())
    }

    /// Who submitted and approved a version.
    fn approvals(&self, step: &Step) -> Result<Option<String>> {
        let (Some(card), Some(version)) = (&step.card_id, step.version) else { return Ok(None) };
        let object = format!("{card}/{version}");
        let catalog = &self.explaining.shared.core.catalog;
        let acts = catalog.read::<_, CatalogError>(|tx| {
            let sql = "select action, login, role, at from approval where kind = 'rate_card_version' and object_id = ?1 \
                       and snapshot_id <= ?2 order by snapshot_id";
            let rows = tx.rows(sql, &[object.as_str().into(), self.explaining.moment.snapshot.into()])?;
            rows.iter().map(|row| Ok(format!("{} by {} ({}) {}", row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?))).collect::<Result<Vec<_>, CatalogError>>()
        });
        let acts = acts.map_err(|error| external(error.into()))?;
        Ok((!acts.is_empty()).then(|| acts.join(", ")))
    }
}
