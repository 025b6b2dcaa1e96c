//! `rate_lookup` with parameters, over the extended protocol.

use std::time::{Duration, UNIX_EPOCH};

use tokio_postgres::types::Type;

use super::numeric::Numeric;
use super::{client, served};
use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_looked_up_by_parameters() {
    let fixture = Fixture::chain().await;
    let server = served(&fixture).await;
    let north = client(&server, "finance@north").await;
    let prepared = north
        .prepare("select rule_id, price, version, bands from rate_lookup($1, $2, sku_id => $3, cost => $4)")
        .await
        .expect("it is right");
    assert_eq!(prepared.params(), [Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT, Type::NUMERIC]);
    let types: Vec<&Type> = prepared.columns().iter().map(tokio_postgres::Column::type_).collect();
    assert_eq!(types, [&Type::TEXT, &Type::NUMERIC, &Type::INT8, &Type::JSON]);
    // 5 October 2025 is day 20,366. A cost of 0.07 and 50 %.
    let at = UNIX_EPOCH + Duration::from_secs(20_366 * 86_400);
    let cost = Numeric("0.07".to_owned());
    let found = north.query(&prepared, &[&"acme", &at, &"M1", &cost]).await.expect("a row");
    let found: Vec<(&str, Numeric)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found, [("all", Numeric("0.105".to_owned()))]);
    assert!(north.query(&prepared, &[&"core", &at, &"M1", &cost]).await.expect("no row").is_empty());
    server.shutdown().await;
}
