//! What one edge would do with a charge: the rule that speaks there and the price it gives.
//!
//! A question becomes a portion and goes through the code that prices usage, so that the answer
//! is what rating would do at the book's snapshot.

use std::sync::Arc;

use ratehouse_udfs::decimal::ONE;

use super::book::RateBook;
use super::cards::Held;
use super::counters::BandTotals;
use super::facts::RuleRow;
use super::lanes::Lanes;
use super::method::Method;
use super::outcome::{Outcome, Reason};
use super::portion::{Amounts, Commitment, Portion, Step};
use super::price::{Pricer, Totals};
use super::rules::Values;
use super::run::RatingRun;
use super::scene::{Amount, Found, Scene};
use super::span::{DAY_US, Span};
use super::tags;
use super::texts::NULL;
use super::tree::NodeIndex;
use super::vocabulary::{Category, DIMENSIONS, Dimension, MARKETPLACE_NO, MARKETPLACE_YES};

/// A charge that somebody would buy at an instant.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    /// Who buys it, from the node above.
    pub(crate) buyer: NodeIndex,
    /// When it is used.
    pub(crate) at: i64,
    /// What rules look at: texts of all dimensions but marketplace and tags. Without a charge
    /// category it is `Usage`.
    pub(crate) texts: Vec<(Dimension, &'a str)>,
    /// Whether it was sold on the provider's marketplace.
    pub(crate) marketplace: bool,
    /// A JSON object of tags.
    pub(crate) tags: Option<&'a str>,
    /// Pricing unit.
    pub(crate) unit: Option<&'a str>,
    /// Whether it corrects another charge.
    pub(crate) is_correction: bool,
    /// What the seller pays for it. On the root's edges it stands for every cost of the provider's.
    pub(crate) cost: Option<i128>,
    /// Its cost at the provider's list price.
    pub(crate) list_cost: Option<i128>,
    /// Pricing quantity; bands take it for the period's total.
    pub(crate) quantity: Option<i128>,
    /// Currency of both costs; none is the seller's.
    pub(crate) currency: Option<&'a str>,
}

/// What an edge does with a charge.
#[derive(Debug, Clone)]
pub(crate) struct EdgeTerms {
    /// Billed, retained, reported or unrated.
    pub(crate) outcome: Outcome,
    /// Why it is unrated.
    pub(crate) reason: Option<Reason>,
    /// The rule that prices it, or that fails to.
    pub(crate) rule: Option<AppliedRule>,
    /// What the buyer pays; none where the question lacks the amount that this is computed from.
    pub(crate) price: Option<i128>,
    /// The buyer's currency.
    pub(crate) currency: String,
    /// The exchange rate that converted the cost, if one did.
    pub(crate) fx_rate_id: Option<String>,
}

/// A rule in the card version that is in force.
#[derive(Debug, Clone)]
pub(crate) struct AppliedRule {
    pub(crate) card_id: String,
    pub(crate) version: i64,
    /// When the version applies.
    pub(crate) valid: Span,
    /// Whether the card is the seller's for all buyers, which speaks only where the buyer's own does not.
    pub(crate) is_default_card: bool,
    /// What the rule looks at, the most specific first.
    pub(crate) dimensions: Vec<Dimension>,
    /// What a percentage applies to, the method's own default included.
    pub(crate) base: Option<&'static str>,
    /// Whether it prices units, whatever the seller pays for them.
    pub(crate) has_unit_prices: bool,
    pub(crate) row: RuleRow,
}

impl RateBook {
    /// What the edge to the question's buyer does with it; none where the buyer has no seller then.
    ///
    /// # Errors
    /// When an amount has more than 38 digits.
    pub(crate) fn lookup(self: &Arc<Self>, question: &Question<'_>) -> Result<Option<EdgeTerms>, PriceOverflow> {
        let lookup = Lookup { run: RatingRun::new(Arc::clone(self), BandTotals::default()), question };
        let amounts = lookup.amounts();
        let Some((mut terms, step)) = lookup.ask(amounts)? else { return Ok(None) };
        if let Some(Reason::NoBase | Reason::NoQuantity) = step.reason {
            // The question may lack the amount: then the terms are those of one of everything, without the price.
            let or_one = |amount: Option<i128>| amount.or(Some(ONE));
            let whole = Amounts {
                billed: or_one(amounts.billed),
                contracted: or_one(amounts.contracted),
                effective: or_one(amounts.effective),
                list: or_one(amounts.list),
                quantity: or_one(amounts.quantity),
            };
            if let Some((of_one, _)) = lookup.ask(whole)? {
                terms = EdgeTerms { price: None, ..of_one };
            }
        }
        Ok(Some(terms))
    }
}

/// The price does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PriceOverflow;

struct Lookup<'q> {
    run: Arc<RatingRun>,
    question: &'q Question<'q>,
}

impl Lookup<'_> {
    fn amounts(&self) -> Amounts {
        let Question { cost, list_cost, quantity, .. } = *self.question;
        Amounts { billed: cost, contracted: cost, effective: cost, list: list_cost, quantity }
    }

    fn ask(&self, amounts: Amounts) -> Result<Option<(EdgeTerms, Step)>, PriceOverflow> {
        let (run, question, book) = (&self.run, self.question, &*self.run.book);
        let mut lanes = Lanes::new();
        let (lane, _) = lanes.at(book, &run.terms, &run.places, Some(question.buyer), question.at);
        let lane = lanes.get(lane);
        let Some(edge) = lane.edges.last() else { return Ok(None) };
        let numbers = self.numbers();
        let tags = self.tags();
        let currency = match question.currency {
            Some(text) => run.terms.number(text),
            None if edge.seller_currency != NULL => edge.seller_currency,
            None => self.root_currency(),
        };
        let provider = question.texts.iter().find(|(dimension, _)| *dimension == Dimension::Provider);
        let provider = provider.map_or(NULL, |(_, text)| run.values.number(text));
        let portion = Portion {
            values: Values {
                numbers: &numbers,
                category: Category::from_number(numbers[Dimension::ChargeCategory.at()]),
                tags: &tags,
            },
            unit: question.unit.map_or(0, |unit| book.vocabulary.units.number(unit)),
            is_correction: question.is_correction,
            commitment: Commitment::None,
            commitment_id: 0,
            currency,
            amounts,
            start: question.at,
            // Only names the counter, which counts nothing else.
            period: i32::try_from(question.at.div_euclid(DAY_US)).unwrap_or_default(),
            account: [provider, NULL, NULL],
            slice: 0,
        };
        let cost = Amount { value: amounts.effective, currency };
        let scene = Scene { book, lane, edge, at: lane.edges.len() - 1, portion: &portion, cost };
        let step = Pricer::new(run, Totals::Alone).on_edge(&scene).map_err(|_| PriceOverflow)?;
        let speaks = step.rule != NULL || step.reason.is_some();
        let terms = EdgeTerms {
            outcome: step.outcome,
            reason: step.reason,
            rule: if speaks { self.rule(&scene) } else { None },
            price: step.price,
            currency: run.terms.text(edge.currency).as_ref().to_owned(),
            fx_rate_id: (step.fx_rate != NULL).then(|| run.terms.text(step.fx_rate).as_ref().to_owned()),
        };
        Ok(Some((terms, step)))
    }

    /// The question's values as rules see them.
    fn numbers(&self) -> [u32; DIMENSIONS] {
        let vocabulary = &self.run.book.vocabulary;
        let number = |dimension: Dimension, text: &str| vocabulary.words(dimension).number(text);
        let mut numbers = [0; DIMENSIONS];
        numbers[Dimension::ChargeCategory.at()] = number(Dimension::ChargeCategory, Category::NAMES[0]);
        for (dimension, text) in &self.question.texts {
            numbers[dimension.at()] = number(*dimension, text);
        }
        let marketplace = if self.question.marketplace { MARKETPLACE_YES } else { MARKETPLACE_NO };
        numbers[Dimension::Marketplace.at()] = marketplace;
        numbers
    }

    fn tags(&self) -> Vec<(u32, u32)> {
        let vocabulary = &self.run.book.vocabulary;
        let (keys, values) = (vocabulary.words(Dimension::TagKey), vocabulary.words(Dimension::TagValue));
        let mut pairs = Vec::new();
        tags::each_tag(self.question.tags.unwrap_or_default(), &mut |key, value| {
            let key = keys.number(key);
            if key != 0 {
                pairs.push((key, values.number(value)));
            }
        });
        pairs
    }

    fn root_currency(&self) -> u32 {
        let tree = &self.run.book.tree;
        let (root, _) = tree.stretch(tree.root(), self.question.at);
        let row = root.and_then(|stretch| stretch.rows.first()).map(|row| tree.row(*row));
        row.map_or(NULL, |row| self.run.terms.number(&row.currency))
    }

    fn rule(&self, scene: &Scene<'_>) -> Option<AppliedRule> {
        let Found::Rule { version, rule, .. } = scene.find_rule() else { return None };
        let cards = &self.run.book.cards;
        let held = &cards.versions[version];
        let [(own, _), _] = scene.edge.cards;
        Some(AppliedRule {
            card_id: held.card_id.clone(),
            version: held.version,
            valid: held.valid,
            is_default_card: own != Held::Version(version),
            dimensions: rule.dimensions().collect(),
            base: match &rule.method {
                Method::Factor { base, .. } => Some(base.name()),
                Method::UnitPrice(_) | Method::Bands { .. } | Method::Zero | Method::Broken => None,
            },
            has_unit_prices: rule.method.is_in_money(),
            row: cards.rule_row(version, &rule.rule_id)?.clone(),
        })
    }
}
