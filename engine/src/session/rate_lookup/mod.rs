//! `rate_lookup(node, at, ...)`: what the edge to a node would do with a charge, and by which rule.
//!
//! ```sql
//! select card_id, rule_id, method, value, price, currency
//!   from rate_lookup('acme', timestamptz '2026-10-05 00:00:00Z', sku_id => 'M1', cost => 100);
//! ```
//!
//! One row where the caller may know the edge, none otherwise: what is hidden and what is not
//! there read the same. The rule is found by the rate book that prices usage, at the statement's
//! snapshot; what the open transaction has not committed does not count. The relation is planned
//! as one value of a single row, so that `$1` may stand for an argument; columns of other relations may not.

mod arguments;
mod columns;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, TimestampMicrosecondType};
use chrono::DateTime;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::functions::AtMoment;
use super::moment::{Moment, Shared};
use crate::rating::{Dimension, EdgeTerms, Outcome, Question, RateBook};
use crate::security::SessionError;
use crate::security::policy::{TermsShown, terms_shown};

/// Gives the session the function, unless its role is told no terms at all.
pub(super) fn register(state: &mut SessionState, shared: &Arc<Shared>) -> Result<()> {
    match terms_shown(shared.principal.role) {
        TermsShown::Rules | TermsShown::PublishedPrices => {
            let types = arguments::PARAMETERS.iter().map(arguments::Parameter::data_type).collect();
            let signature = Signature::new(TypeSignature::Exact(types), Volatility::Stable);
            let function = Arc::new(ScalarUDF::from(RateLookup(AtMoment::new(shared, signature))));
            state.register_relation_planner(Arc::new(arguments::Planner::new(function)))
        }
        TermsShown::Nothing => Ok(()),
    }
}

/// An edge as the caller may know it.
#[derive(Debug)]
pub(super) struct Shown {
    seller: String,
    buyer: String,
    sight: Sight,
    terms: EdgeTerms,
}

/// How much of an edge the caller may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// It sells there, or somebody below it does.
    Rules,
    /// It buys there: prices that its seller publishes, and nothing that a price is made from.
    PublishedPrice,
}

impl Sight {
    /// What the caller may know of the last edge of a path, as the path was at the time asked for.
    fn of(shared: &Shared, moment: &Moment, path: &[&str]) -> Option<Self> {
        let [above @ .., seller, buyer] = path else { return None };
        if shared.fixed.is_some() {
            return Some(Self::Rules);
        }
        let own = moment.scope.node_id.as_str();
        let sells = *seller == own;
        // Cards are shown to those who stand above their seller now, as in ref.rate_rules; and this edge to those who
        // stood above it then.
        let is_above = || above.contains(&own) && moment.shows_sales_of(seller, &super::write::now());
        match terms_shown(shared.principal.role) {
            TermsShown::Rules if sells || is_above() => Some(Self::Rules),
            TermsShown::Rules | TermsShown::PublishedPrices if *buyer == own => Some(Self::PublishedPrice),
            TermsShown::Rules | TermsShown::PublishedPrices | TermsShown::Nothing => None,
        }
    }
}

impl Shown {
    fn find(shared: &Shared, moment: &Moment, book: &Arc<RateBook>, asked: &Asked<'_>) -> Result<Option<Self>> {
        let tree = book.tree();
        let Some(buyer) = tree.node(asked.node) else { return Ok(None) };
        let Some(path) = tree.path(buyer, asked.at) else { return Ok(None) };
        let path: Vec<&str> = path.into_iter().map(|node| tree.name(node)).collect();
        let Some(sight) = Sight::of(shared, moment, &path) else { return Ok(None) };
        let terms = book.lookup(&asked.question(buyer)).map_err(|_| {
            let error =
                SessionError::new("22003", "numeric value out of range").hint("the price has more than 38 digits");
            DataFusionError::External(Box::new(error))
        })?;
        let Some(terms) = terms.filter(|terms| sight == Sight::Rules || is_published(terms)) else { return Ok(None) };
        let seller = path.iter().rev().nth(1).map(|id| (*id).to_owned()).unwrap_or_default();
        Ok(Some(Self { seller, buyer: asked.node.to_owned(), sight, terms }))
    }

    /// What only those who sell, or stand above, are told.
    fn to_seller<T>(&self, of: impl FnOnce(&EdgeTerms) -> Option<T>) -> Option<T> {
        match self.sight {
            Sight::Rules => of(&self.terms),
            Sight::PublishedPrice => None,
        }
    }
}

/// Whether the buyer is told what it pays for a unit: not where the price is a share of what its seller pays.
fn is_published(terms: &EdgeTerms) -> bool {
    let is_due = match terms.outcome {
        Outcome::Billed | Outcome::Reported => true,
        Outcome::Retained | Outcome::Unrated => false,
    };
    is_due && terms.rule.as_ref().is_some_and(|rule| rule.has_unit_prices)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RateLookup(AtMoment);

/// The arguments of one row.
struct Asked<'a> {
    row: usize,
    arrays: &'a [ArrayRef],
    node: &'a str,
    at: i64,
}

impl<'a> Asked<'a> {
    /// None where the node or the instant is null.
    fn at_row(arrays: &'a [ArrayRef], row: usize) -> Option<Self> {
        let [nodes, instants, ..] = arrays else { return None };
        let instants = instants.as_primitive_opt::<TimestampMicrosecondType>()?;
        let node = nodes.as_string_view_opt().filter(|nodes| nodes.is_valid(row))?.value(row);
        let at = instants.is_valid(row).then(|| instants.value(row))?;
        DateTime::from_timestamp_micros(at)?;
        Some(Self { row, arrays, node, at })
    }

    fn argument(&self, name: &str) -> Option<&'a ArrayRef> {
        let at = arguments::PARAMETERS.iter().position(|parameter| parameter.name == name)?;
        self.arrays.get(at).filter(|array| array.is_valid(self.row))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.argument(name).and_then(|array| array.as_string_view_opt()).map(|texts| texts.value(self.row))
    }

    fn amount(&self, name: &str) -> Option<i128> {
        let amounts = self.argument(name)?.as_primitive_opt::<Decimal128Type>()?;
        Some(amounts.value(self.row))
    }

    fn question(&self, buyer: usize) -> Question<'a> {
        let texts =
            Dimension::ALL.into_iter().filter_map(|dimension| Some((dimension, self.text(dimension.column())?)));
        Question {
            buyer,
            at: self.at,
            texts: texts.collect(),
            marketplace: self
                .argument("marketplace")
                .and_then(|array| array.as_boolean_opt())
                .is_some_and(|flags| flags.value(self.row)),
            tags: self.text("tags"),
            unit: self.text("unit"),
            is_correction: self.text("charge_class") == Some("Correction"),
            cost: self.amount("cost"),
            list_cost: self.amount("list_cost"),
            quantity: self.amount("quantity"),
            currency: self.text("currency"),
        }
    }
}

impl ScalarUDFImpl for RateLookup {
    fn name(&self) -> &str {
        arguments::NAME
    }

    fn signature(&self) -> &Signature {
        &self.0.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(columns::fields()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let shared = self.0.shared();
        let moment = shared.moment();
        let book =
            shared.core.book(moment.snapshot).map_err(|error| DataFusionError::External(Box::new(error.shown())))?;
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let shown = (0..args.number_rows)
            .map(|row| match Asked::at_row(&arrays, row) {
                Some(asked) => Shown::find(shared, &moment, &book, &asked),
                None => Ok(None),
            })
            .collect::<Result<Vec<Option<Shown>>>>()?;
        let nulls: NullBuffer = shown.iter().map(Option::is_some).collect();
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(
            columns::fields(),
            columns::arrays(&shown)?,
            Some(nulls),
        )?)))
    }
}
