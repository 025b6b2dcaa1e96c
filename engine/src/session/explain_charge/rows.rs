//! The steps of one charge.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use serde_json::json;

use super::Explaining;
use super::charge::{Charge, plain};
use super::edges::{Edge, Edges, Ruled};
use super::steps::Step;
use crate::catalog::CatalogError;
use crate::lake::schema::MAX_POSITIONS;
use crate::rating::{
    Benefit, Cause, Dimension, Origin, PoolMethod, Question, RateBook, RowTexts, RuleRow, Span, Traced,
};
use crate::security::policy::{TermsShown, terms_shown};

/// What a line is of, in columns that usage has, too.
pub(in crate::session) const LINE: [&str; 4] = ["provider_name", "service_name", "sku_id", "region_id"];

fn external(error: crate::error::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error.shown()))
}

/// The steps that led to a charge.
pub(super) fn steps_of(
    explaining: &Explaining,
    (rows, edges): (&RecordBatch, &Edges<'_>),
    row: usize,
) -> Result<Vec<Step>> {
    let charge = Charge::new(rows, row);
    let snapshot = charge.number("rated_snapshot").unwrap_or_default();
    let story = Story::new(explaining, charge, explaining.shared.core.book(snapshot).map_err(external)?);
    let mut steps = Vec::new();
    if charge.text("origin") == Some(Origin::Usage.name()) {
        steps.push(story.line()?);
        steps.extend(story.causes());
    } else {
        steps.push(story.own());
    }
    // What the caller, or a node below it, bills by itself has cost nobody anything above.
    for edge in edges.of_charge(row) {
        steps.push(if edge.place == 0 { story.purchase() } else { story.sale(&edge)? });
    }
    let id = charge.owned("charge_id").unwrap_or_default();
    for (number, step) in (1..).zip(&mut steps) {
        step.number = number;
        step.charge_id.clone_from(&id);
    }
    Ok(steps)
}

/// A charge, and what it is explained by.
pub(in crate::session) struct Story<'a> {
    explaining: &'a Explaining,
    charge: Charge<'a>,
    /// The reference rows that priced it.
    book: Arc<RateBook>,
}

impl<'a> Story<'a> {
    pub(in crate::session) fn new(explaining: &'a Explaining, charge: Charge<'a>, book: Arc<RateBook>) -> Self {
        Self { explaining, charge, book }
    }
}

impl Story<'_> {
    /// What the provider billed: to the root with the file and the row that say so, to others at the provider's list price.
    fn line(&self) -> Result<Step> {
        let charge = &self.charge;
        let is_provider_side = self.explaining.caller.provider_side;
        let description = charge.described(&LINE, ("quantity", "unit"));
        let mut details = charge.details(&[
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
        ]);
        if is_provider_side {
            details.extend(charge.details(&[
                "effective_cost",
                "commitment_discount_id",
                "commitment_discount_status",
                "commitment_policy",
                "delivery_id",
                "source_row",
                "rated_snapshot",
            ]));
            let delivery = charge.number("delivery_id").unwrap_or_default();
            let catalog = &self.explaining.shared.core.catalog;
            let name = catalog.read::<_, CatalogError>(|tx| {
                let row = tx.row("select name from delivery where delivery_id = ?1", &[delivery.into()])?;
                row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
            });
            let name = name.map_err(|error| external(error.into()))?;
            details.extend(name.map(|name| ("file".to_owned(), name.into())));
            details.extend(charge.part().map(|part| ("part".to_owned(), part.into())));
        }
        let amount = if is_provider_side { charge.money("amount_0") } else { charge.money("list_cost") };
        Ok(Step {
            kind: "line",
            description: if is_provider_side { description } else { description + ", at list price" },
            amount,
            currency: charge.owned("list_currency"),
            details: Some(serde_json::Value::Object(details).to_string()),
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
        let details = charge.details(&[
            "billing_period",
            "charge_period_start",
            "charge_period_end",
            "service_name",
            "sku_id",
            "resource_id",
        ]);
        // What is drawn of a grant has its name for a SKU.
        let is_credit = text("origin") == Origin::Credit.name();
        Step {
            kind: "own",
            description,
            object_id: charge.owned("sku_id").filter(|_| is_credit),
            seller: first.checked_sub(1).and_then(|at| charge.path().get(at).map(|seller| (*seller).to_owned())),
            buyer: Some(self.owner().to_owned()),
            details: Some(serde_json::Value::Object(details).to_string()),
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
    pub(in crate::session) fn causes(&self) -> Vec<Step> {
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
                    object_id: account.map(str::to_owned),
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
                    object_id: Some(format!("{}/{rule_id}", name(owner))),
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
                    object_id: Some(format!("{}/{pool_id}", name(owner))),
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
            marketplace: charge.flag("marketplace").unwrap_or_default(),
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

    /// What a node below the caller pays its seller.
    fn sale(&self, edge: &Edge<'_>) -> Result<Step> {
        let charge = &self.charge;
        let seller = edge.seller.unwrap_or_default();
        let mut step = Step {
            kind: "sale",
            object_id: edge.rule.map(str::to_owned),
            seller: Some(seller.to_owned()),
            buyer: Some(edge.buyer.to_owned()),
            description: edge.described(seller),
            outcome: Some(edge.outcome.to_owned()),
            amount: edge.amount,
            currency: edge.currency.map(str::to_owned),
            fx_rate_id: edge.fx_rate_id.map(str::to_owned),
            ..Step::default()
        };
        if edge.is_by_policy() {
            let policy = format!("{seller}/{}", charge.text("charge_category").unwrap_or_default());
            step.details = Some(json!({ "charge_policy": policy }).to_string());
        }
        step.fx_rate = step.fx_rate_id.as_deref().and_then(|id| self.book.fx().named(id));
        if matches!(edge.outcome, "retained" | "unrated") {
            return Ok(step);
        }
        if let Some(rule) = edge.rule {
            Ruled { card_id: step.card_id, version: step.version, rule_id: step.rule_id } = edge.ruled();
            if self.knows_rules_of(seller) {
                if let Some(terms) = self.book.rule_terms(rule) {
                    step.base = terms.base.map(str::to_owned);
                    step.method = Some(terms.row.method);
                    step.value = terms.row.value;
                    step.unit = terms.row.unit;
                    step.bands = terms.row.bands;
                    step.details = terms.row.rounding.map(|(mode, digits)| {
                        json!({ "rounding_digits": digits, "rounding_mode": mode.name() }).to_string()
                    });
                }
                step.approved_by = self.approvals(&step)?;
            }
        } else if !edge.is_sellers_own {
            step.base = Some("cost".to_owned());
        }
        let is_roots = self.explaining.moment.scope.is_root && edge.place == 1;
        if is_roots && step.base.is_some() && self.is_sold_on_demand() {
            step.base = Some("on_demand".to_owned());
        }
        (step.base_amount, step.base_currency) = match step.base.as_deref() {
            Some("cost" | "effective") if is_roots => (charge.money("effective_cost"), charge.owned("currency_0")),
            Some("billed") => (charge.money("amount_0"), charge.owned("currency_0")),
            Some("list" | "on_demand") => (charge.money("list_cost"), charge.owned("list_currency")),
            Some("cost") => (edge.cost, edge.cost_currency.map(str::to_owned)),
            Some(_) | None => (None, None),
        };
        Ok(step)
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
