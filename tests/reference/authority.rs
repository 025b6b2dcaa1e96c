//! What a scoped admin cannot reach, and how rate card versions become active.

use crate::fixture::{Fixture, ask, refused, rows, run};

#[tokio::test]
async fn an_admin_writes_within_its_subtree_under_keys_of_its_own() {
    let fixture = Fixture::chain().await;
    let admin = fixture.session("admin@north");
    let node = |id: &str, parent: &str| {
        format!(
            "insert into ref.nodes (node_id, parent_id, kind, name, currency) values ('{id}', '{parent}', 'customer', 'x', 'USD')"
        )
    };
    run(&admin, &node("x.north", "north")).await;
    let error = refused(&admin, &node("x", "north")).await;
    assert_eq!(error.sqlstate, "23514");
    assert!(error.message.contains(".north"), "{error}");
    run(&admin, "insert into ref.rate_cards (card_id, seller_node_id, buyer_node_id, currency, name) values ('c.north', 'north', 'x.north', 'USD', 'c')").await;
    let card = "insert into ref.rate_cards (card_id, seller_node_id, buyer_node_id, currency, name) values ('c', 'north', 'acme', 'USD', 'c')";
    assert_eq!(refused(&admin, card).await.sqlstate, "23514");
    let login = "create user \"x\" password 'correct horse' node 'acme' role portal";
    assert_eq!(refused(&admin, login).await.sqlstate, "23514");
    run(&admin, "create user \"x@north\" password 'correct horse' node 'acme' role portal").await;
    run(&admin, "insert into ref.approval_rules (rule_id, kind, seller_node_id, role) values ('two.north', 'rate_card_version', 'north', 'finance')").await;
}

#[tokio::test]
async fn an_admin_cannot_reach_outside_its_subtree_or_promote_itself() {
    let fixture = Fixture::chain().await;
    let admin = fixture.session("admin@north");
    for statement in [
        // Above, beside, and itself.
        "insert into ref.nodes (node_id, parent_id, kind, name, currency) values ('x.north', 'dist', 'customer', 'x', 'USD')",
        "insert into ref.nodes (node_id, parent_id, kind, name, currency) values ('x.north', 'south', 'customer', 'x', 'USD')",
        "update ref.nodes set currency = 'EUR' where node_id = 'north'",
        "update ref.nodes set parent_id = 'south' where node_id = 'acme'",
        "update ref.nodes set parent_id = 'dist' where node_id = 'acme'",
        "delete from ref.nodes where node_id = 'north'",
        "insert into ref.rate_cards (card_id, seller_node_id, buyer_node_id, currency, name) values ('c.north', 'dist', 'north', 'USD', 'c')",
        "insert into ref.rate_card_versions (card_id, version) values ('wholesale-north', 2)",
        "insert into ref.rate_rules (card_id, version, rule_id, method) values ('wholesale-north', 1, 'free', 'zero')",
        "insert into ref.charge_policies (node_id, charge_category, policy) values ('dist', 'Tax', 'pass')",
        "insert into ref.attribution_rules (rule_id, owner_node_id, tag_key, node_id) values ('r', 'dist', 'k', 'acme')",
        "insert into ref.approval_rules (rule_id, kind, seller_node_id, role) values ('r.north', 'rate_card_version', 'dist', 'finance')",
        "insert into ref.fx_rates (fx_rate_id, source, base_currency, quote_currency, valid_from, rate) values ('x', 'market', 'USD', 'EUR', '2025-01-01', 1)",
        // What roles and logins are is not written by DML.
        "insert into ref.users (login, node_id, role) values ('x@north', 'north', 'admin')",
        "update ref.users set role = 'admin'",
        "update ref.users set node_id = 'dist' where login = 'admin@north'",
        "update ref.users set enabled = true",
        "alter user \"admin@north\" node 'dist'",
        "alter user \"admin@north\" role auditor",
        "update ref.rate_card_versions set status = 'draft' where card_id = 'retail-north'",
        "update ref.rate_card_versions set status = 'active' where card_id = 'retail-north'",
        "update ref.rate_card_versions set valid_from = '2030-01-01' where card_id = 'retail-north'",
        "insert into ref.rate_card_versions (card_id, version, valid_from, valid_to, status) values ('retail-north', 9, '1990-01-01', '1991-01-01', 'active')",
        "delete from ref.rate_card_versions where card_id = 'retail-north'",
    ] {
        let error = refused(&admin, statement).await;
        assert!(["42501", "42704"].contains(&error.sqlstate), "{statement}: {} {error}", error.sqlstate);
    }
    // Rows outside are not there to be changed.
    for statement in [
        "update ref.nodes set name = 'x' where node_id = 'core'",
        "delete from ref.rate_cards where card_id = 'retail-south'",
        "delete from ref.accounts where sub_account_id = 'a-core'",
    ] {
        let tag = run(&admin, statement).await;
        assert!(tag.ends_with(" 0"), "{statement}: {tag}");
    }
}

#[tokio::test]
async fn a_node_reassigns_only_accounts_and_instants_that_it_holds() {
    let fixture = Fixture::chain().await;
    fixture
        .copy(
            "accounts",
            "provider_name,billing_account_id,sub_account_id,node_id,valid_from,valid_to\n\
             Globex,B1,a-lent,core,2000-01-01,2025-10-01\nGlobex,B1,a-lent,north,2025-10-01,2025-11-01\n",
        )
        .await;
    let admin = fixture.session("admin@north");
    let account = |sub: &str, from: &str, to: &str| {
        format!(
            "insert into ref.accounts (provider_name, billing_account_id, sub_account_id, node_id, valid_from, valid_to) values ('Globex', 'B1', '{sub}', 'acme', {from}, {to})"
        )
    };
    for (sub, from, to) in [
        // South's, nobody's, and north's at other times.
        ("a-core", "'2025-01-01'", "null"),
        ("a-new", "'2025-01-01'", "null"),
        ("a-lent", "'2025-09-01'", "'2025-10-01'"),
        ("a-lent", "'2025-11-01'", "null"),
    ] {
        let error = refused(&admin, &account(sub, from, to)).await;
        assert_eq!(error.sqlstate, "42501", "{sub} {from}: {error}");
    }
    for change in [
        "update ref.accounts set valid_to = null where sub_account_id = 'a-lent'",
        "update ref.accounts set valid_from = '2025-09-30' where sub_account_id = 'a-lent'",
        "update ref.accounts set sub_account_id = 'a-core' where sub_account_id = 'a-acme'",
        "update ref.accounts set provider_name = 'Other' where sub_account_id = 'a-acme'",
        "update ref.accounts set node_id = 'core' where sub_account_id = 'a-acme'",
    ] {
        let error = refused(&admin, change).await;
        assert_eq!(error.sqlstate, "42501", "{change}: {error}");
    }
    // Its own goes where it likes below it.
    run(&admin, "update ref.accounts set node_id = 'bolt' where sub_account_id = 'a-lent'").await;
    run(&admin, "begin").await;
    run(&admin, "update ref.accounts set valid_to = '2025-10-12' where sub_account_id = 'a-acme'").await;
    run(&admin, "insert into ref.accounts (provider_name, billing_account_id, sub_account_id, node_id, valid_from) values ('Globex', 'B1', 'a-acme', 'bolt', '2025-10-12')").await;
    run(&admin, "commit").await;
}

/// `card` is a draft of north's that needs finance and sales operations.
async fn with_approvals() -> Fixture {
    let fixture = Fixture::chain().await;
    fixture.copy("approval_rules", "rule_id,kind,seller_node_id,role\nterms,rate_card_version,dist,sales_ops\nmargin,rate_card_version,north,finance\n").await;
    for (login, role) in [("second@north", "finance"), ("sales@north", "sales_ops")] {
        fixture.user(login, "north", role).await;
    }
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\ncard,north,acme,USD,Card\n").await;
    fixture.copy("rate_card_versions", "card_id,version\ncard,1\n").await;
    fixture.copy("rate_rules", "card_id,version,rule_id,method,value\ncard,1,all,markup_pct,1\n").await;
    fixture
}

const STATUS: &str = "select status from ref.rate_card_versions where card_id = 'card'";

fn call(what: &str) -> String {
    format!("call {what}('rate_card_version', 'card/1', 'as agreed')")
}

#[tokio::test]
async fn a_version_is_active_when_every_role_approved_and_its_proposer_is_none_of_them() {
    let fixture = with_approvals().await;
    let [finance, second, sales] = ["finance@north", "second@north", "sales@north"].map(|login| fixture.session(login));
    assert_eq!(refused(&second, &call("approve")).await.sqlstate, "55000");
    assert_eq!(refused(&finance, "call submit('rate_card_version', 'card/1', ' ')").await.sqlstate, "22023");
    run(&finance, &call("submit")).await;
    assert_eq!(rows(&finance, STATUS).await, ["pending"]);
    // The proposer, somebody of another role, somebody who sees it from elsewhere.
    assert_eq!(refused(&finance, &call("approve")).await.sqlstate, "42501");
    assert_eq!(refused(&fixture.session("admin@north"), &call("approve")).await.sqlstate, "42501");
    assert_eq!(refused(&fixture.session("finance@south"), &call("approve")).await.sqlstate, "42704");
    run(&sales, &call("approve")).await;
    assert_eq!(refused(&sales, &call("approve")).await.sqlstate, "42501");
    assert_eq!(rows(&finance, STATUS).await, ["pending"]);
    run(&second, &call("approve")).await;
    assert_eq!(rows(&finance, STATUS).await, ["active"]);
    let acts =
        "select action, login, role, justification from ops.approvals where object_id = 'card/1' order by \"at\"";
    assert_eq!(
        rows(&finance, acts).await,
        [
            "submit|finance@north|finance|as agreed",
            "approve|sales@north|sales_ops|as agreed",
            "approve|second@north|finance|as agreed"
        ]
    );
    assert!(rows(&fixture.session("finance@south"), acts).await.is_empty());
}

#[tokio::test]
async fn a_rejected_version_is_a_draft_again_and_begins_anew() {
    let fixture = with_approvals().await;
    let [finance, second, sales] = ["finance@north", "second@north", "sales@north"].map(|login| fixture.session(login));
    run(&finance, &call("submit")).await;
    run(&sales, &call("approve")).await;
    run(&second, &call("reject")).await;
    assert_eq!(rows(&finance, STATUS).await, ["draft"]);
    run(&finance, "update ref.rate_rules set value = 2 where card_id = 'card'").await;
    run(&finance, &call("submit")).await;
    // The approval from before the rejection does not count.
    run(&second, &call("approve")).await;
    assert_eq!(rows(&finance, STATUS).await, ["pending"]);
    run(&sales, &call("approve")).await;
    assert_eq!(rows(&finance, STATUS).await, ["active"]);
}

#[tokio::test]
async fn the_rules_of_a_submitted_version_are_fixed() {
    let fixture = with_approvals().await;
    let finance = fixture.session("finance@north");
    run(&finance, &call("submit")).await;
    for statement in [
        "update ref.rate_rules set value = 0 where card_id = 'card'",
        "delete from ref.rate_rules where card_id = 'card'",
        "insert into ref.rate_rules (card_id, version, rule_id, method) values ('card', 1, 'free', 'zero')",
    ] {
        assert_eq!(refused(&finance, statement).await.sqlstate, "55000", "{statement}");
    }
    // Nor by taking the version away under its rules, not even by the root.
    for statement in [
        "delete from ref.rate_card_versions where card_id = 'card'",
        "update ref.rate_card_versions set version = 2 where card_id = 'card'",
    ] {
        for login in ["finance@north", "admin"] {
            let error = ask(&fixture.session(login), statement).await.expect_err("it was submitted");
            assert_eq!(error.sqlstate, "42501", "{login}: {statement}");
        }
    }
}
