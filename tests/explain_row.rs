//! `explain_row`: what became of a provider's row, told to who reads deliveries.

use crate::fixture::{Fixture, Line, focus, refused, rows, run};

const NONE: [&str; 0] = [];

/// The steps in the columns that tests look at.
fn steps(arguments: &str) -> String {
    format!(
        "select step, kind, node_id, fate, depth, buyer_node_id, rule_id, outcome, amount, currency from explain_row({arguments}) order by step"
    )
}

#[tokio::test]
async fn a_row_is_followed_to_what_everybody_pays_for_it() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    // 100 to the provider; + 10 % = 110 for north; + 50 % = 165 for acme.
    let expected = [
        "1|line|null|null|null|null|null|null|100|USD",
        "2|purchase|acme|direct|0|dist|null|billed|100|USD",
        "3|sale|acme|direct|1|north|all|billed|110|USD",
        "4|sale|acme|direct|2|acme|all|billed|165|USD",
    ];
    for login in ["admin", "finance", "auditor"] {
        assert_eq!(rows(&fixture.session(login), &steps("1, 1")).await, expected, "{login}");
    }
    assert_eq!(rows(&admin, &steps("1, 1, 0")).await, expected);
    for nothing in ["1, 1, 1", "1, 5", "2, 1", "null, 1"] {
        assert_eq!(rows(&admin, &steps(nothing)).await, NONE, "{nothing}");
    }
    // explain_charge leads here, and this leads back.
    let id = rows(&admin, "select charge_id from charges where node_id = 'acme'").await.remove(0);
    let place = format!(
        "select (details ->> 'delivery_id') || ', ' || (details ->> 'source_row') || ', ' || (details ->> 'part') \
         from explain_charge('{id}') where step = 1"
    );
    assert_eq!(rows(&admin, &place).await, ["1, 1, 0"]);
    let back = "select distinct charge_id from explain_row(1, 1) where charge_id is not null";
    assert_eq!(rows(&admin, back).await, [id]);
    let line = "select description, details ->> 'sub_account_id', details ->> 'charge_category' from explain_row(1, 1) where kind = 'line'";
    assert_eq!(rows(&admin, line).await, ["Globex, Machines, M1: 1 Hours|a-acme|Usage"]);
}

#[tokio::test]
async fn portions_and_shares_of_a_row_are_all_there() {
    let fixture = Fixture::chain().await;
    // Acme's account is bolt's from the 17th on: 16 and 15 of 31 days.
    let accounts = "provider_name,billing_account_id,sub_account_id,node_id,valid_from,valid_to\n\
                    Globex,B1,a-moved,acme,2025-10-01,2025-10-17\nGlobex,B1,a-moved,bolt,2025-10-17,\n";
    fixture.copy("accounts", accounts).await;
    fixture.accounts("a-shared,north").await;
    fixture.copy("pools", "owner_node_id,pool_id,method\nnorth,network,even\n").await;
    let rule = "rule_id,owner_node_id,sub_account_id,method,pool_id\nnet,north,a-shared,pool,network\n";
    fixture.copy("attribution_rules", rule).await;
    let tax = Line { category: "Tax", sku: "VAT", ..Line::usage("a-acme", "8") };
    fixture.land("october.csv", &[Line::october("a-moved", "310"), Line::usage("a-shared", "50"), tax]).await;
    let admin = fixture.admin();
    // 310 for 31 days: 160 and 150; + 10 %, + 50 %.
    assert_eq!(
        rows(&admin, &steps("1, 1")).await,
        [
            "1|line|null|null|null|null|null|null|310|USD",
            "2|purchase|acme|direct|0|dist|null|billed|160|USD",
            "3|sale|acme|direct|1|north|all|billed|176|USD",
            "4|sale|acme|direct|2|acme|all|billed|264|USD",
            "5|purchase|bolt|direct|0|dist|null|billed|150|USD",
            "6|sale|bolt|direct|1|north|all|billed|165|USD",
            "7|sale|bolt|direct|2|bolt|all|billed|247.5|USD",
        ]
    );
    // Half of 50 each.
    assert_eq!(
        rows(&admin, &steps("1, 2")).await,
        [
            "1|line|null|null|null|null|null|null|50|USD",
            "2|purchase|acme|allocated|0|dist|null|billed|25|USD",
            "3|sale|acme|allocated|1|north|all|billed|27.5|USD",
            "4|sale|acme|allocated|2|acme|all|billed|41.25|USD",
            "5|purchase|bolt|allocated|0|dist|null|billed|25|USD",
            "6|sale|bolt|allocated|1|north|all|billed|27.5|USD",
            "7|sale|bolt|allocated|2|bolt|all|billed|41.25|USD",
        ]
    );
    let pool = "select distinct details ->> 'pool_id' from explain_row(1, 2) where kind = 'purchase'";
    assert_eq!(rows(&admin, pool).await, ["network"]);
    // The root keeps taxes.
    assert_eq!(
        rows(&admin, &steps("1, 3")).await,
        [
            "1|line|null|null|null|null|null|null|8|USD",
            "2|purchase|acme|direct|0|dist|null|billed|8|USD",
            "3|sale|acme|direct|1|north|null|retained|null|USD",
        ]
    );
    // Every line's charges cost what it did.
    for (row, cost) in [("1, 1", "310"), ("1, 2", "50"), ("1, 3", "8")] {
        let sum = format!("select sum(amount) from explain_row({row}) where kind = 'purchase'");
        assert_eq!(rows(&admin, &sum).await, [cost], "{row}");
    }
}

#[tokio::test]
async fn a_row_that_is_not_there_any_more_or_never_was_says_why() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let bad = Line { billed: "12,5", ..Line::usage("a-bolt", "12.5") };
    let path = fixture.file("october.csv", &focus(&[Line::usage("a-acme", "100"), bad]));
    fixture.land_path(&path).await.expect("it lands");
    let why = |arguments: &str| {
        format!(
            "select kind, amount, billing_period, description, details ->> 'state' from explain_row({arguments}) order by step"
        )
    };
    let rejected = rows(&admin, &why("1, 2")).await;
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert!(rejected[0].starts_with("rejected|null|2025-10-01|in quarantine: column "), "{rejected:?}");
    assert!(rejected[0].ends_with("|open"), "{rejected:?}");
    // The corrected file takes the place of all of it.
    fixture.land("october.csv", &[Line::usage("a-acme", "101"), Line::usage("a-bolt", "12.5")]).await;
    let said = rows(&admin, &why("1, 1")).await;
    let file = path.display();
    assert_eq!(said, [format!("superseded|null|2025-10-01|Globex B1 of 2025-10 holds delivery 2 now: {file}|null")]);
    let settled = rows(&admin, &why("1, 2")).await;
    assert!(settled[0].contains("was in quarantine until a corrected delivery came"), "{settled:?}");
    assert!(settled[0].ends_with("|replaced"), "{settled:?}");
    assert_eq!(rows(&admin, "select kind, amount from explain_row(2, 1) where depth is null").await, ["line|101"]);
    // As it was known before.
    let before = rows(&admin, "select snapshot_id from ops.deliveries where delivery_id = 1").await.remove(0);
    run(&admin, &format!("set ratehouse.snapshot = {before}")).await;
    assert_eq!(rows(&admin, "select kind from explain_row(1, 1) where step = 1").await, ["line"]);
    assert_eq!(rows(&admin, &steps("2, 1")).await, NONE);
}

#[tokio::test]
async fn it_is_the_roots_and_of_those_who_read_deliveries() {
    let fixture = Fixture::chain_with_usage().await;
    for (role, node) in [("sales_ops", "dist"), ("engineering", "dist"), ("portal", "dist"), ("executive", "dist")] {
        fixture.user(&format!("{role}.root"), node, role).await;
    }
    let none = [
        "sales_ops.root",
        "engineering.root",
        "portal.root",
        "executive.root",
        "admin@north",
        "finance@north",
        "portal@acme",
    ];
    for login in none {
        let session = fixture.session(login);
        let told = refused(&session, "select * from explain_row(1, 1)").await;
        let absent = refused(&session, "select * from explain_cow(1, 1)").await;
        assert_eq!(
            (told.sqlstate, told.to_string()),
            ("42883", absent.to_string().replace("explain_cow", "explain_row")),
            "{login}"
        );
    }
    let admin = fixture.admin();
    for arguments in
        ["", "1", "1, 1, 0, 0", "delivery_id => 1, source_row => 1", "1, (select min(source_row) from charges)"]
    {
        let error = refused(&admin, &format!("select * from explain_row({arguments})")).await;
        assert_eq!(error.sqlstate, "42883", "{arguments}: {error}");
    }
}
