//! The oracle's prices: one level of the tree after the other, all rows of a level together.

use std::collections::BTreeMap;

use ratehouse_udfs::decimal::Rounding;

use super::banded::{NoPart, is_banded, part};
use super::fixtures::Line;
use super::oracle::{Oracle, Piece};
use super::plain::{matches, specificity, times};
use crate::rating::{Benefit, RuleRow};

const ONE: i128 = 1_000_000_000_000_000_000;

/// What a piece costs, and what that was made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    /// A cost, the list price or the quantity.
    pub(super) base: i128,
    pub(super) amount: i128,
}

/// A price and the exchange rate that it took.
type Converted = (Price, String);

/// What a level makes of a piece: price, outcome, rule and exchange rate.
type Step = (Option<Price>, &'static str, String, String);

impl<'a> Oracle<'a> {
    pub(super) fn price_level(&self, pieces: &mut [Piece<'_>], k: usize) {
        let plans: Vec<Option<Plan<'a>>> = pieces
            .iter()
            .map(|piece| (piece.cost.is_some() && piece.path.len() > k).then(|| self.plan(piece, k)))
            .collect();
        // Counters first: the whole quantity of the level.
        let mut totals: BTreeMap<String, i128> = BTreeMap::new();
        for (piece, plan) in pieces.iter().zip(&plans) {
            if let Some(Plan::Rule(rule, name, _)) = plan
                && is_banded(rule)
                && self.may_apply(piece, rule)
            {
                *totals.entry(counter(piece, k, rule, name)).or_default() += piece.quantity.unwrap_or_default();
            }
        }
        for (piece, plan) in pieces.iter_mut().zip(plans) {
            if let Some(plan) = plan {
                let (whole, before) = self.runs.with_those_before(piece, k);
                let step = self.step(&whole, k, &plan, &totals);
                let currency = piece.path[k].currency.clone();
                let (until, outcome, rule, rate) = match step {
                    Some(step) => step,
                    None => (None, "unrated", "-".to_owned(), "-".to_owned()),
                };
                let price = until.map(|until| until.amount - before);
                self.runs.add(&whole, k, until);
                let shown = price.map_or_else(|| "-".to_owned(), |p| p.to_string());
                piece.steps.push(format!("{shown} {currency} {outcome} {rule} {rate}"));
                piece.cost = price.map(|p| (p, currency));
                piece.is_on_demand |= k == 1 && price.is_some() && plan.how().is_some_and(How::is_at_list);
            }
        }
    }

    fn may_apply(&self, piece: &Piece<'_>, rule: &RuleRow) -> bool {
        let unit = piece.line.get("pricing_unit");
        piece.quantity.is_some() && rule.unit.as_deref().is_none_or(|wanted| unit == Some(wanted))
    }

    fn plan(&self, piece: &Piece<'_>, k: usize) -> Plan<'a> {
        // Below the root it is usage that nothing covered.
        let line = &match piece.is_on_demand {
            true => piece.line.clone().set("pricing_category", "Standard").set("commitment_discount_id", ""),
            false => piece.line.clone(),
        };
        let category = line.get("charge_category").expect("a category");
        let is_committed = line.get("commitment_discount_id").is_some();
        if k == 1
            && ((category == "Purchase" && is_committed) || line.get("commitment_discount_status") == Some("Unused"))
        {
            return Plan::Retain;
        }
        let (seller, buyer) = (&piece.path[k - 1], &piece.path[k]);
        let allocates = seller.kind.allocates();
        let found = self.find(line, &seller.node_id, &buyer.node_id, piece.start);
        let states = matches!(&found, Ok(Some((rule, _))) if rule.charge_category.is_some());
        let is_correction = line.get("charge_class") == Some("Correction");
        let policy = self.policy(&seller.node_id, &buyer.node_id, category, is_correction, piece.start);
        let policy = if states { None } else { policy };
        let by_rule = |found: Result<Option<(&'a RuleRow, String)>, ()>, how: How| match found {
            Ok(Some((rule, name))) => Plan::Rule(rule, name, how),
            _ if allocates => Plan::Pass(how),
            _ => Plan::Unrated,
        };
        let takes_benefit = k == 1
            && category == "Usage"
            && is_committed
            && self.benefit(line, &buyer.node_id, piece.start) != Benefit::User;
        let (billed, reported) =
            if takes_benefit { (How::AtList, How::ReportedAtList) } else { (How::Billed, How::Reported) };
        match (policy, found) {
            (Some("retain"), _) => Plan::Retain,
            (Some("pass"), _) => Plan::Pass(billed),
            (Some("report"), Ok(None)) => Plan::Pass(reported),
            (Some("report"), found) => by_rule(found, reported),
            (Some("rerate"), found @ (Ok(Some(_)) | Err(()))) => {
                by_rule(found, if is_committed { How::AtList } else { billed })
            }
            (_, found @ (Ok(Some(_)) | Err(()))) => by_rule(found, billed),
            (_, Ok(None)) if allocates => Plan::Pass(billed),
            (_, Ok(None)) => match category {
                "Tax" | "Credit" => Plan::Retain,
                "Adjustment" => Plan::Pass(billed),
                _ => Plan::Unrated,
            },
        }
    }

    /// Who has the benefit of covered usage: by a policy of its commitment, else one for the buyer, else one of the provider, else any.
    fn benefit(&self, line: &Line, child: &str, at: i64) -> Benefit {
        let is = |wanted: &Option<String>, column: &str| wanted.is_none() || wanted.as_deref() == line.get(column);
        let mut found = self.commitment_policies(Some(child), at);
        found.retain(|p| is(&p.commitment_id, "commitment_discount_id") && is(&p.provider_name, "provider_name"));
        found.sort_by_key(|p| {
            let [commitment, buyer, provider] =
                [&p.commitment_id, &p.buyer_node_id, &p.provider_name].map(|named| u8::from(named.is_some()));
            4 * commitment + 2 * buyer + provider
        });
        found.last().map_or(Benefit::User, |p| p.benefit)
    }

    /// The best rule by comparing all of them; an error when several versions hold.
    fn find(&self, line: &Line, seller: &str, buyer: &str, at: i64) -> Result<Option<(&'a RuleRow, String)>, ()> {
        for own in [Some(buyer), None] {
            let held = self.versions(seller, own, at);
            if held.len() > 1 {
                return Err(());
            }
            let Some(version) = held.first() else { continue };
            let mut rules = self.rules_of(&version.card_id, version.version)?;
            // Flat fees and minimums are charges of their own.
            rules.retain(|_, rule| !matches!(rule.method.as_str(), "flat" | "minimum"));
            let mut matching: Vec<&RuleRow> = rules.into_values().filter(|rule| matches(rule, line)).collect();
            matching.sort_by(|a, b| {
                let set = |r: &RuleRow| specificity(r).map(|is_set| !is_set);
                (-a.priority, set(a), &a.rule_id).cmp(&(-b.priority, set(b), &b.rule_id))
            });
            if let Some(rule) = matching.first() {
                let name = format!("{}/{}/{}", version.card_id, version.version, rule.rule_id);
                return Ok(Some((rule, name)));
            }
        }
        Ok(None)
    }

    /// The rules of a version and of those that it inherits from; the nearer one of a name replaces the farther.
    pub(super) fn rules_of(&self, card: &str, version: i64) -> Result<BTreeMap<&'a str, &'a RuleRow>, ()> {
        let mut rules: BTreeMap<&str, &RuleRow> = BTreeMap::new();
        let mut next = Some((card.to_owned(), version));
        while let Some(name) = next {
            for rule in &self.facts.rate_rules {
                if (&rule.card_id, rule.version) == (&name.0, name.1) {
                    rules.entry(&rule.rule_id).or_insert(rule);
                }
            }
            let row = self.facts.rate_card_versions.iter().find(|v| (&v.card_id, v.version) == (&name.0, name.1));
            next = row.ok_or(())?.base.clone();
        }
        Ok(rules)
    }

    /// The rule that steps call `card/version/rule`.
    pub(super) fn rule_named(&self, name: &str) -> Option<&'a RuleRow> {
        let mut words = name.splitn(3, '/');
        let (card, version, rule) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        self.rules_of(card, version).ok()?.get(rule).copied()
    }

    fn convert(&self, piece: &Piece<'_>, k: usize, amount: i128, from: &str) -> Option<(i128, String)> {
        let buyer = piece.path[k];
        if from == buyer.currency {
            return Some((amount, "-".to_owned()));
        }
        let day = piece.start.div_euclid(86_400_000_000) * 86_400_000_000;
        let provider = piece.line.get("provider_name").unwrap_or_default();
        let sources = match buyer.fx_policy.as_str() {
            "fixed" => vec![format!("fixed/{}", buyer.node_id), "fixed".to_owned()],
            "provider" => vec![format!("provider/{provider}"), "provider".to_owned()],
            named => vec![named.to_owned()],
        };
        for source in sources {
            let rate = |base: &str, quote: &str| {
                self.facts
                    .fx_rates
                    .iter()
                    .filter(|r| r.source == source && r.valid_from <= day)
                    .filter(|r| r.base_currency == base && r.quote_currency == quote)
                    .max_by_key(|r| r.valid_from)
            };
            if let Some(direct) = rate(from, &buyer.currency) {
                return Some((times(amount, direct.rate, ONE), direct.fx_rate_id.clone()));
            }
            if let Some(inverse) = rate(&buyer.currency, from) {
                return Some((times(amount, ONE, inverse.rate), inverse.fx_rate_id.clone()));
            }
        }
        None
    }

    fn step(&self, piece: &Piece<'_>, k: usize, plan: &Plan<'_>, totals: &BTreeMap<String, i128>) -> Option<Step> {
        let (cost, currency) = piece.cost.clone()?;
        let pass = |how: &How| {
            let billing = piece.line.get("billing_currency").expect("a currency");
            let (base, from) = if how.is_at_list() { (piece.list?, billing) } else { (cost, currency.as_str()) };
            let (amount, rate) = self.convert(piece, k, base, from)?;
            Some((Some(Price { base, amount }), how.outcome(), "-".to_owned(), rate))
        };
        match plan {
            Plan::Retain => Some((None, "retained", "-".to_owned(), "-".to_owned())),
            Plan::Unrated => None,
            Plan::Pass(how) => pass(how),
            Plan::Rule(rule, name, how) => {
                let priced = self.apply(piece, k, rule, name, how, totals);
                let done = |(price, rate)| (Some(price), how.outcome(), name.clone(), rate);
                match priced {
                    Ok(found) => found.map(done),
                    Err(()) if piece.path[k - 1].kind.allocates() => pass(how),
                    Err(()) => None,
                }
            }
        }
    }

    /// The price by a rule: `Err` when the rule does not fit, `Ok(None)` when an exchange rate is missing.
    fn apply(
        &self,
        piece: &Piece<'_>,
        k: usize,
        rule: &RuleRow,
        name: &str,
        how: &How,
        totals: &BTreeMap<String, i128>,
    ) -> Result<Option<Converted>, ()> {
        if rule.unit.is_some() && rule.unit.as_deref() != piece.line.get("pricing_unit") {
            return Err(());
        }
        let card = name.split('/').next().expect("a card");
        let card = self.facts.rate_cards.iter().find(|c| c.card_id == card).expect("a card");
        let is_money = is_banded(rule) || rule.method == "unit_price";
        if is_money && card.currency != piece.path[k].currency {
            return Err(());
        }
        let by_quantity = |quantity: i128, amount: i128| {
            Ok(Some((Price { base: quantity, amount: self.rounded(name, amount) }, "-".to_owned())))
        };
        match rule.method.as_str() {
            "zero" => return Ok(Some((Price { base: 0, amount: 0 }, "-".to_owned()))),
            "unit_price" => {
                let quantity = piece.quantity.ok_or(())?;
                return by_quantity(quantity, times(rule.value.ok_or(())?, quantity, ONE));
            }
            _ if is_banded(rule) => {
                let quantity = piece.quantity.ok_or(())?;
                let total = totals[&counter(piece, k, rule, name)];
                let paid = part(rule, quantity, total);
                self.meet(match paid {
                    Err(NoPart::Malformed) => "malformed bands",
                    Err(NoPart::Beyond) => "beyond the last band",
                    Ok(_) if total == 0 => "a total of nothing",
                    Ok(_) if total < 0 => "a total below nothing",
                    Ok(_) => "a total",
                });
                return by_quantity(quantity, paid.map_err(|_| ())?);
            }
            _ => {}
        }
        let billing = piece.line.get("billing_currency").expect("a currency").to_owned();
        let default = if rule.method == "discount_pct" { "list" } else { "cost" };
        let base = match how {
            How::AtList | How::ReportedAtList => "list",
            How::Billed | How::Reported => rule.base.as_deref().unwrap_or(default),
        };
        let (base, from) = match (base, k) {
            ("cost", _) => piece.cost.clone().ok_or(())?,
            ("list", _) | ("on_demand", 1) => (piece.list.ok_or(())?, billing),
            ("billed", 1) => (piece.billed, billing),
            ("contracted", 1) => (piece.contracted.ok_or(())?, billing),
            ("effective", 1) => (piece.effective, billing),
            _ => return Err(()),
        };
        let hundred = 100 * ONE;
        let value = rule.value.ok_or(());
        let (numerator, denominator) = match rule.method.as_str() {
            "markup_pct" => (hundred + value?, hundred),
            "margin_pct" => (hundred, hundred - value?),
            "discount_pct" => (hundred - value?, hundred),
            "pass_through" => (1, 1),
            _ => return Err(()),
        };
        // Whoever wants all of the price, or more, as a margin names no price.
        if denominator <= 0 {
            return Err(());
        }
        let Some((converted, rate)) = self.convert(piece, k, base, &from) else { return Ok(None) };
        let amount = self.rounded(name, times(converted, numerator, denominator));
        Ok(Some((Price { base, amount }, rate)))
    }

    /// As the version of a rule says.
    fn rounded(&self, name: &str, price: i128) -> i128 {
        let mut names = name.split('/');
        let (card, version) = (names.next().expect("a card"), names.next().expect("a version"));
        let versions = &self.facts.rate_card_versions;
        let held = versions.iter().find(|v| v.card_id == card && v.version.to_string() == version).expect("a version");
        let Some((mode, digits)) = held.rounding else { return price };
        let unit = 10_i128.pow(18 - u32::from(digits));
        let (down, rest) = (price.div_euclid(unit) * unit, price.rem_euclid(unit));
        let is_odd = price.div_euclid(unit) % 2 != 0;
        let up = match mode {
            _ if rest == 0 => false,
            Rounding::Down => price < 0,
            Rounding::Up => price > 0,
            Rounding::HalfEven => 2 * rest > unit || (2 * rest == unit && is_odd),
            Rounding::HalfUp => 2 * rest > unit || (2 * rest == unit && price > 0),
        };
        down + if up { unit } else { 0 }
    }
}

#[derive(Debug, Clone)]
enum Plan<'a> {
    Retain,
    Unrated,
    Pass(How),
    Rule(&'a RuleRow, String, How),
}

impl Plan<'_> {
    fn how(&self) -> Option<How> {
        match self {
            Self::Retain | Self::Unrated => None,
            Self::Pass(how) | Self::Rule(_, _, how) => Some(*how),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum How {
    Billed,
    AtList,
    Reported,
    ReportedAtList,
}

impl How {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Billed | Self::AtList => "billed",
            Self::Reported | Self::ReportedAtList => "reported",
        }
    }

    fn is_at_list(self) -> bool {
        matches!(self, Self::AtList | Self::ReportedAtList)
    }
}

fn counter(piece: &Piece<'_>, k: usize, rule: &RuleRow, name: &str) -> String {
    let (seller, buyer) = (&piece.path[k - 1].node_id, &piece.path[k].node_id);
    let scope = match rule.scope.as_str() {
        "subtree" => String::new(),
        "account" => {
            let get = |column: &str| piece.line.get(column).unwrap_or("-");
            format!("{}/{}/{}", get("provider_name"), get("billing_account_id"), get("sub_account_id"))
        }
        _ => piece.path.last().map(|node| node.node_id.clone()).unwrap_or_default(),
    };
    format!("{seller}>{buyer} {name} {} {scope}", rule.scope)
}
