//! Azure's two views of one cost: what is billed from the actual one, what commitments cost from the amortised one.
//!
//! Expected numbers are read off the sample files by hand. Of `mca_*.csv` (EUR, account PROF-AAAA-BG7-TGB):
//!
//! - actual: usage 2.16 + 0.0225 + 2.09999997 + 0 (ten hours that a reservation covered) + 0.09 (June), purchase 90, refund −9,
//!   tax 3.33, rounding 0.01: 88.71249997;
//! - amortised: the same usage, tax and rounding, 7.71249997; the ten hours at 0.246575342465753424657534, that is
//!   0.246575342465753425 at 18 digits; and 0.41 that was left unused: 8.369075312465753425.
//!
//! `EA_*_Small.csv` (USD, account 8611537) are two samples of a bigger export: other rows, not the same ones twice. The actual one has
//! ten rows on demand, 5.2950077867419368, and a reservation that was bought for 3.25; the amortised one has 26 rows on demand and two that
//! commitments covered: 8 hours for 0.493152, 0.32085564 hours for 0.006000000468.

use std::path::{Path, PathBuf};

use ratehouse::warehouse::Landed;

use crate::fixture::{Fixture, refused, rows, run};

const MCA: (&str, &str) = ("PROF-AAAA-BG7-TGB", "EUR");
const EA: (&str, &str) = ("8611537", "USD");
const SUMS: &str = "select count(*), sum(cost), sum(effective_cost) from charges where origin = 'usage'";
const BLOCKERS: &str =
    "select billing_period, blocker, scope, usage_rows from ops.close_blockers order by billing_period, blocker";
const STALE: &str = "select source, stale_reason from ops.slices where stale_since is not null";
const CHECKS: &str =
    "select billing_period, expected, status from ops.reconciliation where \"check\" = 'amortised' order by 1";
const NONE: Vec<String> = Vec::new();

/// A customer that has a billing account of Microsoft's and buys at cost + 20 %.
async fn world((account, currency): (&str, &str)) -> Fixture {
    let fixture = Fixture::empty();
    fixture.copy("nodes", &format!("node_id,parent_id,kind,name,currency\ncust,dist,customer,Cust,{currency}\n")).await;
    let card = format!("card_id,seller_node_id,buyer_node_id,currency,name\ndirect,dist,cust,{currency},Direct\n");
    fixture.copy("rate_cards", &card).await;
    fixture.version("direct", "1,2000-01-01,", "all,markup_pct,20\n").await;
    fixture.copy("accounts", &format!("provider_name,billing_account_id,node_id\nMicrosoft,{account},cust\n")).await;
    fixture
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/azure").join(name)
}

async fn land(fixture: &Fixture, names: &[&str]) {
    for name in names {
        fixture.land_path(&sample(name)).await.expect("the sample lands");
    }
}

/// What was rated of both views, in either order of landing, and once more by a refresh that nothing asks for.
async fn in_any_order(of: (&str, &str), actual: &str, amortised: &str) -> Fixture {
    let charges = "select resource_id, charge_category, pricing_category, commitment_discount_status, quantity, cost, effective_cost, price, outcome, delivery_id \
                   from charges order by 1, 2, 3, 4, 5, 6, 7";
    let first = world(of).await;
    land(&first, &[amortised, actual]).await;
    // The amortised view was there: the charges need no second rating.
    assert_eq!(rows(&first.admin(), STALE).await, NONE);
    let fixture = world(of).await;
    land(&fixture, &[actual, amortised]).await;
    let stale = rows(&fixture.admin(), STALE).await;
    assert!(stale.iter().all(|row| row.ends_with("_actual|the amortised view of its cost changed")), "{stale:?}");
    assert!(!stale.is_empty());
    // Months without commitments are right all the same.
    let checks = rows(&fixture.admin(), CHECKS).await;
    assert!(checks.iter().any(|row| row.ends_with("|stale")), "{checks:?}");
    assert!(!checks.iter().any(|row| row.ends_with("|broken")), "{checks:?}");
    run(&fixture.admin(), "call refresh()").await;
    assert_eq!(rows(&fixture.admin(), STALE).await, NONE);
    let shown = |charges: Vec<String>, actual: &str, amortised: &str| -> Vec<String> {
        let view = |row: String| match row.rsplit_once('|') {
            Some((row, delivery)) if delivery == actual => format!("{row}|actual"),
            Some((row, delivery)) if delivery == amortised => format!("{row}|amortised"),
            _ => row,
        };
        charges.into_iter().map(view).collect()
    };
    let expected = shown(rows(&first.admin(), charges).await, "2", "1");
    assert_eq!(shown(rows(&fixture.admin(), charges).await, "1", "2"), expected);
    let slices = rows(&first.admin(), "select slice_id from ops.slices where role = 'priced'").await;
    for slice in slices {
        run(&first.admin(), &format!("call refresh({slice})")).await;
    }
    assert_eq!(shown(rows(&first.admin(), charges).await, "2", "1"), expected);
    fixture
}

#[tokio::test]
async fn the_two_views_of_a_customer_agreement_are_priced_as_one() {
    let fixture = in_any_order(MCA, "mca_ActualCost.csv", "mca_AmortizedCost.csv").await;
    let admin = fixture.admin();
    // Nine rows of the actual view less the covered one; two of the amortised view. What is billed is the total of the actual file,
    // what it effectively costs that of the amortised one.
    assert_eq!(rows(&admin, SUMS).await, ["10|88.71249997|8.369075312465753425"]);
    // 0.246575342465753425 x 1.2: covered usage is not free, and its ten hours are there once.
    let covered =
        "select quantity, cost, effective_cost, price, outcome from charges where commitment_discount_status = 'Used'";
    assert_eq!(rows(&admin, covered).await, ["10|0|0.246575342465753425|0.29589041095890411|billed"]);
    // 24 + 0.5 + 23.333333 + 1 hours and operations on demand, ten hours covered, 14 left unused, 1 bought and 1 given back.
    let quantities =
        "select charge_category, sum(quantity) from charges where quantity is not null group by 1 order by 1";
    assert_eq!(rows(&admin, quantities).await, ["Purchase|0", "Usage|72.833333"]);
    let ledger = "select entry, policy, owner_node_id, user_node_id, beneficiary_node_id, billed, effective, on_demand, amount \
                  from commitment_benefits order by 1";
    assert_eq!(
        rows(&admin, ledger).await,
        [
            // 90 - 9: what they come to is in the other rows.
            "purchased|retain|cust|null|null|81|0|0|0",
            "supplied|retain|cust|null|null|0|0.656575342465753425|0|-0.656575342465753425",
            "unused|retain|cust|dist|null|0|0.41|0|0.41",
            // Ten hours at 0.12 USD x 0.9.
            "used|user|cust|cust|cust|0|0.246575342465753425|1.08|0.246575342465753425",
        ]
    );
    assert_eq!(rows(&admin, "select node_id, cost from unused_commitments").await, ["dist|0.41"]);
    // May: 8.279075312465753425, June: 0.09.
    assert_eq!(rows(&admin, CHECKS).await, ["2026-05-01|8.279075312465753425|ok", "2026-06-01|0.09|ok"]);
    assert_eq!(rows(&admin, "select * from ops.reconciliation where status <> 'ok'").await, NONE);
    assert_eq!(rows(&admin, BLOCKERS).await, NONE);
    run(&admin, "call close_period('2026-05')").await;
    // (2.16 + 0.0225 + 2.09999997 + 0.246575342465753425) x 1.2 and the rounding of 0.01; purchases and tax are the root's.
    assert_eq!(rows(&admin, "select total from invoices").await, ["5.44"]);
}

#[tokio::test]
async fn the_two_views_of_an_enterprise_agreement_are_priced_as_one() {
    let fixture = in_any_order(EA, "EA_ActualCost_Small.csv", "EA_AmortizedCost_Small.csv").await;
    let admin = fixture.admin();
    let slices = "select source, role, rows from ops.slices order by source";
    assert_eq!(rows(&admin, slices).await, ["azure_ea_actual|priced|11", "azure_ea_amortized|amortised|28"]);
    // Both views are in usage; eleven rows of one and two of the other are charged: 5.2950077867419368 + 0.493152 + 0.006000000468.
    assert_eq!(rows(&admin, "select count(*) from usage").await, ["39"]);
    assert_eq!(rows(&admin, SUMS).await, ["13|8.5450077867419368|5.7941597872099368"]);
    let covered = "select quantity, effective_cost, price from charges where pricing_category = 'Committed' order by 1";
    assert_eq!(rows(&admin, covered).await, ["0.32085564|0.006000000468|0.0072000005616", "8|0.493152|0.5917824"]);
    assert_eq!(rows(&admin, CHECKS).await, ["2023-09-01|5.7941597872099368|ok"]);
    assert_eq!(rows(&admin, BLOCKERS).await, NONE);
}

#[tokio::test]
async fn one_view_alone_blocks_the_close() {
    // Usage was covered, and nothing says what it costs. June has none.
    let fixture = world(MCA).await;
    land(&fixture, &["mca_ActualCost.csv"]).await;
    let admin = fixture.admin();
    assert_eq!(rows(&admin, BLOCKERS).await, ["2026-05-01|missing_view|Microsoft PROF-AAAA-BG7-TGB|1"]);
    let error = refused(&admin, "call close_period('2026-05')").await.to_string();
    assert!(error.contains("missing_view Microsoft PROF-AAAA-BG7-TGB"), "{error}");
    assert!(error.contains("land the amortised view"), "{error}");
    land(&fixture, &["mca_AmortizedCost.csv"]).await;
    run(&admin, "call close_period('2026-05')").await;
    // Without commitments there is nothing to wait for.
    let fixture = world(EA).await;
    land(&fixture, &["EA_ActualCost_Small.csv"]).await;
    assert_eq!(rows(&fixture.admin(), BLOCKERS).await, NONE);
    // What is billed is only in the actual view.
    let fixture = world(MCA).await;
    land(&fixture, &["mca_AmortizedCost.csv"]).await;
    let admin = fixture.admin();
    assert_eq!(rows(&admin, "select count(*) from charges").await, ["0"]);
    assert_eq!(
        rows(&admin, BLOCKERS).await,
        [
            "2026-05-01|missing_view|Microsoft PROF-AAAA-BG7-TGB|7",
            "2026-06-01|missing_view|Microsoft PROF-AAAA-BG7-TGB|1"
        ]
    );
    let error = refused(&admin, "call close_period('2026-05')").await.to_string();
    assert!(error.contains("land the actual view"), "{error}");
}

/// A sample with another text in place of one, under the same name.
async fn again(fixture: &Fixture, name: &str, (before, after): (&str, &str)) {
    let content = std::fs::read_to_string(sample(name)).expect("the sample is there");
    assert_eq!(content.matches(before).count(), 1, "{before}");
    let path = fixture.file(name, &content.replace(before, after));
    let landed = fixture.land_path(&path).await.expect("it lands");
    assert!(matches!(landed.as_slice(), [Landed::Landed { slices: 2, rejected_rows: 0, .. }]), "{landed:?}");
}

#[tokio::test]
async fn a_new_delivery_of_either_view_takes_the_place_of_the_one_before() {
    let fixture = world(MCA).await;
    let admin = fixture.admin();
    land(&fixture, &["mca_ActualCost.csv", "mca_AmortizedCost.csv"]).await;
    run(&admin, "call refresh()").await;
    // The covered hours cost 0.3: 7.71249997 + 0.3 + 0.41. Until the refresh the old amount stands.
    again(&fixture, "mca_AmortizedCost.csv", ("0.246575342465753424657534", "0.3")).await;
    assert_eq!(rows(&admin, SUMS).await, ["10|88.71249997|8.369075312465753425"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, SUMS).await, ["10|88.71249997|8.42249997"]);
    // A machine costs 4.32 in place of 2.16, and the amortised view of before stays.
    again(&fixture, "mca_ActualCost.csv", (",EUR,USD,2.16,", ",EUR,USD,4.32,")).await;
    assert_eq!(rows(&admin, STALE).await, NONE);
    assert_eq!(rows(&admin, SUMS).await, ["10|90.87249997|10.58249997"]);
    assert_eq!(rows(&admin, "select * from ops.reconciliation where status <> 'ok'").await, NONE);
}

#[tokio::test]
async fn a_changed_amortised_view_makes_a_closed_period_old() {
    let fixture = world(MCA).await;
    let admin = fixture.admin();
    land(&fixture, &["mca_AmortizedCost.csv", "mca_ActualCost.csv"]).await;
    run(&admin, "call close_period('2026-05')").await;
    again(&fixture, "mca_AmortizedCost.csv", ("0.246575342465753424657534", "0.3")).await;
    let error = refused(&admin, "call issue_invoices('2026-05')").await.to_string();
    assert!(error.contains("changed since it was closed"), "{error}");
    run(&admin, "call close_period('2026-05')").await;
    run(&admin, "call issue_invoices('2026-05')").await;
    // 4.28249997 and 0.3 are 4.58249997; x 1.2, and 0.01.
    assert_eq!(rows(&admin, "select total from invoices where status = 'issued'").await, ["5.51"]);
}

#[tokio::test]
async fn prices_by_the_months_total_count_covered_usage_once() {
    let fixture = world(MCA).await;
    let admin = fixture.admin();
    fixture.copy("rate_card_versions", "card_id,version,valid_from\ndirect,2,2026-01-01\n").await;
    let rules = "card_id,version,rule_id,charge_category,unit,method,value,bands\n\
                 direct,2,hours,Usage,1 Hour,graduated,,\"[{\"\"up_to\"\": \"\"50\"\", \"\"price\"\": \"\"0.10\"\"}, {\"\"up_to\"\": null, \"\"price\"\": \"\"0.08\"\"}]\"\n\
                 direct,2,rest,,,markup_pct,20,\n";
    fixture.copy("rate_rules", rules).await;
    fixture.activate("direct", "2").await;
    let hours = "select sum(quantity), cast(sum(price) as numeric(38, 12)) from charges where billing_period = date '2026-05-01' and unit = '1 Hour' and outcome = 'billed'";
    // 24 + 23.333333 + 10 hours: 50 x 0.10 + 7.333333 x 0.08. What was left unused is nobody's usage.
    let expected = ["57.333333|5.58666664"];
    land(&fixture, &["mca_ActualCost.csv"]).await;
    assert_eq!(rows(&admin, hours).await, expected);
    land(&fixture, &["mca_AmortizedCost.csv"]).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, hours).await, expected);
}

/// Lands a file by the built-in mapping of the amortised export under another name and in another role.
async fn land_as(fixture: &Fixture, role: &str, file: &Path) -> Result<Vec<Landed>, ratehouse::Error> {
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql/landing/azure_ea_amortized.sql");
    let text = std::fs::read_to_string(mapping).expect("the mapping is there");
    let text = text.replace("source: azure_ea_amortized", "source: other_view");
    let text = text.replace("role: amortised", &format!("role: {role}"));
    std::fs::create_dir_all(fixture.path().join("sources")).expect("a folder");
    std::fs::write(fixture.path().join("sources/other_view.sql"), text).expect("a mapping");
    fixture.warehouse.land(&[file.display().to_string()], Some("other_view"), "admin", &|_| {}).await
}

#[tokio::test]
async fn a_second_amortised_source_of_one_cost_is_refused_whole() {
    let fixture = world(EA).await;
    land(&fixture, &["EA_ActualCost_Small.csv", "EA_AmortizedCost_Small.csv"]).await;
    let content = std::fs::read_to_string(sample("EA_AmortizedCost_Small.csv")).expect("the sample is there");
    // The same content would be known.
    let file = fixture.file("amortized.csv", content.trim_end());
    let error = land_as(&fixture, "amortised", &file).await.expect_err("one cost is amortised once").to_string();
    assert!(error.contains("8611537 2023-09 is amortised by source azure_ea_amortized already"), "{error}");
    run(&fixture.admin(), "call refresh()").await;
    assert_eq!(rows(&fixture.admin(), SUMS).await, ["13|8.5450077867419368|5.7941597872099368"]);
}

#[tokio::test]
async fn a_source_of_reference_is_kept_and_never_priced() {
    let fixture = world(EA).await;
    land_as(&fixture, "reference", &sample("EA_AmortizedCost_Small.csv")).await.expect("the sample lands");
    land(&fixture, &["EA_ActualCost_Small.csv"]).await;
    let admin = fixture.admin();
    let slices = "select source, role, rows from ops.slices order by source";
    assert_eq!(rows(&admin, slices).await, ["azure_ea_actual|priced|11", "other_view|reference|28"]);
    // Both views are in usage, one is charged.
    assert_eq!(rows(&admin, "select count(*) from usage").await, ["39"]);
    assert_eq!(rows(&admin, "select count(distinct source_row), max(delivery_id) from charges").await, ["11|2"]);
    assert_eq!(rows(&admin, BLOCKERS).await, NONE);
}
