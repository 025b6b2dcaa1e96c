//! Reference data as SQL writes it: checks, transactions, who may write what, approvals, history.

mod authority;
mod history;

use crate::fixture::{Fixture, ask, copy, refused, rows, run};

#[tokio::test]
async fn rows_are_written_by_insert_update_delete_and_copy() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let insert = "insert into ref.fx_rates (fx_rate_id, source, base_currency, quote_currency, valid_from, rate) values ('a', 'market', 'USD', 'EUR', '2025-10-01', 0.9137), ('b', 'market', 'USD', 'EUR', '2025-11-01', 0.92)";
    assert_eq!(run(&admin, insert).await, "INSERT 0 2");
    let update = "update ref.fx_rates set rate = rate * 2 where fx_rate_id = 'a'";
    assert_eq!(run(&admin, update).await, "UPDATE 1");
    let select = "select fx_rate_id, valid_from, rate from ref.fx_rates order by 1";
    assert_eq!(rows(&admin, select).await, ["a|2025-10-01T00:00:00Z|1.8274", "b|2025-11-01T00:00:00Z|0.92"]);
    assert_eq!(run(&admin, "delete from ref.fx_rates where rate < 1").await, "DELETE 1");
    // Columns in any order, what is left out takes its default.
    let csv = "rate,fx_rate_id,valid_from,quote_currency,base_currency,source\n5.2E-3,c,2025-12-01T00:00:00Z,USD,JPY,market\n";
    assert_eq!(copy(&admin, "fx_rates", csv).await.expect("the row is right"), "COPY 1");
    assert_eq!(rows(&admin, select).await, ["a|2025-10-01T00:00:00Z|1.8274", "c|2025-12-01T00:00:00Z|0.0052"]);
    let copied = "insert into ref.fx_rates select fx_rate_id || '2', source, base_currency, quote_currency, valid_from + interval '1 day', rate from ref.fx_rates";
    assert_eq!(run(&admin, copied).await, "INSERT 0 2");
}

#[tokio::test]
async fn a_copy_with_a_bad_line_names_it_and_keeps_nothing() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let csv = "node_id,parent_id,kind,name,currency\nnew1,dist,customer,New,USD\nnew2,dist,customer,New\n";
    let error = copy(&admin, "nodes", csv).await.expect_err("a column is missing");
    assert_eq!(error.sqlstate, "22P04");
    assert_eq!(error.detail.as_deref(), Some("COPY nodes, line 3"));
    let csv = "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\nx,market,USD,EUR,2025-10-01,0.9\ny,market,USD,EUR,2025-11-01,\"0,9\"\n";
    let error = copy(&admin, "fx_rates", csv).await.expect_err("a decimal comma");
    assert_eq!((error.sqlstate, error.message.contains("rate")), ("22P02", true));
    let count = "select count(*) from ref.nodes where node_id like 'new%'";
    assert_eq!(rows(&admin, count).await, ["0"]);
    assert_eq!(rows(&admin, "select count(*) from ref.fx_rates").await, ["0"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_at_the_statement_with_the_row_named() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let node = |values: &str| {
        format!(
            "insert into ref.nodes (node_id, parent_id, kind, name, currency, valid_from, valid_to) values ({values})"
        )
    };
    let account = |values: &str| {
        format!(
            "insert into ref.accounts (provider_name, billing_account_id, sub_account_id, node_id, valid_from, valid_to) values ('Globex', 'B1', {values})"
        )
    };
    let rule = |columns: &str, values: &str| {
        format!("insert into ref.rate_rules (card_id, version, rule_id, {columns}) values ('draft', 1, 'r', {values})")
    };
    fixture
        .copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\ndraft,north,acme,USD,Draft\n")
        .await;
    fixture.copy("rate_card_versions", "card_id,version\ndraft,1\n").await;
    let cases = [
        (account("'a-acme', 'bolt', '2025-01-01', null"), "23514", "ref.accounts (Globex, B1, a-acme"),
        (account("'x', 'nobody', '2025-01-01', null"), "23503", "nobody"),
        (account("'x', 'acme', '2025-01-01', '2025-01-01'"), "23514", "valid_to must be after"),
        (account("'x', 'acme', 'yesterday', null"), "22P02", "valid_from"),
        (node("'x', 'nobody', 'customer', 'x', 'USD', '2025-01-01', null"), "23503", "nobody"),
        (node("'x', 'dist', 'customer', 'x', 'EURO', '2025-01-01', null"), "23514", "ISO 4217"),
        (node("'x', 'dist', 'tenant', 'x', 'USD', '2025-01-01', null"), "23514", "kind"),
        (node("'x y', 'dist', 'customer', 'x', 'USD', '2025-01-01', null"), "23514", "node_id"),
        (node("'acme', 'south', 'customer', 'x', 'USD', '2025-01-01', null"), "23514", "ref.nodes (acme"),
        (node("'x', null, 'distributor', 'x', 'USD', '2025-01-01', null"), "23514", "only the root has none"),
        (node("'x', 'dist', 'customer', null, 'USD', '2025-01-01', null"), "23502", "name"),
        ("update ref.nodes set parent_id = 'acme' where node_id = 'north'".to_owned(), "23514", "cycle"),
        ("delete from ref.nodes where node_id = 'acme'".to_owned(), "23503", "acme"),
        ("insert into ref.attribution_rules (rule_id, owner_node_id, tag_value, node_id) values ('r', 'north', 'x', 'acme')".to_owned(), "23514", "tag_value needs a tag_key"),
        ("insert into ref.attribution_rules (rule_id, owner_node_id, tag_key, node_id) values ('r', 'north', 'x', 'core')".to_owned(), "23514", "owner's subtree"),
        (rule("tag_value, method, value", "'x', 'markup_pct', 1"), "23514", "tag_value needs a tag_key"),
        (rule("method, value", "'markdown', 1"), "23514", "method"),
        (rule("method", "'markup_pct'"), "23514", "needs a value"),
        (rule("method, value", "'margin_pct', 100"), "23514", "below 100"),
        (rule("method, value, base", "'markup_pct', 1, 'billed'"), "23514", "the root's alone"),
        (rule("method, bands", "'graduated', '[{\"up_to\": \"10\", \"price\": \"1\"}]'"), "23514", "last band must be open"),
        (rule("method, bands", "'graduated', '{'"), "22P02", "bands"),
        ("insert into ref.rate_cards (card_id, seller_node_id, buyer_node_id, currency, name) values ('c', 'north', 'core', 'USD', 'c')".to_owned(), "23514", "child of seller"),
        ("insert into ref.rate_cards (card_id, seller_node_id, buyer_node_id, currency, name) values ('c', 'south', 'core', 'EUR', 'c')".to_owned(), "23514", "the buyer's"),
        ("insert into ref.rate_card_versions (card_id, version, valid_from) values ('retail-north', 2, '2000-01-01')".to_owned(), "23514", "it overlaps the row valid from 2000-01-01"),
        ("insert into ref.rate_card_versions (card_id, version) values ('nothing', 1)".to_owned(), "23503", "ref.rate_card_versions (nothing, 1)"),
        ("insert into ref.fx_rates (fx_rate_id, source, base_currency, quote_currency, valid_from, rate) values ('z', 'market', 'USD', 'EUR', '2025-01-01', 0)".to_owned(), "23514", "above zero"),
        ("insert into ref.fx_rates (fx_rate_id, source, base_currency, quote_currency, valid_from, rate) values ('z', 'market', 'USD', 'EUR', '2025-01-01', 0.1::float8)".to_owned(), "42804", "rate"),
        ("insert into ref.nodes (node_id, nothing) values ('x', 'y')".to_owned(), "42703", "nothing"),
    ];
    for (statement, state, part) in cases {
        let error = refused(&admin, &statement).await;
        assert_eq!(error.sqlstate, state, "{statement}: {error}");
        assert!(error.to_string().contains(part), "{statement}: {error}");
    }
}

#[tokio::test]
async fn rules_that_leave_the_price_to_chance_are_refused_when_submitted() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\ntags,north,acme,USD,Tags\n").await;
    fixture
        .copy(
            "rate_card_versions",
            "card_id,version,valid_from,valid_to\ntags,1,2025-01-01,2025-02-01\ntags,2,2025-02-01,\n",
        )
        .await;
    // Different tag keys can both be on one row; different values of one key cannot.
    fixture
        .copy(
            "rate_rules",
            "card_id,version,rule_id,tag_key,tag_value,method,value\n\
             tags,1,by-team,team,red,markup_pct,1\ntags,1,by-stage,stage,prod,markup_pct,2\n\
             tags,2,red,team,red,markup_pct,1\ntags,2,blue,team,blue,markup_pct,2\n",
        )
        .await;
    let error = refused(&admin, "call submit('rate_card_version', 'tags/1', 'why')").await;
    assert_eq!(error.sqlstate, "23514");
    assert!(
        error.message.contains("by-team") && error.message.contains("by-stage") && error.message.contains("tags/1"),
        "{error}"
    );
    run(&admin, "call submit('rate_card_version', 'tags/2', 'why')").await;
    // A priority decides.
    run(&admin, "update ref.rate_rules set priority = 1 where rule_id = 'by-team'").await;
    run(&admin, "call submit('rate_card_version', 'tags/1', 'why')").await;
}

const ACME: &str = "select name from ref.nodes where node_id = 'acme'";

#[tokio::test]
async fn a_block_is_one_snapshot_and_reads_its_own_writes() {
    let fixture = Fixture::chain().await;
    let (admin, other) = (fixture.admin(), fixture.admin());
    let head = || async { rows(&fixture.admin(), "select max(snapshot_id) from ops.snapshots").await };
    let before: i64 = head().await[0].parse().expect("a snapshot is a number");
    run(&admin, "begin").await;
    run(&admin, "update ref.nodes set name = 'First' where node_id = 'acme'").await;
    run(&admin, "update ref.nodes set name = name || ' Second' where node_id = 'acme'").await;
    run(&admin, "insert into ref.nodes (node_id, parent_id, kind, name, currency) values ('new', 'north', 'customer', 'New', 'USD')").await;
    // A row that refers to one of the same block.
    run(&admin, "insert into ref.accounts (provider_name, billing_account_id, sub_account_id, node_id) values ('Globex', 'B1', 'a-new', 'new')").await;
    assert_eq!(rows(&admin, ACME).await, ["First Second"]);
    assert_eq!(rows(&other, ACME).await, ["acme"]);
    // What others commit meanwhile does not show: the block reads the snapshot of its first statement.
    run(&other, "update ref.nodes set name = 'Elsewhere' where node_id = 'core'").await;
    assert_eq!(rows(&admin, "select name from ref.nodes where node_id = 'core'").await, ["core"]);
    assert_eq!(run(&admin, "commit").await, "COMMIT");
    assert_eq!(rows(&other, ACME).await, ["First Second"]);
    // One snapshot for the other session's update, one for the block.
    assert_eq!(head().await, [(before + 2).to_string()]);
}

#[tokio::test]
async fn rollback_and_savepoints_take_back_what_they_say() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    run(&admin, "begin").await;
    run(&admin, "update ref.nodes set name = 'One' where node_id = 'acme'").await;
    run(&admin, "savepoint s").await;
    run(&admin, "update ref.nodes set name = 'Two' where node_id = 'acme'").await;
    run(&admin, "rollback to savepoint s").await;
    assert_eq!(rows(&admin, ACME).await, ["One"]);
    assert_eq!(refused(&admin, "rollback to savepoint t").await.sqlstate, "3B001");
    // The error failed the block; a savepoint from before it brings the block back.
    assert_eq!(refused(&admin, ACME).await.sqlstate, "25P02");
    run(&admin, "rollback to savepoint s").await;
    run(&admin, "release savepoint s").await;
    run(&admin, "commit").await;
    assert_eq!(rows(&admin, ACME).await, ["One"]);
    run(&admin, "begin").await;
    run(&admin, "delete from ref.fx_rates").await;
    run(&admin, "update ref.nodes set name = 'Three' where node_id = 'acme'").await;
    assert_eq!(run(&admin, "rollback").await, "ROLLBACK");
    assert_eq!(rows(&admin, ACME).await, ["One"]);
}

#[tokio::test]
async fn a_failed_block_refuses_everything_until_it_ends_and_keeps_nothing() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    run(&admin, "begin").await;
    run(&admin, "update ref.nodes set name = 'Lost' where node_id = 'acme'").await;
    assert_eq!(refused(&admin, "select 1 / 0").await.sqlstate, "22012");
    for statement in
        ["select 1", "insert into ref.nodes (node_id) values ('x')", "show timezone", "set timezone = 'UTC'", "begin"]
    {
        assert_eq!(refused(&admin, statement).await.sqlstate, "25P02", "{statement}");
    }
    assert_eq!(run(&admin, "commit").await, "ROLLBACK");
    assert_eq!(rows(&admin, ACME).await, ["acme"]);
    // Procedures commit by themselves: not inside a block.
    run(&admin, "begin").await;
    assert_eq!(refused(&admin, "call refresh()").await.sqlstate, "25001");
    run(&admin, "rollback").await;
}

#[tokio::test]
async fn two_blocks_that_change_one_row_do_not_both_commit() {
    let fixture = Fixture::chain().await;
    let (first, second) = (fixture.admin(), fixture.admin());
    for session in [&first, &second] {
        run(session, "begin").await;
    }
    run(&first, "update ref.nodes set name = 'First' where node_id = 'acme'").await;
    run(&second, "update ref.nodes set name = 'Second' where node_id = 'acme'").await;
    run(&first, "commit").await;
    assert_eq!(refused(&second, "commit").await.sqlstate, "40001");
    assert_eq!(rows(&second, ACME).await, ["First"]);
    // Different rows do not meet.
    for (session, node) in [(&first, "acme"), (&second, "bolt")] {
        run(session, "begin").await;
        run(session, &format!("update ref.nodes set name = 'Apart' where node_id = '{node}'")).await;
    }
    run(&first, "commit").await;
    run(&second, "commit").await;
    // Two rows that are right alone and overlap together: the later block is checked against the earlier.
    for (session, node) in [(&first, "acme"), (&second, "bolt")] {
        run(session, "begin").await;
        run(session, &format!("insert into ref.accounts (provider_name, billing_account_id, sub_account_id, node_id) values ('Globex', 'B1', 'twice', '{node}')")).await;
    }
    run(&first, "commit").await;
    let error = ask(&second, "commit").await.expect_err("one account has one owner");
    assert!(["23505", "23514", "40001"].contains(&error.sqlstate), "{error}");
}
