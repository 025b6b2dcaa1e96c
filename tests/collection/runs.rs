//! How collections went, and what the scorecard makes of it.

use chrono::TimeDelta;
use ratehouse::collect::Which;

use super::House;
use super::paged::{CSV, page};
use super::server::{Reply, Server};
use crate::fixture::{rows, run};

/// The folder that the fixture writes provider files to.
fn folder(house: &House, name: &str) -> String {
    let path = house.fixture.path().join("incoming").join(name);
    std::fs::create_dir_all(&path).expect("the folder can be made");
    path.display().to_string()
}

#[tokio::test]
async fn the_scorecard_counts_the_collections_that_went_well() {
    let house = House::new().await;
    let server = Server::start(|_, before| match before {
        0 => Reply::new(503, "").with("Retry-After", "600"),
        _ => page("a-acme", "1", None),
    })
    .await;
    house.source("calm", "folder", &folder(&house, "calm"), &[]).await;
    house.source("gone", "folder", "/nowhere/at/all", &[]).await;
    house.source("slow", "json_api", &server.url("/usage"), &[CSV]).await;
    let (admin, finance) = (house.fixture.admin(), house.fixture.session("finance"));
    let card = "select value_pct, status, counted, split_part(detail, ';', 1) from ops.scorecard where metric = 'collection_success'";
    let never = "runs in vain: calm (1 of 1), gone (1 of 1), slow (1 of 1), see ops.collection_runs";
    assert_eq!(rows(&finance, card).await, [format!("0|critical|3|{never}")]);

    // Once all; a minute later what failed; two minutes later again, as it should be; and ten minutes later what paused.
    assert_eq!(house.collect(Which::Due).await.len(), 3);
    house.clock.advance(TimeDelta::minutes(1));
    assert_eq!(house.collect(Which::Due).await.len(), 1);
    run(&admin, &format!("update ref.sources set location = '{}' where name = 'gone'", folder(&house, "found"))).await;
    house.clock.advance(TimeDelta::minutes(2));
    assert_eq!(house.collect(Which::Due).await.len(), 1);
    house.clock.advance(TimeDelta::minutes(7));
    assert_eq!(house.collect(Which::Due).await.len(), 1);
    // Of calm the one, of gone one of three, of slow the one that ended: three of five.
    let vain = "runs in vain: gone (2 of 3), see ops.collection_runs";
    assert_eq!(rows(&finance, card).await, [format!("60|critical|5|{vain}")]);

    house.fixture.file("calm/a.csv", "Nobody,Knows\n1,2\n");
    house.clock.advance(TimeDelta::minutes(50));
    assert_eq!(house.collect(Which::Due).await.len(), 1);
    let runs = "select source, outcome, count(*), count(detail) from ops.collection_runs group by 1, 2 order by 1, 2";
    assert_eq!(
        rows(&admin, runs).await,
        ["calm|done|1|0", "calm|refused|1|1", "gone|done|1|0", "gone|failed|2|2", "slow|done|1|0", "slow|paused|1|1"]
    );
    let vain = "runs in vain: calm (1 of 2), gone (2 of 3), see ops.collection_runs";
    assert_eq!(rows(&finance, card).await, [format!("50|critical|6|{vain}")]);
    // What is collected no more counts no more: two of three.
    run(&admin, "update ref.sources set enabled = false where name = 'gone'").await;
    let vain = "runs in vain: calm (1 of 2), see ops.collection_runs";
    assert_eq!(rows(&finance, card).await, [format!("66.67|critical|3|{vain}")]);

    // They are known for 31 days.
    house.clock.advance(TimeDelta::days(32));
    house.done("slow").await;
    assert_eq!(rows(&admin, "select source, outcome from ops.collection_runs").await, ["slow|done"]);
}
