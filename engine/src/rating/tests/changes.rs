//! Reference rows read from a catalog, and which slices a change of them reaches.

use super::charge::Charge;
use super::fixtures::{Line, at, usage};
use crate::catalog::{Catalog, CatalogError, Change, RefRow, RefTable, SliceKey, Value};
use crate::rating::{
    BandTotals, RateBook, Rater, RatingError, RatingRun, RefChange, RefFacts, SliceFacts, Span, affected,
};

/// A row in its table's column order; columns that are not named get their default or null.
fn row(table: &str, named: &[(&str, &str)]) -> (&'static RefTable, Vec<Value>) {
    let table = RefTable::named(table).expect("a table");
    for (name, _) in named {
        assert!(table.position(name).is_some(), "{name}");
    }
    let values = table.columns.iter().map(|column| {
        let given = named.iter().find(|(name, _)| *name == column.name).map(|(_, text)| *text);
        match (given.or(column.default), column.kind) {
            (None, _) => Value::Null,
            (Some(text), crate::catalog::RefType::Int) => Value::Int(text.parse().expect("an int")),
            (Some(text), crate::catalog::RefType::Bool) => Value::Int(i64::from(text == "true")),
            (Some(text), _) => Value::from(text),
        }
    });
    (table, values.collect())
}

const FIRST: &str = "2000-01-01T00:00:00.000000Z";
const MIDDLE: &str = "2026-10-16T00:00:00.000000Z";

fn world() -> Vec<(&'static RefTable, Vec<Value>)> {
    let node = |id: &str, parent: Option<&str>, kind: &str| {
        let mut named = vec![("node_id", id), ("kind", kind), ("name", id), ("currency", "USD")];
        named.extend(parent.map(|parent| ("parent_id", parent)));
        row("nodes", &named)
    };
    let account = |id: &str, owner: &str| {
        row("accounts", &[("provider_name", "aws"), ("billing_account_id", id), ("node_id", owner)])
    };
    vec![
        node("dist", None, "distributor"),
        node("res", Some("dist"), "reseller"),
        node("other", Some("dist"), "reseller"),
        node("cust", Some("res"), "customer"),
        account("payer", "cust"),
        account("payer2", "other"),
        row(
            "rate_cards",
            &[
                ("card_id", "w"),
                ("seller_node_id", "dist"),
                ("buyer_node_id", "res"),
                ("currency", "USD"),
                ("name", "w"),
            ],
        ),
        row(
            "rate_card_versions",
            &[("card_id", "w"), ("version", "1"), ("valid_from", FIRST), ("valid_to", MIDDLE), ("status", "active")],
        ),
        row(
            "rate_card_versions",
            &[("card_id", "w"), ("version", "2"), ("valid_from", MIDDLE), ("status", "active"), ("base_version", "1")],
        ),
        row("rate_card_versions", &[("card_id", "w"), ("version", "3"), ("valid_from", MIDDLE)]),
        row(
            "rate_rules",
            &[("card_id", "w"), ("version", "1"), ("rule_id", "r"), ("method", "markup_pct"), ("value", "12.5")],
        ),
        row("rate_cards", &[("card_id", "d"), ("seller_node_id", "res"), ("currency", "USD"), ("name", "d")]),
        row("rate_card_versions", &[("card_id", "d"), ("version", "1"), ("status", "active")]),
        row(
            "rate_rules",
            &[("card_id", "d"), ("version", "1"), ("rule_id", "m"), ("marketplace", "true"), ("method", "zero")],
        ),
        row("charge_policies", &[("node_id", "res"), ("charge_category", "Usage"), ("policy", "pass")]),
        row(
            "fx_rates",
            &[
                ("fx_rate_id", "x"),
                ("source", "market"),
                ("base_currency", "USD"),
                ("quote_currency", "EUR"),
                ("valid_from", FIRST),
                ("rate", "0.9"),
            ],
        ),
    ]
}

fn facts_of(rows: &[(&'static RefTable, Vec<Value>)]) -> RefFacts {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = Catalog::create(directory.path()).expect("a catalog");
    let change = Change::new("system", "dml", "test");
    let (snapshot, ()) = catalog
        .commit(&change, |commit| {
            for (table, values) in rows {
                commit.insert_ref(table, values)?;
            }
            Ok::<_, CatalogError>(())
        })
        .expect("commits");
    catalog.read(|tx| RefFacts::read(tx, snapshot)).expect("reads")
}

#[test]
fn reference_rows_price_as_they_were_written() {
    let book = RateBook::compile(&facts_of(&world()), 3).expect("compiles");
    let run = RatingRun::new(book, BandTotals::default());
    let late = Line::new("200").during("2026-10-20T00:00:00", "2026-10-20T01:00:00");
    let mut free = Line::new("200");
    free.marketplace = Some(true);
    let rated = Rater::new(&run).rate(&usage(&[Line::new("100"), late, free])).expect("rates");
    let charges = Charge::read(&rated.charges);
    // 100 x 1.125, passed on by policy; version 2 inherits the rule; marketplace has a rule of its own.
    assert_eq!(charges[0].step(1), "112.50 USD billed");
    assert_eq!(charges[0].step(2), "112.50 USD billed");
    assert_eq!(charges[1].step(1), "225.00 USD billed");
    assert_eq!(charges[1].steps[1].rule.as_deref(), Some("w/2/r"));
    assert_eq!(charges[2].step(1), "225.00 USD billed");
}

#[test]
fn a_row_that_means_nothing_is_named() {
    let mut rows = world();
    rows.push(row(
        "nodes",
        &[("node_id", "x"), ("parent_id", "dist"), ("kind", "planet"), ("name", "x"), ("currency", "USD")],
    ));
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = Catalog::create(directory.path()).expect("a catalog");
    let change = Change::new("system", "dml", "test");
    let insert = |commit: &crate::catalog::Commit<'_>| {
        rows.iter().try_for_each(|(table, values)| commit.insert_ref(table, values).map(|_| ()))
    };
    let (snapshot, ()) = catalog.commit(&change, insert).expect("commits");
    let read: Result<RefFacts, RatingError> = catalog.read(|tx| RefFacts::read(tx, snapshot));
    let error = read.expect_err("no such kind").to_string();
    assert_eq!(error, format!("ref.nodes row x/{FIRST}: column kind does not hold a kind of node"));
}

fn slices() -> Vec<SliceFacts> {
    let slice = |slice_id: i64, account: &str, period: &str, owner: &str| SliceFacts {
        slice_id,
        key: SliceKey {
            source: "focus".to_owned(),
            provider_name: "aws".to_owned(),
            billing_account_id: account.to_owned(),
            billing_period: period.to_owned(),
        },
        owners: vec![owner.to_owned()],
    };
    vec![
        slice(1, "payer", "2026-09", "dist/res/cust"),
        slice(2, "payer", "2026-10", "dist/res/cust"),
        slice(3, "payer2", "2026-10", "dist/other"),
        slice(4, "payer", "2026-11", "dist/res/cust"),
        slice(5, "lost", "2026-10", "dist"),
    ]
}

fn reached(old: Option<&(&'static RefTable, Vec<Value>)>, new: Option<&(&'static RefTable, Vec<Value>)>) -> Vec<i64> {
    let version =
        |row: &(&'static RefTable, Vec<Value>)| RefRow { row_id: 1, values: row.1.clone(), begin_snapshot: 1 };
    let table = old.or(new).expect("a row").0;
    let change = RefChange { table, old: old.map(version), new: new.map(version) };
    let found = affected(&[change], &facts_of(&world()), &slices()).expect("reads");
    assert!(found.iter().all(|(_, reason)| *reason == format!("ref.{} changed", table.name)));
    found.into_iter().map(|(slice, _)| slice).collect()
}

#[test]
fn a_changed_version_reaches_its_edge_from_its_instant_on() {
    // Only its end changes, from the 16th to never: periods before October keep their prices.
    let open =
        row("rate_card_versions", &[("card_id", "w"), ("version", "1"), ("valid_from", FIRST), ("status", "active")]);
    assert_eq!(reached(Some(&open), Some(&world()[7])), [2, 4]);
    // A draft prices nothing; activated, it does.
    let draft = row("rate_card_versions", &[("card_id", "w"), ("version", "3"), ("valid_from", MIDDLE)]);
    let active =
        row("rate_card_versions", &[("card_id", "w"), ("version", "3"), ("valid_from", MIDDLE), ("status", "active")]);
    assert_eq!(reached(None, Some(&draft)), [0_i64; 0]);
    assert_eq!(reached(Some(&draft), Some(&active)), [2, 4]);
}

#[test]
fn a_changed_rule_reaches_every_version_that_inherits_it() {
    let rule = row("rate_rules", &[("card_id", "w"), ("version", "1"), ("rule_id", "n"), ("method", "zero")]);
    assert_eq!(reached(None, Some(&rule)), [1, 2, 4]);
    // Version 3 is a draft.
    let rule = row("rate_rules", &[("card_id", "w"), ("version", "3"), ("rule_id", "n"), ("method", "zero")]);
    assert_eq!(reached(None, Some(&rule)), [0_i64; 0]);
}

#[test]
fn accounts_nodes_policies_and_users_reach_what_they_touch() {
    let account = row(
        "accounts",
        &[("provider_name", "aws"), ("billing_account_id", "payer2"), ("node_id", "res"), ("valid_from", MIDDLE)],
    );
    assert_eq!(reached(None, Some(&account)), [3]);
    let unknown = row("accounts", &[("provider_name", "aws"), ("billing_account_id", "lost"), ("node_id", "res")]);
    assert_eq!(reached(None, Some(&unknown)), [5]);
    let moved = row(
        "nodes",
        &[
            ("node_id", "cust"),
            ("parent_id", "other"),
            ("kind", "customer"),
            ("name", "c"),
            ("currency", "USD"),
            ("valid_from", MIDDLE),
        ],
    );
    assert_eq!(reached(None, Some(&moved)), [2, 4]);
    let policy = row(
        "charge_policies",
        &[("node_id", "dist"), ("buyer_node_id", "other"), ("charge_category", "Tax"), ("policy", "pass")],
    );
    assert_eq!(reached(None, Some(&policy)), [3]);
    let user = row("users", &[("login", "x"), ("node_id", "dist"), ("role", "admin")]);
    assert_eq!(reached(None, Some(&user)), [0_i64; 0]);
    let attribution = row("attribution_rules", &[("rule_id", "x"), ("owner_node_id", "dist"), ("node_id", "cust")]);
    assert_eq!(reached(None, Some(&attribution)), [1, 2, 3, 4, 5]);
}

#[test]
fn a_rate_reaches_nodes_that_use_its_source_and_currencies_from_its_day_on() {
    let rate = |base: &str, quote: &str, source: &str| {
        row(
            "fx_rates",
            &[
                ("fx_rate_id", "n"),
                ("source", source),
                ("base_currency", base),
                ("quote_currency", quote),
                ("valid_from", MIDDLE),
                ("rate", "1.1"),
            ],
        )
    };
    // All nodes pay in USD.
    assert_eq!(reached(None, Some(&rate("EUR", "USD", "market"))), [2, 3, 4, 5]);
    assert_eq!(reached(None, Some(&rate("EUR", "GBP", "market"))), [0_i64; 0]);
    assert_eq!(reached(None, Some(&rate("EUR", "USD", "provider"))), [0_i64; 0]);
    assert!(Span { from: at("2026-10-16"), until: i64::MAX }.contains(at("2026-11-01")));
}
