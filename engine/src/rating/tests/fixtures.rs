//! Small worlds of reference rows and usage lines, written as briefly as tests are read.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use ratehouse_udfs::decimal::parse_decimal;

use super::charge::Charge;
use crate::lake::schema;
use crate::rating::span::parse_instant;
use crate::rating::{
    AccountRow, BandTotals, CardRow, FxRow, NodeKind, NodeRow, PolicyRow, RateBook, Rater, RatingRun, RefFacts,
    RuleRow, Span, VersionRow,
};

/// A decimal text at scale 18.
pub(crate) fn dec(text: &str) -> i128 {
    parse_decimal(text).expect("a decimal in a test").value
}

/// `2026-10-12` or `2026-10-12T05:00:00` as microseconds.
pub(crate) fn at(text: &str) -> i64 {
    let full = if text.contains('T') { format!("{text}Z") } else { format!("{text}T00:00:00Z") };
    parse_instant(&full).expect("an instant in a test")
}

pub(crate) fn span(from: &str, until: &str) -> Span {
    let edge = |text: &str, open: i64| if text.is_empty() { open } else { at(text) };
    Span { from: edge(from, i64::MIN), until: edge(until, i64::MAX) }
}

/// Reference rows under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct World(pub(crate) RefFacts);

impl World {
    pub(crate) fn node(mut self, path: &str, kind: &str, currency: &str) -> Self {
        let mut names: Vec<&str> = path.split('/').collect();
        let node_id = names.pop().expect("a name").to_owned();
        self.0.nodes.push(NodeRow {
            node_id,
            parent_id: names.pop().map(str::to_owned),
            kind: NodeKind::parse(kind).expect("a kind"),
            currency: currency.to_owned(),
            time_zone: chrono_tz::Tz::UTC,
            valid: Span::ALWAYS,
            fx_policy: "market".to_owned(),
        });
        self
    }

    /// Changes the node row added last.
    pub(crate) fn with_node(mut self, change: impl FnOnce(&mut NodeRow)) -> Self {
        change(self.0.nodes.last_mut().expect("a node"));
        self
    }

    pub(crate) fn account(mut self, name: &str, node: &str, valid: Span) -> Self {
        let mut parts = name.split('/');
        let mut next = || parts.next().map(str::to_owned);
        self.0.accounts.push(AccountRow {
            provider_name: next().expect("a provider"),
            billing_account_id: next().expect("a billing account"),
            sub_account_id: next(),
            node_id: node.to_owned(),
            valid,
        });
        self
    }

    /// A card `seller>buyer` or `seller>*` with one version that always holds.
    pub(crate) fn card(self, edge: &str, currency: &str) -> Self {
        self.card_only(edge, currency).version(edge, 1, Span::ALWAYS)
    }

    pub(crate) fn card_only(mut self, edge: &str, currency: &str) -> Self {
        let (seller, buyer) = edge.split_once('>').expect("seller>buyer");
        self.0.rate_cards.push(CardRow {
            card_id: edge.to_owned(),
            seller_node_id: seller.to_owned(),
            buyer_node_id: (buyer != "*").then(|| buyer.to_owned()),
            currency: currency.to_owned(),
        });
        self
    }

    pub(crate) fn version(mut self, card: &str, version: i64, valid: Span) -> Self {
        self.0.rate_card_versions.push(VersionRow {
            card_id: card.to_owned(),
            version,
            valid,
            is_active: true,
            base: None,
            rounding: None,
        });
        self
    }

    pub(crate) fn rule(self, card: &str, rule_id: &str, method: &str, value: &str) -> Self {
        self.rule_with(card, rule_id, method, value, |_| {})
    }

    pub(crate) fn rule_with(
        mut self,
        card: &str,
        rule_id: &str,
        method: &str,
        value: &str,
        change: impl FnOnce(&mut RuleRow),
    ) -> Self {
        let (card_id, version) = match card.split_once('#') {
            Some((card, version)) => (card, version.parse().expect("a version")),
            None => (card, 1),
        };
        let mut rule = RuleRow {
            card_id: card_id.to_owned(),
            version,
            rule_id: rule_id.to_owned(),
            method: method.to_owned(),
            value: (!value.is_empty()).then(|| dec(value)),
            scope: "node".to_owned(),
            ..RuleRow::default()
        };
        change(&mut rule);
        self.0.rate_rules.push(rule);
        self
    }

    pub(crate) fn policy(mut self, edge: &str, category: &str, policy: &str) -> Self {
        let (seller, buyer) = edge.split_once('>').expect("seller>buyer");
        let (category, class) = match category.split_once('/') {
            Some((category, class)) => (category, Some(class.to_owned())),
            None => (category, None),
        };
        self.0.charge_policies.push(PolicyRow {
            node_id: seller.to_owned(),
            buyer_node_id: (buyer != "*").then(|| buyer.to_owned()),
            charge_category: category.to_owned(),
            charge_class: class,
            policy: policy.to_owned(),
            valid: Span::ALWAYS,
        });
        self
    }

    pub(crate) fn fx(mut self, pair: &str, from: &str, rate: &str) -> Self {
        let (base, quote) = pair.split_once('/').expect("base/quote");
        self.0.fx_rates.push(FxRow {
            fx_rate_id: format!("{pair}@{from}"),
            source: "market".to_owned(),
            base_currency: base.to_owned(),
            quote_currency: quote.to_owned(),
            valid_from: at(from),
            rate: dec(rate),
        });
        self
    }

    pub(crate) fn book(&self) -> Arc<RateBook> {
        RateBook::compile(&self.0, 7).expect("a sound world")
    }

    /// Rates lines in one batch, counting first where bands need it.
    pub(crate) fn rate(&self, lines: &[Line]) -> Vec<Charge> {
        Charge::read(&self.rate_batch(lines))
    }

    pub(crate) fn rate_batch(&self, lines: &[Line]) -> RecordBatch {
        let usage = usage(lines);
        let run = RatingRun::new(self.book(), self.totals(&usage));
        Rater::new(&run).rate(&usage).expect("rates").charges
    }

    /// What prices depend on in sum.
    pub(crate) fn totals(&self, usage: &RecordBatch) -> BandTotals {
        let book = self.book();
        let mut totals = BandTotals::default();
        let mut is_counted = !book.needs_counting(PERIOD);
        while !is_counted {
            let run = RatingRun::new(Arc::clone(&book), totals);
            let mut counter = Rater::counting(&run);
            counter.count(usage).expect("counts");
            totals = BandTotals::default();
            for counted in counter.counted().expect("sums").values() {
                totals.merge(counted).expect("sums");
            }
            is_counted = run.totals.changed(&totals, &counter.hinges().collect()).is_empty();
        }
        totals
    }
}

/// October 2026, days since 1970: (2026-10-01) = 20,727.
pub(crate) const PERIOD: i32 = 20_727;

/// A usage line; texts and decimals by column name, empty is null.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) columns: Vec<(&'static str, String)>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) marketplace: Option<bool>,
}

impl Line {
    /// An hour of usage on 2026-10-05, account `aws/payer/acct`, all four costs `cost` in USD.
    pub(crate) fn new(cost: &str) -> Self {
        let line = Self {
            columns: Vec::new(),
            start: at("2026-10-05T10:00:00"),
            end: at("2026-10-05T11:00:00"),
            marketplace: None,
        };
        line.set("provider_name", "aws")
            .set("billing_account_id", "payer")
            .set("sub_account_id", "acct")
            .set("billing_currency", "USD")
            .set("charge_category", "Usage")
            .set("billed_cost", cost)
            .set("contracted_cost", cost)
            .set("effective_cost", cost)
            .set("list_cost", cost)
            .set("pricing_quantity", "1")
            .set("pricing_unit", "Hours")
    }

    pub(crate) fn set(mut self, column: &'static str, value: &str) -> Self {
        self.columns.retain(|(name, _)| *name != column);
        self.columns.push((column, value.to_owned()));
        self
    }

    pub(crate) fn during(mut self, start: &str, end: &str) -> Self {
        (self.start, self.end) = (at(start), at(end));
        self
    }

    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        let found = self.columns.iter().find(|(name, _)| *name == column);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Lines as a batch of `usage`.
pub(crate) fn usage(lines: &[Line]) -> RecordBatch {
    let schema = schema::usage();
    let rows = i64::try_from(lines.len()).expect("few lines");
    let arrays = schema.fields().iter().map(|field| -> ArrayRef {
        let texts = || lines.iter().map(|line| line.get(field.name()));
        match (field.name().as_str(), field.data_type()) {
            (_, DataType::Utf8View) => Arc::new(texts().collect::<StringViewArray>()),
            (_, DataType::Decimal128(..)) => Arc::new(
                texts()
                    .map(|text| text.map(dec))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(38, 18)
                    .expect("money"),
            ),
            ("charge_period_start", _) => instants(lines.iter().map(|line| line.start)),
            ("charge_period_end", _) => instants(lines.iter().map(|line| line.end)),
            (_, DataType::Timestamp(..)) => instants(lines.iter().map(|_| at("2026-10-01"))),
            ("marketplace", _) => Arc::new(lines.iter().map(|line| line.marketplace).collect::<BooleanArray>()),
            ("billing_period", _) => Arc::new(Date32Array::from_value(PERIOD, lines.len())),
            ("source_row", _) => Arc::new(Int64Array::from_iter_values(1..=rows)),
            (_, DataType::Int32) => Arc::new(Int32Array::from_value(0, lines.len())),
            _ => Arc::new(Int64Array::from_value(0, lines.len())),
        }
    });
    let arrays: Vec<ArrayRef> = arrays.collect();
    RecordBatch::try_new(Arc::clone(&schema), arrays).expect("a usage batch")
}

fn instants(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

/// Distributor, reseller and customer, one account of the customer.
pub(crate) fn chain() -> World {
    World::default()
        .node("dist", "distributor", "USD")
        .node("dist/res", "reseller", "USD")
        .node("res/cust", "customer", "USD")
        .account("aws/payer/acct", "cust", Span::ALWAYS)
}
