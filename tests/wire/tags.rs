//! Tags by key, over both protocols.

use tokio_postgres::types::Type;

use super::{client, served};
use crate::fixture::{Fixture, Line, rows};

/// Of acme two charges of team red (100 and 200), one of blue (400), one without tags (10) and one of other tags (5); of core,
/// which south sells to, one of a team of its own. North buys at cost + 10 %.
async fn tagged() -> Fixture {
    let fixture = Fixture::chain().await;
    let line = |cost, tags| Line { tags, ..Line::usage("a-acme", cost) };
    let lines = [
        line("100", r#"{"team":"red","size":"1.50","note":"a \"b\" \u00e9"}"#),
        line("200", r#"{"team":"red","Team":"other"}"#),
        line("400", r#"{"team":"blue"}"#),
        line("10", ""),
        line("5", r#"{"other":"x"}"#),
        Line { tags: r#"{"team":"core-canary"}"#, ..Line::usage("a-core", "1000") },
    ];
    fixture.land("october.csv", &lines).await;
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_read_by_key_over_both_protocols() {
    let fixture = tagged().await;
    let server = served(&fixture).await;
    let north = client(&server, "finance@north").await;
    // In the select list, where and group by, with the key as text and as a parameter. 1.1 × (100 + 200), 1.1 × 400.
    let sums = north
        .query(
            "select tags ->> $1, cast(sum(cost) as text) from charges where tags ->> $1 is not null \
             group by tags ->> $1 order by 1",
            &[&"team"],
        )
        .await
        .expect("rows");
    let sums: Vec<(&str, &str)> = sums.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(sums, [("blue", "440.000000000000000000"), ("red", "330.000000000000000000")]);
    let simple = north
        .simple_query(
            "select tags ->> 'size', tags ->> 'note', tags ->> 'nothing' from charges where tags ->> 'size' = '1.50'",
        )
        .await
        .expect("rows");
    let found: Vec<_> = simple
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some((row.get(0), row.get(1), row.get(2))),
            _ => None,
        })
        .collect();
    assert_eq!(found, [(Some("1.50"), Some("a \"b\" é"), None)]);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_are_told_text_for_long_arrows_and_json_for_short_ones() {
    let fixture = tagged().await;
    let server = served(&fixture).await;
    let north = client(&server, "finance@north").await;
    let prepared = north.prepare("select tags -> $1, tags ->> $1, '[7]' -> 0 from charges").await.expect("it is right");
    assert_eq!(prepared.params(), [Type::TEXT]);
    let types: Vec<&Type> = prepared.columns().iter().map(tokio_postgres::Column::type_).collect();
    assert_eq!(types, [&Type::JSON, &Type::TEXT, &Type::JSON]);
    assert_eq!(prepared.columns()[1].name(), "?column?");
    let row = north
        .query_one("select json_extract_path_text(tags, 'team'), tags #>> '{Team}' from charges where cost = 220", &[])
        .await
        .expect("a row");
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("red", "other"));
    let error = north.query("select cost ->> 'team' from charges", &[]).await.expect_err("an amount is no JSON");
    let error = error.as_db_error().expect("the server's error");
    assert_eq!(
        (error.code().code(), error.message()),
        ("42804", "operator ->> takes JSON text on its left, such as tags")
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_login_reads_the_tags_of_its_own_rows_only_and_nothing_of_it_moves_into_the_scan() {
    let fixture = tagged().await;
    let teams = "select distinct tags ->> 'team' from charges order by 1 nulls last";
    assert_eq!(rows(&fixture.session("portal@acme"), teams).await, ["blue", "red", "null"]);
    assert_eq!(rows(&fixture.session("finance@south"), teams).await, ["core-canary"]);
    let acme = fixture.session("portal@acme");
    assert!(rows(&acme, "select cost from charges where tags ->> 'team' = 'core-canary'").await.is_empty());
    let plan = rows(&acme, "explain select cost from charges where tags ->> 'team' = 'red'").await;
    let filter = plan.iter().position(|line| line.contains("FilterExec") && line.contains("json_object_field_text"));
    let leaf = plan.iter().position(|line| line.contains("ScopedScan"));
    assert!(filter.is_some() && filter < leaf, "{plan:?}");
}

#[tokio::test]
async fn tags_that_are_no_json_are_null_and_stop_no_query() {
    let fixture = tagged().await;
    let admin = fixture.admin();
    let broken = "with given(tags) as (values ('{\"team\":\"red\"}'), ('{\"team\":'), ('team=red'), (null)) ";
    let sql = format!("{broken} select count(*), count(tags ->> 'team'), min(tags ->> 'team') from given");
    assert_eq!(rows(&admin, &sql).await, ["4|1|red"]);
    // What the root has of usage, whose JSON columns are texts too.
    assert_eq!(
        rows(&admin, "select tags ->> 'team', count(*) from usage group by 1 order by 1").await,
        ["blue|1", "core-canary|1", "red|2", "null|2"]
    );
}
