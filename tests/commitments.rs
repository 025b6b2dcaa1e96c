//! Reservations and savings plans: who has their benefit, who bears what they cost, and the ledger that adds up to zero.

#[path = "commitments/google.rs"]
mod google;
#[path = "commitments/status.rs"]
mod status;

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use ratehouse_udfs::decimal::format_trimmed;

use crate::fixture::{Fixture, Line, copy, refused, rows, run};

/// A savings plan of 100 that north bought: 60 of it covered acme's usage, which costs 90 on demand, 20 covered core's, which costs 50,
/// and 20 were left.
fn plan() -> [Line<'static>; 4] {
    let of_plan = |account, effective, list| Line {
        commitment: "sp-1",
        billed: "0",
        effective,
        list,
        ..Line::usage(account, "0")
    };
    [
        Line { category: "Purchase", billed: "100", ..of_plan("a-north", "0", "100") },
        Line { status: "Used", ..of_plan("a-acme", "60", "90") },
        Line { status: "Used", ..of_plan("a-core", "20", "50") },
        Line { status: "Unused", ..of_plan("a-north", "20", "20") },
    ]
}

async fn with_plan() -> Fixture {
    let fixture = Fixture::chain().await;
    fixture.land("october.csv", &plan()).await;
    fixture
}

/// A policy for everything: `benefit,purchase,unused`.
async fn policy(fixture: &Fixture, terms: &str) {
    fixture.copy("commitment_policies", &format!("policy_id,benefit,purchase,unused\nall,{terms}\n")).await;
    run(&fixture.admin(), "call refresh()").await;
}

const LEDGER: &str = "select entry, policy, owner_node_id, user_node_id, beneficiary_node_id, billed, effective, on_demand, benefit, amount \
                      from commitment_benefits order by 1, 4";
const SALES: &str = "select node_id, cost, price from charges where origin = 'usage' and outcome = 'billed' and node_id <> 'dist' order by 1";
const MOVED: &str = "select entry, node_id, currency, amount from commitment_benefits order by 1, 2";

/// Laws of the ledger, which hold whatever policies say.
async fn assert_zero_sum(fixture: &Fixture) {
    let admin = fixture.admin();
    let sums =
        "select commitment_id, billing_period, currency, sum(amount) as rest from commitment_benefits group by 1, 2, 3";
    assert_eq!(rows(&admin, &format!("select * from ({sums}) where rest <> 0")).await, Vec::<String>::new());
    // Every used and unused unit has an owner and a user.
    let nobodys = "select * from commitment_benefits where owner_node_id is null or entry in ('used', 'unused') and user_node_id is null";
    assert_eq!(rows(&admin, nobodys).await, Vec::<String>::new());
    // What was supplied is what was used and what was not, as the provider's lines have it.
    let supplied = "select (select -sum(amount) from commitment_benefits where entry = 'supplied') \
                    - (select sum(effective_cost) from usage where commitment_discount_id is not null and charge_category = 'Usage')";
    assert_eq!(rows(&admin, supplied).await, ["0"]);
}

#[tokio::test]
async fn by_default_users_have_the_benefit_and_the_root_bears_the_rest() {
    let fixture = with_plan().await;
    // 60 x 1.1, 20 x 1.2; the purchase and what is unused stay with the root.
    assert_eq!(rows(&fixture.admin(), SALES).await, ["acme|0|66", "core|0|24"]);
    assert_eq!(
        rows(&fixture.admin(), LEDGER).await,
        [
            "purchased|retain|north|null|null|100|0|0|0|0",
            "supplied|retain|north|null|null|0|100|0|0|-100",
            "unused|retain|north|dist|null|0|20|0|-20|20",
            "used|user|north|acme|acme|0|60|90|30|60",
            "used|user|north|core|core|0|20|50|30|20",
        ]
    );
    assert_zero_sum(&fixture).await;
    // Nothing is moved, so the root bills nothing by itself.
    assert_eq!(rows(&fixture.admin(), "select count(*) from charges where origin = 'adjustment'").await, ["0"]);
    let portal = "select cost, pricing_category from charges";
    assert_eq!(rows(&fixture.session("portal@acme"), portal).await, ["99|Committed"]);
}

#[tokio::test]
async fn the_purchaser_has_the_benefit_and_bears_what_is_unused() {
    let fixture = with_plan().await;
    policy(&fixture, "purchaser,retain,purchaser").await;
    let admin = fixture.admin();
    // 90 x 1.1, 50 x 1.2: by on-demand cost.
    assert_eq!(rows(&admin, SALES).await, ["acme|0|99", "core|0|60"]);
    // North is given 30 + 30 and bears 20: what is moved is what the ledger says.
    let own = "select node_id, service_name, charge_category, price, price_currency from charges where origin = 'adjustment' order by 2";
    assert_eq!(
        rows(&admin, own).await,
        ["north|Commitment benefit|Adjustment|-60|USD", "north|Unused commitment|Adjustment|20|USD"]
    );
    assert_eq!(
        rows(&admin, LEDGER).await,
        [
            "purchased|retain|north|null|null|100|0|0|0|0",
            "supplied|retain|north|null|null|0|100|0|0|-100",
            "unused|purchaser|north|north|null|0|20|0|-20|20",
            "used|purchaser|north|acme|north|0|60|90|30|60",
            "used|purchaser|north|core|north|0|20|50|30|20",
        ]
    );
    assert_zero_sum(&fixture).await;
    // To those below the root it is usage that nothing covered.
    for login in ["portal@acme", "finance@north"] {
        let category = "select distinct pricing_category from charges where origin = 'usage'";
        assert_eq!(rows(&fixture.session(login), category).await, ["Standard"], "{login}");
        assert_eq!(rows(&fixture.session(login), &category.replace("charges", "charges_daily")).await, ["Standard"]);
    }
    assert_eq!(
        rows(&admin, "select distinct pricing_category from usage where commitment_discount_status = 'Used'").await,
        ["Committed"]
    );
    // Below the root the ledger is what the caller is given or billed, without the plan's name.
    assert_eq!(
        rows(&fixture.session("finance@north"), MOVED).await,
        ["Commitment benefit|north|USD|-60", "Unused commitment|north|USD|20"]
    );
    assert_eq!(rows(&fixture.session("finance@south"), MOVED).await, Vec::<String>::new());
    run(&admin, "call close_period('2025-10')").await;
    // 99 - 60 + 20, and 60.
    let invoices = "select buyer_node_id, total from invoices where seller_node_id = 'dist' order by 1";
    assert_eq!(rows(&admin, invoices).await, ["north|59", "south|60"]);
    let lines = "select kind, amount from invoice_lines l join invoices i using (invoice_id) where i.buyer_node_id = 'north' order by 2";
    assert_eq!(rows(&fixture.session("finance@north"), lines).await, ["adjustment|-60", "adjustment|20", "usage|99"]);
}

#[tokio::test]
async fn the_seller_keeps_the_benefit() {
    let fixture = with_plan().await;
    policy(&fixture, "seller,retain,retain").await;
    assert_eq!(rows(&fixture.admin(), SALES).await, ["acme|0|99", "core|0|60"]);
    assert_eq!(rows(&fixture.admin(), "select count(*) from charges where origin = 'adjustment'").await, ["0"]);
    let kept = "select beneficiary_node_id, sum(benefit) from commitment_benefits where entry = 'used' group by 1";
    assert_eq!(rows(&fixture.admin(), kept).await, ["dist|60"]);
    assert_zero_sum(&fixture).await;
}

#[tokio::test]
async fn what_is_unused_is_shared_by_those_who_used_the_rest() {
    let fixture = with_plan().await;
    policy(&fixture, "user,retain,share").await;
    let admin = fixture.admin();
    // 20 in proportion 60 : 20. South's share goes on to core, north's to acme.
    let own = "select node_id, price from charges where origin = 'adjustment' order by 1";
    assert_eq!(rows(&admin, own).await, ["acme|15", "core|5"]);
    assert_eq!(rows(&fixture.session("portal@acme"), "select sum(cost) from charges").await, ["114"]);
    assert_eq!(rows(&fixture.session("finance@south"), MOVED).await, ["Unused commitment|core|USD|5"]);
    let wasted = "select kind, node_id, provider_name, item, currency, monthly_cost from waste_candidates";
    assert_eq!(rows(&fixture.session("finance@south"), wasted).await, ["unused_commitment|core|null|null|USD|5"]);
    assert_zero_sum(&fixture).await;
    // A rest of division: of 1, a third and two thirds, each cut off, leave 10^-18 with the root.
    let [bought, acme, core, unused] = plan();
    let lines = [
        bought,
        Line { effective: "30", ..acme },
        Line { effective: "60", ..core },
        Line { effective: "1", list: "1", ..unused },
    ];
    fixture.land("october.csv", &lines).await;
    run(&admin, "call refresh()").await;
    let shares = "select user_node_id, amount from commitment_benefits where entry = 'unused' order by 1";
    assert_eq!(
        rows(&admin, shares).await,
        ["acme|0.333333333333333333", "core|0.666666666666666666", "dist|0.000000000000000001"]
    );
    assert_zero_sum(&fixture).await;
}

#[tokio::test]
async fn a_purchase_that_is_passed_comes_back_as_it_amortises() {
    let fixture = Fixture::chain().await;
    let [bought, acme, core, unused] = plan();
    let bought = Line { billed: "200", ..bought };
    fixture.land("october.csv", &[bought, acme, core, unused]).await;
    // In November all of it is used, and no line says who bought it.
    let november = |line: Line<'static>| Line {
        period: "2025-11",
        from: "2025-11-05T00:00:00Z",
        to: "2025-11-05T01:00:00Z",
        ..line
    };
    fixture.land("november.csv", &[november(Line { effective: "100", list: "130", ..acme })]).await;
    policy(&fixture, "user,pass,purchaser").await;
    let admin = fixture.admin();
    let own =
        "select billing_period, node_id, service_name, price from charges where origin = 'adjustment' order by 1, 3";
    assert_eq!(
        rows(&admin, own).await,
        [
            "2025-10-01|north|Commitment amortisation|-100",
            "2025-10-01|north|Commitment purchase|200",
            "2025-10-01|north|Unused commitment|20",
            "2025-11-01|north|Commitment amortisation|-100",
        ]
    );
    // Over the term north bears what nobody used: 200 - 100 + 20 - 100.
    assert_eq!(rows(&admin, "select sum(price) from charges where origin = 'adjustment'").await, ["20"]);
    let purchases =
        "select sum(billed), sum(case when entry in ('used', 'unused') then effective end) from commitment_benefits";
    assert_eq!(rows(&admin, purchases).await, ["200|200"]);
    assert_zero_sum(&fixture).await;
}

#[tokio::test]
async fn what_is_moved_is_converted_as_charges_are() {
    let fixture = with_plan().await;
    let admin = fixture.admin();
    fixture.copy("nodes", "node_id,parent_id,kind,name,currency\neuro,dist,reseller,Euro,EUR\n").await;
    fixture
        .copy("commitment_policies", "policy_id,commitment_id,benefit,owner_node_id\nplan,sp-1,purchaser,euro\n")
        .await;
    run(&admin, "call refresh()").await;
    // There is no rate: it is never taken to be 1.
    let own = "select outcome, price, price_currency, fx_rate_id from charges where origin = 'adjustment'";
    assert_eq!(rows(&admin, own).await, ["unrated|null|EUR|null"]);
    assert!(refused(&admin, "call close_period('2025-10')").await.to_string().contains("unrated"));
    let rates = "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\nx,market,USD,EUR,2025-10-01,0.8\n";
    fixture.copy("fx_rates", rates).await;
    run(&admin, "call refresh()").await;
    // -60 x 0.8
    assert_eq!(rows(&admin, own).await, ["billed|-48|EUR|x"]);
    run(&admin, "call close_period('2025-10')").await;
}

#[tokio::test]
async fn the_more_specific_policy_speaks_and_only_in_its_time() {
    let fixture = with_plan().await;
    let admin = fixture.admin();
    let header = "policy_id,provider_name,commitment_id,buyer_node_id,benefit,unused,valid_from,valid_to\n";
    let policies = "p,Globex,,,seller,retain,,\n\
                    c,,sp-1,,user,purchaser,2025-10-01,2025-11-01\n\
                    b,,,south,seller,retain,,\n\
                    cb,,sp-1,south,purchaser,retain,,\n";
    let text = format!("{header}{policies}").replace(",retain,,\n", ",retain,2000-01-01,\n");
    fixture.copy("commitment_policies", &text).await;
    run(&admin, "call refresh()").await;
    // The plan's policy holds for acme; that for south and the plan for core; and what is unused by the plan's.
    assert_eq!(rows(&admin, SALES).await, ["acme|0|66", "core|0|60"]);
    let policies =
        "select entry, user_node_id, policy from commitment_benefits where entry in ('used', 'unused') order by 1, 2";
    assert_eq!(rows(&admin, policies).await, ["unused|north|purchaser", "used|acme|user", "used|core|purchaser"]);
    // Its time ends before the usage: the provider's policy speaks.
    run(&admin, "update ref.commitment_policies set valid_to = '2025-10-02' where policy_id = 'c'").await;
    let stale = "select distinct stale_reason from ops.slices where stale_since is not null";
    assert_eq!(rows(&admin, stale).await, ["ref.commitment_policies changed"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, SALES).await, ["acme|0|99", "core|0|60"]);
    assert_zero_sum(&fixture).await;
}

#[tokio::test]
async fn a_change_marks_the_slices_that_it_reaches() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    fixture.land("october.csv", &plan()).await;
    let other = Line { billing: "B2", ..Line::usage("a-bolt", "5") };
    let text = crate::fixture::focus(&[other]).replace("Globex", "Initech");
    let path = fixture.file("initech.csv", &text);
    fixture.land_path(&path).await.expect("lands");
    let stale = "select source, provider_name from ops.slices where stale_since is not null order by 1, 2";
    let insert = |values: &str| {
        format!("insert into ref.commitment_policies (policy_id, provider_name, benefit, valid_from) values {values}")
    };
    // Of the provider's slices, and not of another's, nor before its time.
    run(&admin, &insert("('later', 'Globex', 'seller', '2026-01-01')")).await;
    assert_eq!(rows(&admin, stale).await, Vec::<String>::new());
    run(&admin, "delete from ref.commitment_policies").await;
    run(&admin, &insert("('now', 'Globex', 'purchaser', '2025-10-01')")).await;
    assert_eq!(rows(&admin, stale).await, ["focus_1_2|Globex"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, stale).await, Vec::<String>::new());
    // What the root bills by itself depends on the charges of the period.
    let [bought, acme, core, unused] = plan();
    fixture.land("october.csv", &[bought, acme, Line { list: "60", ..core }, unused]).await;
    assert_eq!(rows(&admin, stale).await, ["ratehouse|ratehouse"]);
    run(&admin, "call refresh()").await;
    // 30 + 40
    let own = "select price from charges where origin = 'adjustment'";
    assert_eq!(rows(&admin, own).await, ["-70"]);
    run(&admin, "delete from ref.commitment_policies").await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, own).await, Vec::<String>::new());
}

#[tokio::test]
async fn shares_of_a_pool_are_users_of_the_commitment() {
    let fixture = Fixture::chain().await;
    fixture.copy("pools", "owner_node_id,pool_id,method\ndist,p,percentage\n").await;
    fixture.copy("pool_shares", "owner_node_id,pool_id,node_id,share\ndist,p,north,25\ndist,p,core,75\n").await;
    fixture
        .copy("attribution_rules", "rule_id,owner_node_id,sub_account_id,method,pool_id\nr,dist,a-shared,pool,p\n")
        .await;
    let [bought, acme, _, _] = plan();
    fixture.land("october.csv", &[bought, Line { account: "a-shared", ..acme }]).await;
    policy(&fixture, "purchaser,retain,retain").await;
    // A quarter of 90 at + 10 %, three quarters at + 20 %.
    assert_eq!(rows(&fixture.admin(), SALES).await, ["core|0|81", "north|0|24.75"]);
    let used =
        "select user_node_id, effective, on_demand, benefit from commitment_benefits where entry = 'used' order by 1";
    assert_eq!(rows(&fixture.admin(), used).await, ["core|45|67.5|22.5", "north|15|22.5|7.5"]);
    assert_zero_sum(&fixture).await;
    assert_eq!(rows(&fixture.session("finance@north"), MOVED).await, ["Commitment benefit|north|USD|-30"]);
}

#[tokio::test]
async fn a_policy_that_cannot_be_meant_is_refused() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    for (columns, values, wrong) in [
        ("benefit", "everybody", "benefit must be one of user, purchaser, seller"),
        ("unused", "keep", "unused must be one of retain, purchaser, share"),
        ("purchase", "share", "purchase must be one of retain, pass"),
        ("owner_node_id", "nobody", "node \"nobody\" does not exist"),
        ("buyer_node_id", "acme", "buyer_node_id must be a child of the root"),
        ("buyer_node_id,unused", "north,share", "a policy for a buyer says who has the benefit"),
        ("buyer_node_id,owner_node_id", "north,north", "a policy for a buyer says who has the benefit"),
    ] {
        let csv = format!("policy_id,{columns}\np,{values}\n");
        let error = copy(&admin, "commitment_policies", &csv).await.expect_err(values).to_string();
        assert!(error.contains("ref.commitment_policies (p, ") && error.contains(wrong), "{error}");
    }
    let csv = "policy_id,commitment_id\np,sp-1\nq,sp-1\n";
    let error = copy(&admin, "commitment_policies", csv).await.expect_err("two at once").to_string();
    assert!(error.contains("it overlaps the row valid from"), "{error}");
    // The root buys commitments: to others the table is not there.
    for login in ["admin@north", "finance@north"] {
        let session = fixture.session(login);
        let error = refused(&session, "select * from ref.commitment_policies").await;
        assert_eq!(error.sqlstate, "42P01", "{login}");
        let error = refused(&session, "insert into ref.commitment_policies (policy_id) values ('x')").await;
        assert_eq!(error.sqlstate, "42P01", "{login}");
    }
}

#[tokio::test]
async fn covered_usage_is_explained_from_what_it_was_sold_at() {
    let fixture = with_plan().await;
    policy(&fixture, "purchaser,retain,retain").await;
    let admin = fixture.admin();
    let id = rows(&admin, "select charge_id from charges where node_id = 'acme' and origin = 'usage'").await.remove(0);
    let sale = format!(
        "select base, base_amount, amount from explain_charge('{id}') where kind = 'sale' and buyer_node_id = 'north'"
    );
    assert_eq!(rows(&admin, &sale).await, ["on_demand|90|99"]);
}

fn data(name: &str) -> String {
    format!("{}/../data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A CUR 2.0 made by hand after AWS's documentation, as no real one with savings plans is published.
#[tokio::test]
async fn a_cur_with_savings_plans_nets_to_the_providers_total() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let accounts = "provider_name,billing_account_id,sub_account_id,node_id\n\
                    AWS,000000000001,000000000001,north\nAWS,000000000001,012345678901,core\n";
    fixture.copy("accounts", accounts).await;
    fixture.warehouse.land(&[data("aws/cur2_commitments.csv")], None, "admin", &|_| {}).await.expect("lands");
    policy(&fixture, "purchaser,retain,purchaser").await;
    // What the provider bills: 0.864 after discount, fees of the plan 2 x 0.9 + 525.6, of the reservation 54 + 328.5, marketplace 7.5,
    // credit -12.345678901, refund -0.4, tax 61.83.
    assert_eq!(rows(&admin, "select sum(cost) from charges where origin = 'usage'").await, ["967.348321099"]);
    // Two days of the plan: covered usage of 1.92 and 1.44 on demand, taken back by its negations; 1.2 and 0.9 of it used, of 1.5 a day.
    // The reservation: 10 of 720 hours used, at 0.1125; 1.9 on demand.
    let ledger = "select split_part(commitment_id, ':', 6), entry, user_node_id, beneficiary_node_id, billed, effective, on_demand, amount \
                  from commitment_benefits order by 1, 2, 3";
    assert_eq!(
        rows(&admin, ledger).await,
        [
            "ri|purchased|null|null|382.5|0|0|0",
            "ri|supplied|null|null|0|81|0|-81",
            "ri|unused|north|null|0|79.875|0|79.875",
            "ri|used|core|north|0|1.125|1.9|1.125",
            "savingsplan/sp-1|purchased|null|null|527.4|0|0|0",
            "savingsplan/sp-1|supplied|null|null|0|3|0|-3",
            "savingsplan/sp-1|unused|north|null|0|0.9|0|0.9",
            "savingsplan/sp-1|used|core|north|0|2.1|3.36|2.1",
        ]
    );
    assert_zero_sum(&fixture).await;
    // North: 3.36 - 2.1 and 1.9 - 1.125 of benefit, 0.9 and 79.875 unused.
    assert_eq!(
        rows(&fixture.session("finance@north"), MOVED).await,
        ["Commitment benefit|north|USD|-2.035", "Unused commitment|north|USD|80.775"]
    );
}

/// Seventy-two commitments of one month, generated by somebody else: what was bought is what was used and what was not.
#[tokio::test]
async fn what_was_bought_is_used_or_unused() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let accounts = "provider_name,billing_account_id,sub_account_id,node_id\nAWS,100000000001,,north\n";
    fixture.copy("accounts", accounts).await;
    fixture
        .warehouse
        .land(&[data("focus/synthetic_focus_1_4_cost_and_usage.csv")], None, "admin", &|_| {})
        .await
        .expect("lands");
    let each = "select commitment_id, sum(billed) as bought, -sum(case when entry = 'supplied' then amount end) as supplied, \
                sum(case when entry in ('used', 'unused') then effective end) as borne from commitment_benefits group by 1";
    let sums = format!(
        "select count(*), min(bought), max(bought), min(supplied), max(supplied), min(borne), max(borne) from ({each})"
    );
    assert_eq!(rows(&admin, &sums).await, ["72|64.032|64.032|64.032|64.032|64.032|64.032"]);
    assert_zero_sum(&fixture).await;
}

/// Charge policies, each through to an invoice: a credit passed in part, a refund that is shown and not billed, taxes stripped, and
/// covered usage at its on-demand price for one buyer.
#[tokio::test]
async fn charge_policies_reach_the_invoice() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let policies = "node_id,buyer_node_id,charge_category,charge_class,policy\n\
                    dist,north,Usage,Correction,report\n\
                    dist,south,Usage,,rerate\n\
                    dist,south,Tax,,pass\n";
    fixture.copy("charge_policies", policies).await;
    // Half of the provider's credits for north; whole ones for south.
    fixture.copy("rate_card_versions", "card_id,version,valid_from\nwholesale-north,2,2025-10-01\n").await;
    let rules = "card_id,version,rule_id,charge_category,method,value\n\
                 wholesale-north,2,all,,markup_pct,10\nwholesale-north,2,credits,Credit,markup_pct,-50\n";
    fixture.copy("rate_rules", rules).await;
    fixture.activate("wholesale-north", "2").await;
    fixture.copy("charge_policies", "node_id,buyer_node_id,charge_category,policy\ndist,south,Credit,pass\n").await;
    let of = |account, category, cost| Line { category, ..Line::usage(account, cost) };
    let covered = |account| Line {
        billed: "0",
        effective: "60",
        list: "90",
        commitment: "ri",
        status: "Used",
        ..Line::usage(account, "0")
    };
    let lines = [
        of("a-north", "Usage", "100"),
        of("a-north", "Credit", "-30"),
        of("a-north", "Tax", "19"),
        covered("a-north"),
        of("a-core", "Credit", "-8"),
        of("a-core", "Tax", "7"),
        covered("a-core"),
        // A refund.
        Line { class: "Correction", ..of("a-north", "Usage", "-40") },
    ];
    fixture.land("october.csv", &lines).await;
    run(&admin, "call close_period('2025-10')").await;
    // North: 100 x 1.1 + 60 x 1.1 - 30 x 0.5; its refund of -40 x 1.1 is shown, its tax stripped.
    // South: 90 x 1.2 - 8 + 7.
    let invoices = "select buyer_node_id, total from invoices where seller_node_id = 'dist' order by 1";
    assert_eq!(rows(&admin, invoices).await, ["north|161", "south|107"]);
    let north = "select charge_category, outcome, sum(cost) from charges group by 1, 2 order by 1, 2";
    assert_eq!(
        rows(&fixture.session("finance@north"), north).await,
        ["Credit|billed|-15", "Usage|billed|176", "Usage|reported|-44"]
    );
    // South's customer knows nothing of the reservation; north, which has its benefit, does.
    let categories =
        "select pricing_category, count(*) from charges where charge_category = 'Usage' group by 1 order by 1";
    assert_eq!(rows(&fixture.session("finance@south"), categories).await, ["Standard|1"]);
    assert_eq!(rows(&fixture.session("finance@north"), categories).await, ["Committed|1", "Standard|2"]);
}

/// A line of a random month, in cents.
struct Random {
    commitment: &'static str,
    kind: &'static str,
    account: &'static str,
    billed: i128,
    effective: i128,
    list: i128,
}

fn random_month(random: &mut StdRng) -> Vec<Random> {
    let accounts = ["a-acme", "a-bolt", "a-core", "a-north", "nobodys"];
    let mut lines = Vec::new();
    for commitment in ["ri-1", "sp-2"] {
        let account = *accounts.choose(random).expect("an account");
        let mut line = |kind, account, billed, effective, list| {
            lines.push(Random { commitment, kind, account, billed, effective, list });
        };
        line("Purchase", account, random.random_range(0..99_999), 0, 0);
        for _ in 0..random.random_range(0..6) {
            let effective = random.random_range(0..5_000);
            line("Used", accounts.choose(random).expect("an account"), 0, effective, random.random_range(0..9_000));
        }
        if random.random_bool(0.8) {
            let unused = random.random_range(0..5_000);
            line("Unused", account, 0, unused, unused);
        }
    }
    lines
}

fn node_of(account: &str) -> &str {
    if account == "nobodys" { "dist" } else { &account[2..] }
}

/// What nodes below the root are billed for commitments, worked out line by line; scale 18.
fn expected(lines: &[Random], [benefit, purchase, unused]: [&str; 3]) -> BTreeMap<(String, &'static str), i128> {
    const CENT: i128 = 10_000_000_000_000_000;
    let mut moved = BTreeMap::new();
    let mut bill = |node: &str, what, amount: i128| *moved.entry((node.to_owned(), what)).or_insert(0) += amount;
    for commitment in ["ri-1", "sp-2"] {
        let of = |kind: &'static str| lines.iter().filter(move |l| l.commitment == commitment && l.kind == kind);
        let owner = node_of(of("Purchase").next().expect("a purchase").account);
        let used: i128 = of("Used").map(|line| line.effective).sum();
        let left: i128 = of("Unused").map(|line| line.effective).sum();
        if benefit == "purchaser" {
            of("Used").for_each(|line| bill(owner, "Commitment benefit", -(line.list - line.effective) * CENT));
        }
        match unused {
            "purchaser" => bill(owner, "Unused commitment", left * CENT),
            "share" if used > 0 => {
                let mut users: BTreeMap<&str, i128> = BTreeMap::new();
                of("Used").for_each(|line| *users.entry(node_of(line.account)).or_default() += line.effective);
                for (user, weight) in users {
                    bill(user, "Unused commitment", left * CENT * weight / used);
                }
            }
            _ => {}
        }
        if purchase == "pass" {
            of("Purchase").for_each(|line| bill(owner, "Commitment purchase", line.billed * CENT));
            bill(owner, "Commitment amortisation", -(used + left) * CENT);
        }
    }
    moved.retain(|(node, _), amount| node != "dist" && *amount != 0);
    moved
}

/// Random months under every kind of policy: the ledger adds up to zero, and what is moved is what a slow computation moves.
#[tokio::test]
async fn random_months_are_moved_exactly() {
    let mut random = StdRng::seed_from_u64(20);
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let terms = [["user", "purchaser", "seller"], ["retain", "pass", "pass"], ["retain", "purchaser", "share"]];
    let mut seen = 0;
    for month in 0..12 {
        let terms = terms.map(|words| *words.choose(&mut random).expect("a word"));
        let lines = random_month(&mut random);
        let cents = |amount: i128| format!("{}.{:02}", amount / 100, amount % 100);
        let texts: Vec<[String; 3]> =
            lines.iter().map(|line| [line.billed, line.effective, line.list].map(cents)).collect();
        // Each month has commitments of its own: whose they are is told by its own lines.
        let names: BTreeMap<&str, String> = ["ri-1", "sp-2"].map(|name| (name, format!("{name}-{month}"))).into();
        let period = format!("2025-{:02}", month + 1);
        let [from, to] = ["05T00", "05T01"].map(|hour| format!("{period}-{hour}:00:00Z"));
        let rows_of_month: Vec<Line<'_>> = lines
            .iter()
            .zip(&texts)
            .map(|(line, [billed, effective, list])| Line {
                period: &period,
                from: &from,
                to: &to,
                category: if line.kind == "Purchase" { "Purchase" } else { "Usage" },
                status: if line.kind == "Purchase" { "" } else { line.kind },
                commitment: &names[line.commitment],
                billed,
                effective,
                list,
                ..Line::usage(line.account, "0")
            })
            .collect();
        fixture.land(&format!("{period}.csv"), &rows_of_month).await;
        let [benefit, purchase, unused] = terms;
        let insert = format!(
            "insert into ref.commitment_policies (policy_id, benefit, purchase, unused, valid_from, valid_to) values \
             ('m{month}', '{benefit}', '{purchase}', '{unused}', '{period}-01', '{period}-28')"
        );
        run(&admin, &insert).await;
        run(&admin, "call refresh()").await;
        let own = format!(
            "select node_id, service_name, price from charges where origin = 'adjustment' and billing_period = date '{period}-01' order by 1, 2"
        );
        let wanted: Vec<String> = expected(&lines, terms)
            .into_iter()
            .map(|((node, what), amount)| format!("{node}|{what}|{}", format_trimmed(amount, 18, 0)))
            .collect();
        assert_eq!(rows(&admin, &own).await, wanted, "{period}: {terms:?}");
        seen += wanted.len();
    }
    assert_zero_sum(&fixture).await;
    assert!(seen > 20, "{seen}");
}
