//! What the function is asked for, and which charges can have to do with it.

use datafusion::error::Result;
use datafusion::functions::expr_fn::split_part;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, col, lit, not};
use datafusion::scalar::ScalarValue;

use super::arguments::{KIND, OBJECT, refused};
use crate::rating::{Category, Origin};
use crate::session::explain_charge::Explaining;
use crate::session::explain_charge::edges::{Edge, Sight};

/// The kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An account: the sub account, or the billing account of what has none.
    Account,
    /// An attribution rule, `OWNER/RULE`.
    Rule,
    /// A pool, `OWNER/POOL`.
    Pool,
    /// A rate card, `CARD`, a version of it, `CARD/VERSION`, or a rule, `CARD/VERSION/RULE`.
    Sale,
    /// A grant that credits were drawn on.
    Own,
    /// An exchange rate.
    FxRate,
    /// What a seller does with a category where no rule says so, `SELLER/CATEGORY`.
    ChargePolicy,
    /// A reservation or savings plan; the root's.
    Commitment,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Account,
        Self::Rule,
        Self::Pool,
        Self::Sale,
        Self::Own,
        Self::FxRate,
        Self::ChargePolicy,
        Self::Commitment,
    ];

    /// Its name: of the first five that of the step of `explain_charge`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Rule => "rule",
            Self::Pool => "pool",
            Self::Sale => "sale",
            Self::Own => "own",
            Self::FxRate => "fx_rate",
            Self::ChargePolicy => "charge_policy",
            Self::Commitment => "commitment",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) id: String,
}

fn is(column: &str, value: &str) -> Expr {
    col(column).eq(text(value))
}

fn text(value: impl Into<String>) -> Expr {
    lit(ScalarValue::Utf8View(Some(value.into())))
}

fn any(conditions: impl Iterator<Item = Expr>) -> Expr {
    conditions.reduce(Expr::or).unwrap_or_else(|| lit(false))
}

impl Object {
    /// Reads the comparisons of the arguments back.
    pub(super) fn by(filters: &[Expr]) -> Result<Self> {
        let (mut kind, mut id) = (None, None);
        filters.iter().for_each(|filter| read(filter, &mut kind, &mut id));
        let (Some(kind), Some(id)) = (kind, id) else {
            return Err(refused("42883", "explain_rule needs to know its arguments before it begins"));
        };
        let Some(known) = Kind::ALL.into_iter().find(|known| known.name() == kind) else {
            let names = Kind::ALL.map(Kind::name).join(", ");
            return Err(refused("22023", format!("explain_rule knows no kind \"{kind}\": it is one of {names}")));
        };
        let object = Self { kind: known, id };
        match object.mistake() {
            Some(wanted) => {
                let message = format!("\"{}\" names no {}: write {wanted}", object.id, known.name());
                Err(refused("22023", message))
            }
            None => Ok(object),
        }
    }

    /// How it should have been written, if it cannot name anything of its kind.
    fn mistake(&self) -> Option<&'static str> {
        let (_, rest) = self.id.split_once('/').unzip();
        match self.kind {
            Kind::Rule if rest.is_none() => Some("OWNER/RULE"),
            Kind::Pool if rest.is_none() => Some("OWNER/POOL"),
            Kind::ChargePolicy if !rest.is_some_and(|category| Category::NAMES.contains(&category)) => {
                Some("SELLER/CATEGORY, with a charge category")
            }
            Kind::Sale if rest.is_some_and(|rest| rest.split('/').next().is_none_or(|v| v.parse::<i64>().is_err())) => {
                Some("CARD, CARD/VERSION or CARD/VERSION/RULE")
            }
            _ => None,
        }
    }

    /// Whose it is, and what that one calls it, of what an owner names.
    pub(super) fn owned(&self) -> Option<(&str, &str)> {
        match self.kind {
            Kind::Rule | Kind::Pool | Kind::ChargePolicy => self.id.split_once('/'),
            Kind::Account | Kind::Sale | Kind::Own | Kind::FxRate | Kind::Commitment => None,
        }
    }

    /// Whether it had to do with whose a charge is: that is not stored.
    pub(super) fn is_cause(&self) -> bool {
        matches!(self.kind, Kind::Account | Kind::Rule | Kind::Pool)
    }

    /// A rule's name, or the beginning of the names of the rules that a card or version has.
    fn rules(&self) -> (String, bool) {
        let is_whole = self.id.matches('/').count() >= 2;
        (if is_whole { self.id.clone() } else { format!("{}/", self.id) }, is_whole)
    }

    /// Whether it had to do with an edge of a charge that it had to do with.
    pub(super) fn is_on(&self, edge: &Edge<'_>) -> bool {
        match self.kind {
            Kind::Account | Kind::Rule | Kind::Pool | Kind::Own | Kind::Commitment => true,
            Kind::Sale => {
                let (name, is_whole) = self.rules();
                edge.rule.is_some_and(|rule| if is_whole { rule == name } else { rule.starts_with(&name) })
            }
            Kind::FxRate => edge.fx_rate_id == Some(self.id.as_str()),
            Kind::ChargePolicy => {
                edge.is_by_policy() && self.owned().is_some_and(|(seller, _)| edge.seller == Some(seller))
            }
        }
    }

    /// Which charges it can have to do with, by columns that the caller is shown: what is hidden from it decides nothing, so that
    /// neither does how long it takes.
    pub(super) fn filter(&self, explaining: &Explaining, deepest: usize) -> Expr {
        let (id, sight) = (self.id.as_str(), &explaining.sight);
        let is_usage = || is("origin", Origin::Usage.name());
        match self.kind {
            // A share of a pool need not show of which account it is.
            Kind::Account => is_usage()
                .and(is("sub_account_id", id).or(is("billing_account_id", id)).or(col("sub_account_id").is_null())),
            Kind::Rule | Kind::Pool => is_usage(),
            Kind::Own => is("origin", Origin::Credit.name()).and(is("sku_id", id)),
            Kind::Commitment if explaining.caller.provider_side => is("commitment_discount_id", id),
            Kind::Commitment => lit(false),
            Kind::Sale => {
                let (name, is_whole) = self.rules();
                let prices = |place: usize| {
                    let rule = || col(format!("rule_{place}"));
                    // The character after / is 0: what lies between begins with the name.
                    let end = format!("{}0", name.trim_end_matches('/'));
                    let is_named = if is_whole {
                        rule().eq(text(name.as_str()))
                    } else {
                        rule().gt_eq(text(name.as_str())).and(rule().lt(text(end)))
                    };
                    shown(sight, place, is_named)
                };
                any((1..=deepest).filter(|_| sight.sees_sales()).map(prices))
            }
            Kind::FxRate => {
                let last = if sight.sees_sales() { deepest } else { 0 };
                any((0..=last).map(|place| shown(sight, place, is(&format!("fx_rate_{place}"), id))))
            }
            Kind::ChargePolicy => {
                let (seller, category) = self.owned().unwrap_or_default();
                let sells = |place: usize| {
                    let by_policy = seller_at(place).eq(text(seller)).and(col(format!("rule_{place}")).is_null());
                    shown(sight, place, by_policy)
                };
                is("charge_category", category).and(any((1..=deepest).filter(|_| sight.sees_sales()).map(sells)))
            }
        }
    }
}

/// Who sells on the edge so many places below the caller.
fn seller_at(place: usize) -> Expr {
    split_part(col("node_path"), lit("/"), lit(i64::try_from(place).unwrap_or(i64::MAX)))
}

/// The condition on an edge, where its seller shows it.
fn shown(sight: &Sight, place: usize, condition: Expr) -> Expr {
    let hidden: Vec<Expr> = sight.undisclosed().map(text).collect();
    if place < 2 || hidden.is_empty() {
        return condition;
    }
    condition.and(not(seller_at(place).in_list(hidden, false)))
}

fn read(filter: &Expr, kind: &mut Option<String>, id: &mut Option<String>) {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return };
    if *op == Operator::And {
        read(left, kind, id);
        read(right, kind, id);
    }
    let (name, value) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(ScalarValue::Utf8View(Some(value)), _))
        | (Expr::Literal(ScalarValue::Utf8View(Some(value)), _), Expr::Column(column)) => (column.name(), value),
        _ => return,
    };
    if *op != Operator::Eq {
        return;
    }
    let place = match name {
        KIND => kind,
        OBJECT => id,
        _ => return,
    };
    // The arguments come last. What a statement says of these columns besides is true of all rows or of none.
    *place = Some(value.clone());
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::col;

    use super::{Object, text};

    fn asked(kind: &str, id: &str) -> Result<Object, String> {
        let filters = [col("kind").eq(text(kind)).and(text(id).eq(col("object_id")))];
        Object::by(&filters).map_err(|error| error.to_string())
    }

    #[test]
    fn objects_are_named_as_their_kind_is() {
        for (kind, id) in [
            ("account", "a/b"),
            ("rule", "north/teams/red"),
            ("pool", "north/network"),
            ("sale", "retail"),
            ("sale", "retail/2"),
            ("sale", "retail/2/any/thing"),
            ("own", "C-1"),
            ("fx_rate", "eur-1"),
            ("charge_policy", "north/Tax"),
            ("commitment", "arn:aws:sp/1"),
        ] {
            assert!(asked(kind, id).is_ok(), "{kind} {id}");
        }
        for (kind, id) in [
            ("rules", "north/teams"),
            ("line", "1"),
            ("rule", "teams"),
            ("pool", "network"),
            ("sale", "retail/all"),
            ("sale", "retail/"),
            ("charge_policy", "north"),
            ("charge_policy", "north/Taxes"),
        ] {
            assert!(asked(kind, id).is_err(), "{kind} {id}");
        }
    }
}
