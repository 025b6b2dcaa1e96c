//! How the stored tables become the relations of a session: which columns, under which names,
//! computed from which stored ones.
//!
//! With k the caller's position in a row's path, `cost` is `price_k` and `price` is
//! `price_{k+1}`. The expressions are evaluated inside the scoped scan: no session schema has a
//! `price_k` column.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::functions::expr_fn::{character_length, coalesce, replace, split_part, substr};
use datafusion::logical_expr::{Expr, ScalarUDF, cast, col, lit, not, when};
use datafusion::scalar::ScalarValue;

use super::policy::MoneyColumns;
use super::scope::Scope;
use crate::lake::schema::{self, LakeTable, MAX_POSITIONS};

/// What says whose resource it is.
const DISCLOSED: [&str; 5] = ["sub_account_id", "resource_id", "description", "tags", "rule_tags"];

/// One column of a session relation.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its field, with comment and presentation in the metadata.
    pub field: FieldRef,
    /// How it is computed from the stored columns.
    pub value: Expr,
}

/// The column's comment in the field metadata.
pub const COMMENT: &str = "comment";
/// The Postgres type that a column is shown as, where it is not the natural one.
pub const PG_TYPE: &str = "pg_type";
/// How many digits a number shows.
pub const PG_SCALE: &str = "pg_scale";

/// A field with its comment.
pub fn commented(name: &str, data_type: DataType, comment: &str) -> Field {
    Field::new(name, data_type, true).with_metadata([(COMMENT.to_owned(), comment.to_owned())].into())
}

fn with(field: Field, key: &str, value: &str) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(key.to_owned(), value.to_owned());
    field.with_metadata(metadata)
}

fn text(name: &str, comment: &str, value: Expr) -> Column {
    Column { field: Arc::new(commented(name, DataType::Utf8View, comment)), value }
}

fn json(name: &str, comment: &str, value: Expr) -> Column {
    Column { field: Arc::new(with(commented(name, DataType::Utf8View, comment), PG_TYPE, "json")), value }
}

fn money(name: &str, comment: &str, value: Expr) -> Column {
    Column { field: Arc::new(with(commented(name, schema::money(), comment), PG_SCALE, "trim:2")), value }
}

fn quantity(name: &str, comment: &str, value: Expr) -> Column {
    Column { field: Arc::new(commented(name, schema::money(), comment)), value }
}

fn typed(name: &str, data_type: DataType, comment: &str, value: Expr) -> Column {
    Column { field: Arc::new(commented(name, data_type, comment)), value }
}

/// The schema of a list of columns.
pub fn schema_of(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|c| Arc::clone(&c.field)).collect::<Vec<_>>()))
}

/// Rows whose path is the prefix or below it.
///
/// Texts compare byte by byte and `0` is the character after `/`: what lies between begins with the prefix and `/`. Said as
/// comparisons, row groups can be skipped by it.
pub(crate) fn under(prefix: &str) -> Expr {
    let path = || col("node_path");
    let below = path().gt_eq(lit(format!("{prefix}/"))).and(path().lt(lit(format!("{prefix}0"))));
    path().eq(lit(prefix)).or(below)
}

fn no_rows() -> Expr {
    lit(false)
}

/// The value of `at(prefix, k)` for the caller's path and position in each row's path.
fn by_prefix(scope: &Scope, at: impl Fn(&str, usize) -> Expr) -> Expr {
    let mut groups: Vec<(Expr, Expr)> = Vec::new();
    for (prefix, position) in &scope.prefixes {
        let (value, here) = (at(prefix, *position), under(prefix));
        match groups.iter_mut().find(|(held, _)| *held == value) {
            Some((_, any)) => *any = any.clone().or(here),
            None => groups.push((value, here)),
        }
    }
    match groups.as_slice() {
        [] => at("", 0),
        [(only, _)] => only.clone(),
        [(first, condition), rest @ ..] => {
            let mut case = when(condition.clone(), first.clone());
            for (value, condition) in rest {
                case = case.when(condition.clone(), value.clone());
            }
            // Every row in scope lies under one of the prefixes.
            case.end().unwrap_or_else(|_| first.clone())
        }
    }
}

/// The value of `at(k)` for the caller's position k in each row's path.
fn own(scope: &Scope, at: impl Fn(usize) -> Expr) -> Expr {
    by_prefix(scope, |_, k| at(k))
}

/// The path from the caller down: who is above it, and how many, is not its business.
fn path_below(prefix: &str) -> Expr {
    match prefix.rsplit_once('/') {
        // Characters count from 1, and the / is left out too.
        Some((above, _)) => substr(col("node_path"), lit(count(above.chars().count() + 2))),
        None => col("node_path"),
    }
}

/// The first of `continues` from which a part of a cut row continues the one before it for the caller.
pub fn continues_from(scope: &Scope) -> Expr {
    let depth = || {
        let path = || col("node_path");
        character_length(path()) - character_length(replace(path(), lit("/"), lit("")))
    };
    depth() + lit(1) - own(scope, |k| lit(count32(k)))
}

fn position(stored: &str, k: usize, data_type: &DataType) -> Expr {
    if k < MAX_POSITIONS {
        col(format!("{stored}_{k}"))
    } else {
        lit(ScalarValue::try_from(data_type).unwrap_or(ScalarValue::Null))
    }
}

/// What was sold down to position `k`, or is sold from there by whoever bills it by itself.
fn reaches(k: usize, begins_at_seller: bool) -> Expr {
    let bought = col(format!("outcome_{k}")).in_list(vec![lit("billed"), lit("reported")], false);
    if !begins_at_seller || k + 1 == MAX_POSITIONS {
        return bought;
    }
    let begins = col(format!("outcome_{k}")).is_null().and(col(format!("outcome_{}", k + 1)).is_not_null());
    bought.or(begins)
}

/// The rows that belong to the caller: on its path, and sold down to it or by it.
pub fn row_filter(scope: &Scope, begins_at_seller: bool) -> Option<Expr> {
    if scope.is_root && scope.prefixes.len() == 1 {
        return None;
    }
    let mut any = no_rows();
    for (prefix, k) in &scope.prefixes {
        let mut here = under(prefix);
        if *k > 0 {
            here = here.and(reaches(*k, begins_at_seller));
        }
        any = any.or(here);
    }
    Some(any)
}

/// What a relation of charges is made for.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its scope.
    pub scope: Arc<Scope>,
    /// Its money columns.
    pub money: MoneyColumns,
    /// Whether it has the root's columns.
    pub provider_side: bool,
    /// Makes charge ids under the warehouse's secret.
    pub charge_id: Arc<ScalarUDF>,
}

impl Caller {
    fn money_columns(&self) -> Vec<Column> {
        let scope = &self.scope;
        let text_type = DataType::Utf8View;
        let cost = || own(scope, |k| position("price", k, &schema::money()));
        let cost_currency = || own(scope, |k| position("currency", k, &text_type));
        let price = || own(scope, |k| position("price", k + 1, &schema::money()));
        let price_currency = || own(scope, |k| position("currency", k + 1, &text_type));
        let mut columns = vec![
            money(
                "cost",
                "What the caller's node pays for it, unrounded, in cost_currency; null for what it, or a node below, bills by itself.",
                cost(),
            ),
            text("cost_currency", "Currency of cost.", cost_currency()),
        ];
        if self.money == MoneyColumns::CostPriceMargin {
            let margin = when(cost_currency().eq(price_currency()), price() - cost())
                .when(cost_currency().is_null(), price())
                .end()
                .unwrap_or_else(|_| lit(ScalarValue::Null));
            columns.extend([
                money("price", "What the caller's child on the row's path pays the caller, unrounded; null for what the caller consumes itself.", price()),
                text("price_currency", "Currency of price.", price_currency()),
                money("margin", "price - cost where both are in one currency, else null; price for what the caller bills by itself.", cast(margin, schema::money())),
            ]);
        }
        columns
    }

    fn dimensions(&self, names: &[&str]) -> Vec<Column> {
        dimensions(names, &by_prefix(&self.scope, |prefix, _| path_below(prefix)))
    }

    /// `charges` or one of its roll-ups. Of rows that may be shares of pools the caller sees whose resource it is only where the
    /// pool's owner discloses that; of other rows these columns are as they are stored, which is faster to look up.
    pub fn own(&self, table: LakeTable, has_shares: bool) -> Vec<Column> {
        let mut columns = if table == LakeTable::Charges { self.charges() } else { self.rollup(table) };
        for column in columns.iter_mut().filter(|_| has_shares) {
            let name = column.field.name().as_str();
            if DISCLOSED.contains(&name) {
                column.value = self.disclosed(name);
            }
        }
        columns
    }

    /// A column that the owner of a pool need not show to those who get a share of it.
    fn disclosed(&self, name: &str) -> Expr {
        let hidden = || lit(ScalarValue::Utf8View(None));
        own(&self.scope, |k| match k {
            0 => col(name),
            _ => when(col("disclosed_to").lt(lit(count32(k))), hidden())
                .otherwise(col(name))
                .unwrap_or_else(|_| hidden()),
        })
    }

    /// A column about a pool, for its owner and those above it.
    fn of_pool(&self, name: &str) -> Expr {
        let none = || lit(ScalarValue::Utf8View(None));
        own(&self.scope, |k| match k {
            0 => col(name),
            _ => when(col("pool_depth").gt_eq(lit(count32(k))), col(name)).otherwise(none()).unwrap_or_else(|_| none()),
        })
    }

    fn outcome(&self) -> Column {
        let text_type = DataType::Utf8View;
        let selling = own(&self.scope, |k| position("outcome", k + 1, &text_type));
        let buying = own(&self.scope, |k| position("outcome", k, &text_type));
        let value = match self.money {
            MoneyColumns::CostPriceMargin => coalesce(vec![selling, buying]),
            MoneyColumns::Cost => buying,
        };
        text(
            "outcome",
            "billed, retained, reported or unrated: on the caller's own sale, or on its purchase where it sells nothing.",
            value,
        )
    }

    fn fx_rate(&self) -> Column {
        let text_type = DataType::Utf8View;
        let selling = own(&self.scope, |k| position("fx_rate", k + 1, &text_type));
        let buying = own(&self.scope, |k| position("fx_rate", k, &text_type));
        let value = match self.money {
            MoneyColumns::CostPriceMargin => coalesce(vec![selling, buying]),
            MoneyColumns::Cost => buying,
        };
        text("fx_rate_id", "The exchange rate that converted the seller's cost, if one did.", value)
    }

    fn charge_id(&self) -> Expr {
        self.charge_id.call(vec![
            col("provider_name"),
            col("billing_account_id"),
            col("billing_period"),
            col("line_key"),
            col("line_no"),
            col("charge_period_start"),
        ])
    }

    fn charges(&self) -> Vec<Column> {
        let mut columns = vec![
            text("charge_id", "Identifies the charge; a keyed hash that says nothing else.", self.charge_id()),
            text("origin", "usage, licence, labour, fee, minimum, shortfall, credit or adjustment.", col("origin")),
            typed(
                "billing_period",
                DataType::Date32,
                "First day of the provider's billing period.",
                col("billing_period"),
            ),
            typed(
                "charge_period_start",
                schema::instant(),
                "From this instant (inclusive), UTC.",
                col("charge_period_start"),
            ),
            typed(
                "charge_period_end",
                schema::instant(),
                "Until this instant (exclusive), UTC.",
                col("charge_period_end"),
            ),
            typed(
                "charge_date",
                DataType::Date32,
                "The day on which the charge begins for its owner, in the owner's time zone.",
                col("charge_date"),
            ),
        ];
        columns.extend(self.dimensions(&[
            "provider_name",
            "billing_account_id",
            "sub_account_id",
            "node_id",
            "node_path",
            "service_category",
            "service_name",
            "sku_id",
            "region_id",
            "resource_id",
            "resource_type",
            "charge_category",
            "charge_class",
            "pricing_category",
            "marketplace",
            "description",
        ]));
        columns.extend([
            quantity("quantity", "Pricing quantity, in unit.", col("quantity")),
            text("unit", "Pricing unit.", col("unit")),
            money("list_cost", "Cost at the provider's public list price, in list_currency.", col("list_cost")),
            list_currency(),
        ]);
        columns.extend(self.money_columns());
        columns.extend([self.fx_rate(), fate(), self.outcome()]);
        columns.extend([
            text(
                "pool_id",
                "The pool that it is a share of, to the pool's owner and those above.",
                self.of_pool("pool_id"),
            ),
            text(
                "driver",
                "What the pool was shared out by, to the pool's owner and those above.",
                self.of_pool("driver"),
            ),
            json("tags", "The resource's tags, a JSON object of texts.", col("tags")),
        ]);
        if self.provider_side {
            columns.extend([
                typed("delivery_id", DataType::Int64, "The delivery it came with.", col("delivery_id")),
                typed("source_row", DataType::Int64, "Its row in the delivered file.", col("source_row")),
                money("effective_cost", "The provider's amortised cost.", col("effective_cost")),
                text(
                    "commitment_discount_id",
                    "The reservation or savings plan that covered it, or that it bought.",
                    col("commitment_discount_id"),
                ),
                text("commitment_discount_status", "Used, Unused, or null.", col("commitment_discount_status")),
                text(
                    "commitment_policy",
                    "The commitment's terms as ref.commitment_policies has them, benefit/purchase/unused; null for what is no commitment's.",
                    col("commitment_policy"),
                ),
                text(
                    "commitment_owner_node_id",
                    "The owner that the commitment's policy names, if it names one.",
                    col("commitment_owner_node_id"),
                ),
                typed(
                    "rated_snapshot",
                    DataType::Int64,
                    "The snapshot whose reference data priced it.",
                    col("rated_snapshot"),
                ),
            ]);
        }
        columns
    }

    fn rollup(&self, table: LakeTable) -> Vec<Column> {
        let names: &[&str] =
            if table == LakeTable::ChargesDaily { &schema::DAILY_DIMENSIONS } else { &schema::MONTHLY_DIMENSIONS };
        // To whom a resource is disclosed divides the rows, and says nothing to those who see them.
        let names: Vec<&str> = names.iter().copied().filter(|name| *name != "disclosed_to").collect();
        let mut columns = self.dimensions(&names);
        columns.extend([
            quantity("quantity", "Sum of pricing quantities.", col("quantity")),
            money("list_cost", "Sum at the provider's public list price, in list_currency.", col("list_cost")),
            list_currency(),
        ]);
        columns.extend(self.money_columns());
        columns.extend([self.fx_rate(), self.outcome()]);
        columns.push(typed("usage_rows", DataType::Int64, "How many charges it sums.", col("usage_rows")));
        if self.provider_side {
            columns.push(money("effective_cost", "Sum of the provider's amortised cost.", col("effective_cost")));
        }
        columns
    }

    /// What a charge is explained from: as `charges`, then what tells whose it is, and for each position from the caller's down what
    /// is paid there. Of what is above the caller there is no column. The rule of its own purchase is not among them.
    pub fn explained(&self, has_shares: bool) -> Vec<Column> {
        let scope = &self.scope;
        let text_type = DataType::Utf8View;
        let mut columns = self.own(LakeTable::Charges, has_shares);
        let held: Vec<String> = columns.iter().map(|column| column.field.name().clone()).collect();
        let mut add = |column: Column| {
            if !held.contains(column.field.name()) {
                columns.push(column);
            }
        };
        for name in ["delivery_id", "source_row", "rated_snapshot"] {
            add(typed(name, DataType::Int64, "", col(name)));
        }
        add(typed("source_file", DataType::Int32, "", col("source_file")));
        add(money("effective_cost", "", col("effective_cost")));
        for name in ["sub_account_id", "resource_id", "tags"] {
            add(text(&format!("raw_{name}"), "", col(name)));
        }
        for place in 0..MAX_POSITIONS {
            let at = |what: &'static str, data_type: &DataType| own(scope, |k| position(what, k + place, data_type));
            add(money(&format!("amount_{place}"), "", at("price", &schema::money())));
            add(text(&format!("currency_{place}"), "", at("currency", &text_type)));
            add(text(&format!("outcome_{place}"), "", at("outcome", &text_type)));
            add(text(&format!("fx_rate_{place}"), "", at("fx_rate", &text_type)));
            if place > 0 {
                add(text(&format!("rule_{place}"), "", at("rule", &text_type)));
            }
        }
        columns
    }

    /// One edge of `charges_by_tier` (`monthly` false) or `tiers_monthly` (true): what the node at
    /// position `depth` pays, for rows in which the caller stands at `k`.
    pub fn tier(&self, edge: &Edge<'_>, monthly: bool) -> Vec<Column> {
        let (k, depth) = (edge.caller, edge.depth);
        let node_at = |position: usize| split_part(col("node_path"), lit("/"), lit(count(position) + 1));
        let null_text = || lit(ScalarValue::Utf8View(None));
        // The seller of an edge stands one above its payer: visible from the caller down.
        let sells = depth > k;
        let amount = col(format!("price_{depth}"));
        let rule = || split_rule(depth, sells);
        let mut columns = Vec::new();
        if monthly {
            columns.extend(dimensions(&schema::MONTHLY_DIMENSIONS, &path_below(edge.prefix)));
        } else {
            columns.push(text("charge_id", "The charge.", self.charge_id()));
            columns.push(typed(
                "billing_period",
                DataType::Date32,
                "First day of the billing period.",
                col("billing_period"),
            ));
        }
        columns.push(typed(
            "depth",
            DataType::Int32,
            "The payer's place below the caller: 0 is the caller itself, which pays its seller; the root pays the provider.",
            lit(count32(depth - k)),
        ));
        columns.push(text(
            "seller_node_id",
            "Who is paid; null where that is the provider or above the caller.",
            if sells { cast(node_at(depth.saturating_sub(1)), DataType::Utf8View) } else { null_text() },
        ));
        columns.push(text("payer_node_id", "Who pays.", cast(node_at(depth), DataType::Utf8View)));
        if monthly {
            columns.extend([
                quantity("quantity", "Sum of pricing quantities.", col("quantity")),
                money("list_cost", "Sum at the provider's public list price, in list_currency.", col("list_cost")),
                list_currency(),
                typed("usage_rows", DataType::Int64, "How many charges it sums.", col("usage_rows")),
            ]);
        }
        columns.extend([
            money("amount", "What the payer pays, unrounded, in currency.", amount),
            text("currency", "Currency of amount.", col(format!("currency_{depth}"))),
            text("outcome", "billed, retained, reported or unrated on this edge.", col(format!("outcome_{depth}"))),
        ]);
        if monthly {
            let (seller_cost, seller_currency) = if sells {
                let cost = col(format!("price_{}", depth - 1));
                // What it pays is the sale of the seller above it.
                let kept = if depth > k + 2 { within(node_at(depth - 2), edge.undisclosed) } else { None };
                (kept_from(cost, kept), col(format!("currency_{}", depth - 1)))
            } else {
                (no_money(), null_text())
            };
            let invoiced = if sells {
                node_at(depth - 1).in_list(edge.invoicing.iter().map(|id| lit(*id)).collect(), false)
            } else {
                lit(false)
            };
            columns.extend([
                money("seller_cost", edge_comment("seller_cost"), seller_cost),
                text("seller_currency", "Currency of seller_cost.", seller_currency),
                typed("is_invoiced", DataType::Boolean, "Whether the edge gets invoices.", invoiced),
                text(
                    "fx_rate_id",
                    "The exchange rate that converted the seller's cost, if one did.",
                    col(format!("fx_rate_{depth}")),
                ),
            ]);
            if self.provider_side {
                columns.push(money("effective_cost", "Sum of the provider's amortised cost.", col("effective_cost")));
            }
        } else {
            columns.extend([
                text(
                    "card_id",
                    "The rate card that priced it, on edges where the caller or a descendant sells.",
                    rule().0,
                ),
                typed("version", DataType::Int64, "The card's version.", rule().1),
                text("rule_id", "The card's rule.", rule().2),
            ]);
        }
        columns
    }

    /// What one edge bills, charge by charge, for rows in which the caller stands at `k`: what the charge is, as `charges` says it,
    /// then who pays whom how much.
    pub fn billed(&self, edge: &Edge<'_>, has_shares: bool) -> Vec<Column> {
        const CHARGE: [&str; 17] = [
            "charge_id",
            "origin",
            "billing_period",
            "charge_period_start",
            "charge_period_end",
            "provider_name",
            "billing_account_id",
            "sub_account_id",
            "node_id",
            "service_name",
            "sku_id",
            "region_id",
            "resource_id",
            "charge_category",
            "charge_class",
            "description",
            "unit",
        ];
        const EDGE: [&str; 4] = ["seller_node_id", "payer_node_id", "amount", "currency"];
        let is_one = |names: &[&str], column: &Column| names.contains(&column.field.name().as_str());
        let charge = self.own(LakeTable::Charges, has_shares);
        let charge = charge.into_iter().filter(|column| is_one(&CHARGE, column));
        let edge = self.tier(edge, false);
        charge.chain(edge.into_iter().filter(|column| is_one(&EDGE, column))).collect()
    }

    /// Which rows have an edge at `depth` that the caller may see.
    pub fn tier_filter(&self, edge: &Edge<'_>, begins_at_seller: bool) -> Expr {
        let (k, depth) = (edge.caller, edge.depth);
        let mut filter = under(edge.prefix).and(col(format!("outcome_{depth}")).is_not_null());
        if k > 0 {
            filter = filter.and(reaches(k, begins_at_seller));
        }
        if depth > k + 1 && !edge.undisclosed.is_empty() {
            let seller = split_part(col("node_path"), lit("/"), lit(count(depth)));
            let hidden = edge.undisclosed.iter().map(|id| lit(*id)).collect();
            filter = filter.and(not(seller.in_list(hidden, false)));
        }
        filter
    }
}

/// Whether a node is one of some; none where there are none.
fn within(node: Expr, nodes: &[&str]) -> Option<Expr> {
    (!nodes.is_empty()).then(|| node.in_list(nodes.iter().map(|id| lit(*id)).collect(), false))
}

/// An amount, but null where it is kept from the caller.
fn kept_from(amount: Expr, is_kept: Option<Expr>) -> Expr {
    let Some(is_kept) = is_kept else { return amount };
    when(is_kept, no_money()).otherwise(amount).unwrap_or_else(|_| no_money())
}

fn no_money() -> Expr {
    lit(ScalarValue::try_from(&schema::money()).unwrap_or(ScalarValue::Null))
}

/// `ops.edges_monthly`: every stored column, for the root, and whether the edge gets invoices. What sellers pay who `bought_in_secret`
/// from others than the root is null.
pub fn edges(invoicing: &[&str], bought_in_secret: &[&str]) -> Vec<Column> {
    let mut columns: Vec<Column> = schema::edges_monthly()
        .fields()
        .iter()
        .map(|field| {
            let name = field.name().as_str();
            match (name, field.data_type()) {
                ("billing_period" | "fate", _) => dimensions(&[name], &col("node_path")).remove(0),
                ("seller_cost", _) => {
                    let kept = within(col("seller_node_id"), bought_in_secret);
                    let kept = kept.map(|kept| col("depth").gt(lit(2_i32)).and(kept));
                    money(name, edge_comment(name), kept_from(col(name), kept))
                }
                (_, DataType::Decimal128(..)) => money(name, edge_comment(name), col(name)),
                (_, data_type) => typed(name, data_type.clone(), edge_comment(name), col(name)),
            }
        })
        .collect();
    let is_invoiced = col("seller_node_id").in_list(invoicing.iter().map(|id| lit(*id)).collect(), false);
    columns.push(typed(
        "is_invoiced",
        DataType::Boolean,
        "Whether the edge gets invoices.",
        coalesce(vec![is_invoiced, lit(false)]),
    ));
    columns
}

/// Which stored edges an ordinary session of the root sees: not the sales of sellers that do not disclose them.
pub fn edge_filter(undisclosed: &[&str]) -> Option<Expr> {
    if undisclosed.is_empty() {
        return None;
    }
    let hidden = undisclosed.iter().map(|id| lit(*id)).collect();
    // The root knows what it sells itself.
    Some(col("depth").lt_eq(lit(1_i32)).or(not(col("seller_node_id").in_list(hidden, false))))
}

fn edge_comment(name: &str) -> &'static str {
    match name {
        "depth" => "The payer's position in the path: 0 is the root, which pays the provider.",
        "seller_node_id" => "Who is paid; null where that is the provider.",
        "payer_node_id" => "Who pays.",
        "is_kept" => "Whether the payer owns the usage: it sells it to nobody.",
        "currency" => "Currency of amount.",
        "outcome" => "billed, retained, reported or unrated on this edge.",
        "seller_currency" => "Currency of seller_cost.",
        "fx_rate_id" => "The exchange rate that converted the seller's cost, if one did.",
        "amount" => "What the payer pays, unrounded, in currency.",
        "seller_cost" => {
            "What the seller pays for the same rows, in seller_currency; null where its own seller does not disclose that."
        }
        "effective_cost" => "The provider's amortised cost, on what the root itself sells.",
        "usage_rows" => "How many charges it sums.",
        other => dimension_comment(other),
    }
}

/// One edge as one caller sees it.
#[derive(Debug, Clone, Copy)]
pub struct Edge<'a> {
    /// The caller's path.
    pub prefix: &'a str,
    /// The caller's position in it.
    pub caller: usize,
    /// The payer's position.
    pub depth: usize,
    /// Sellers whose sales are not shown to those above them.
    pub undisclosed: &'a [&'a str],
    /// Sellers whose edges get invoices.
    pub invoicing: &'a [&'a str],
}

fn count(position: usize) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn count32(position: usize) -> i32 {
    i32::try_from(position).unwrap_or(i32::MAX)
}

/// `rule_k` is `card/version/rule`; card ids hold no `/`.
fn split_rule(depth: usize, visible: bool) -> (Expr, Expr, Expr) {
    if !visible {
        let none = || lit(ScalarValue::Utf8View(None));
        return (none(), lit(ScalarValue::Int64(None)), none());
    }
    let rule = || col(format!("rule_{depth}"));
    let part = |n: i64| split_part(rule(), lit("/"), lit(n));
    let given = |value: Expr, otherwise: ScalarValue| {
        when(rule().is_not_null(), value).end().unwrap_or_else(|_| lit(otherwise))
    };
    (
        cast(given(part(1), ScalarValue::Utf8View(None)), DataType::Utf8View),
        given(cast(part(2), DataType::Int64), ScalarValue::Int64(None)),
        cast(given(part(3), ScalarValue::Utf8View(None)), DataType::Utf8View),
    )
}

fn list_currency() -> Column {
    text("list_currency", "Currency of list_cost: the provider's billing currency.", col("currency_0"))
}

fn fate() -> Column {
    text("fate", "direct, allocated or unallocated.", col("fate"))
}

fn dimensions(names: &[&str], path: &Expr) -> Vec<Column> {
    names
        .iter()
        .map(|name| match *name {
            "billing_period" => {
                typed(name, DataType::Date32, "First day of the provider's billing period.", col(*name))
            }
            "charge_date" => typed(name, DataType::Date32, "The day, in the owner's time zone.", col(*name)),
            "marketplace" => typed(
                name,
                DataType::Boolean,
                "Whether a third party sells it on the provider's marketplace.",
                col(*name),
            ),
            "rule_tags" => json(name, "The tags that rules or tag policies use, a JSON object of texts.", col(*name)),
            "fate" => fate(),
            "node_path" => text(name, dimension_comment(name), path.clone()),
            other => text(other, dimension_comment(other), col(other)),
        })
        .collect()
}

fn dimension_comment(name: &str) -> &'static str {
    match name {
        "origin" => "usage, licence, labour, fee, minimum, shortfall, credit or adjustment.",
        "provider_name" => "The provider.",
        "billing_account_id" => "The provider's billing account.",
        "sub_account_id" => "The provider's sub account: AWS account, Azure subscription, OCI tenancy.",
        "node_id" => "The node that owns the usage.",
        "node_path" => "The path from the caller's node to that node at usage time, ids joined by /.",
        "service_category" => "FOCUS ServiceCategory.",
        "service_name" => "The provider's service.",
        "sku_id" => "The provider's SKU.",
        "region_id" => "The provider's region.",
        "resource_id" => "The provider's resource.",
        "resource_type" => "FOCUS ResourceType.",
        "charge_category" => "Usage, Purchase, Tax, Credit or Adjustment.",
        "charge_class" => "Correction, or null.",
        "pricing_category" => {
            "Standard, Dynamic, Committed or Other, as it is sold: covered usage sold at its on-demand price is Standard."
        }
        "description" => "What the provider calls the charge.",
        "unit" => "Pricing unit.",
        _ => "A dimension of the charge.",
    }
}

/// `usage`: every stored column, for the root.
pub fn usage() -> Vec<Column> {
    schema::usage()
        .fields()
        .iter()
        .map(|field| {
            let name = field.name().as_str();
            let value = col(name);
            match (name, field.data_type()) {
                ("tags" | "allocated_tags" | "sku_price_details" | "x_columns", _) => {
                    json(name, usage_comment(name), value)
                }
                (_, DataType::Decimal128(..)) if name.ends_with("_cost") => money(name, usage_comment(name), value),
                (_, data_type) => typed(name, data_type.clone(), usage_comment(name), value),
            }
        })
        .collect()
}

fn usage_comment(name: &str) -> &'static str {
    match name {
        "x_columns" => "Columns of the source that FOCUS does not have, a JSON object with keys that begin with x_.",
        "delivery_id" => "The delivery it came with.",
        "source_file" => "The part file of the delivery, from 0.",
        "source_row" => "The row of the part file.",
        "line_key" => "A hash of what the line says.",
        "line_no" => "Counts equal lines of a slice.",
        "provider_name" => "The provider that accounts and rules name.",
        "billing_period" => "First day of the provider's billing period.",
        "marketplace" => "Whether a third party sells it on the provider's marketplace.",
        _ => "The FOCUS 1.4 column of that name, as the provider delivered it.",
    }
}
