//! The SQL functions over a book.

use datafusion::prelude::{SessionConfig, SessionContext};

use super::fixtures::chain;
use crate::rating::{fx, rule_tags};

async fn answer(text: &str) -> Result<String, String> {
    let book = chain()
        .fx("USD/EUR", "2026-10-05", "0.8")
        .card("dist>res", "USD")
        .rule_with("dist>res", "r", "zero", "", |r| r.tag_key = Some("env".into()))
        .book();
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let context = SessionContext::new_with_config(config);
    context.register_udf(fx(&book));
    context.register_udf(rule_tags(&book));
    let batches = async { context.sql(text).await?.collect().await };
    let batches = batches.await.map_err(|error| error.to_string())?;
    let column = batches[0].column(0);
    let value = arrow::util::display::array_value_to_string(column, 0);
    value.map_err(|error| error.to_string())
}

#[tokio::test]
async fn fx_converts_by_the_rate_of_the_date() {
    // 10 x 0.8; the other way round 10 / 0.8 = 12.5
    let there = answer("select fx(10.00, 'USD', 'EUR', timestamp '2026-10-05T12:00:00', 'market')").await;
    assert_eq!(there.as_deref(), Ok("8.000000000000000000"));
    let back = answer("select fx(10.00, 'EUR', 'USD', timestamp '2026-11-01', 'market')").await;
    assert_eq!(back.as_deref(), Ok("12.500000000000000000"));
    let same = answer("select fx(10.00, 'EUR', 'EUR', timestamp '2020-01-01', 'none')").await;
    assert_eq!(same.as_deref(), Ok("10.000000000000000000"));
    let null = answer("select fx(null, 'EUR', 'USD', timestamp '2026-11-01', 'market')").await;
    assert_eq!(null.as_deref(), Ok(""));
}

#[tokio::test]
async fn a_missing_rate_is_an_error_and_never_one() {
    let early = answer("select fx(10.00, 'USD', 'EUR', timestamp '2026-10-04', 'market')").await;
    let error = early.expect_err("no rate yet");
    assert!(error.contains("no market rate from USD to EUR at or before that date"), "{error}");
}

#[tokio::test]
async fn an_inexact_amount_is_refused() {
    let inexact = answer("select fx(10.00::double, 'USD', 'EUR', date '2026-10-06', 'market')").await;
    assert!(inexact.expect_err("a double").contains("cast the double precision argument to numeric"));
    let whole = answer("select fx(10, 'USD', 'EUR', date '2026-10-06', 'market')").await;
    assert_eq!(whole.as_deref(), Ok("8.000000000000000000"));
}

#[tokio::test]
async fn rule_tags_keeps_the_tags_that_rules_look_at() {
    let kept = answer(r#"select rule_tags('{"Owner":"x","env":"prod"}')"#).await;
    assert_eq!(kept.as_deref(), Ok(r#"{"env":"prod"}"#));
    let none = answer(r#"select rule_tags('{"Owner":"x"}') is null"#).await;
    assert_eq!(none.as_deref(), Ok("true"));
}
