//! Shared cost: rows become the shares of a pool, add up to what they were, and say to the pool's owner alone whose they were.

use crate::fixture::{Fixture, Line, copy, refused, rows, run};

const POOL: &str = "owner_node_id,pool_id,method,driver,fallback_node_id,disclose\n";
const SHARES: &str = "owner_node_id,pool_id,node_id,share\n";
const RULES: &str = "rule_id,owner_node_id,sub_account_id,service_name,method,pool_id\n";

/// What every node of the chain pays for shares, by path: `node_path|cost` as the root's `charges_by_tier` has it.
const TIERS: &str = "select payer_node_id, sum(amount) from charges_by_tier t join charges c using (charge_id) \
                     where fate <> 'direct' group by 1 order by 1";

/// The chain with a shared account that north pays for, and a rule that puts it into north's pool `network`.
async fn shared(pool: &str, shares: &str) -> Fixture {
    let fixture = Fixture::chain().await;
    fixture.accounts("a-shared,north").await;
    fixture.copy("pools", &format!("{POOL}north,network,{pool}\n")).await;
    if !shares.is_empty() {
        fixture.copy("pool_shares", &format!("{SHARES}{shares}")).await;
    }
    fixture.copy("attribution_rules", &format!("{RULES}net,north,a-shared,,pool,network\n")).await;
    fixture
}

fn line(cost: &str) -> Line<'_> {
    Line { resource: "nat-1", description: "NAT gateway", tags: r#"{"team": "core"}"#, ..Line::usage("a-shared", cost) }
}

#[tokio::test]
async fn a_pool_is_shared_priced_and_invoiced() {
    let fixture =
        shared("percentage,,,", "north,network,acme,30\nnorth,network,bolt,60\nnorth,network,north,10\n").await;
    fixture.land("october.csv", &[line("100"), Line::usage("a-acme", "50")]).await;
    let admin = fixture.admin();
    // North pays 100 + 10 % = 110, of which acme has 33, bolt 66 and north keeps 11; it sells at + 50 %: 49.50 and 99.
    assert_eq!(rows(&admin, TIERS).await, ["acme|49.5", "bolt|99", "dist|100", "north|110"]);
    let shares =
        "select node_path, fate, pool_id, cost, price, resource_id from charges where pool_id is not null order by 1";
    assert_eq!(
        rows(&admin, shares).await,
        [
            "dist/north|allocated|network|10|11|nat-1",
            "dist/north/acme|allocated|network|30|33|nat-1",
            "dist/north/bolt|allocated|network|60|66|nat-1"
        ]
    );
    assert_eq!(
        rows(&fixture.session("finance@north"), shares).await,
        [
            "north|allocated|network|11|null|nat-1",
            "north/acme|allocated|network|33|49.5|nat-1",
            "north/bolt|allocated|network|66|99|nat-1"
        ]
    );
    // The customer sees what it pays, and that it is a share of something.
    let own = "select fate, cost, service_name, quantity, pool_id, driver, sub_account_id, resource_id, description, tags from charges \
               where fate = 'allocated'";
    let portal = fixture.session("portal@acme");
    assert_eq!(rows(&portal, own).await, ["allocated|49.5|Machines|0.3|null|null|null|null|null|null"]);
    for hidden in
        ["sub_account_id = 'a-shared'", "resource_id like 'nat%'", "tags ->> 'team' = 'core'", "description <> ''"]
    {
        let found = rows(&portal, &format!("select count(*) from charges where {hidden}")).await;
        assert_eq!(found, ["0"], "{hidden}");
    }
    assert_eq!(rows(&portal, "select count(*) from charges where sub_account_id is null").await, ["1"]);
    assert_eq!(
        rows(&portal, "select sub_account_id, cost from charges_daily order by 2").await,
        ["null|49.5", "a-acme|82.5"]
    );
    // One invoice: 50 x 1.1 x 1.5 = 82.50 of its own, and the share.
    run(&admin, "call close_period('2025-10')").await;
    run(&admin, "call issue_invoices('2025-10')").await;
    let invoices = "select buyer_node_id, total from invoices order by 1";
    // North: (50 + 100) x 1.1 = 165.
    assert_eq!(rows(&admin, invoices).await, ["acme|132", "bolt|99", "north|165"]);
}

#[tokio::test]
async fn thirds_leave_their_rest_with_the_owner() {
    let fixture = shared("even,,,", "").await;
    fixture.nodes("dole,north,customer").await;
    fixture.land("october.csv", &[line("100")]).await;
    // 110 / 3 = 36.666 666 666 666 666 666, cut off; 110 - 3 x that = 2 in the last place stays with north.
    let found = rows(&fixture.session("finance@north"), "select node_id, cost from charges order by 1").await;
    let third = "36.666666666666666666";
    assert_eq!(
        found,
        [
            format!("acme|{third}"),
            format!("bolt|{third}"),
            format!("dole|{third}"),
            "north|0.000000000000000002".to_owned()
        ]
    );
    assert_eq!(rows(&fixture.admin(), "select sum(cost), sum(price) from charges").await, ["100|110"]);
}

#[tokio::test]
async fn p21_an_idle_pool_falls_back_and_a_driver_splits_by_what_was_used() {
    // F12: all weights zero; 27.00 goes to the fallback.
    let fixture = shared("usage,cores,bolt,", "").await;
    let quantities = "owner_node_id,driver,node_id,resource_id,quantity,valid_from,valid_to\n\
                      north,cores,acme,,0,2025-10-01,2025-11-01\nnorth,cores,bolt,,0,2025-10-01,2025-11-01\n";
    fixture.copy("drivers", quantities).await;
    fixture.land("october.csv", &[line("27")]).await;
    let split = "select node_id, cost, driver from charges order by 1";
    // 27 x 1.1
    assert_eq!(rows(&fixture.session("finance@north"), split).await, ["bolt|29.7|cores"]);
    // Measured: 3 of 4 cores in the hour of the row, for acme; what is measured of another resource does not count.
    let admin = fixture.admin();
    run(&admin, "delete from ref.drivers").await;
    let measured = "owner_node_id,driver,node_id,resource_id,quantity,valid_from,valid_to\n\
                    north,cores,acme,nat-1,72,2025-10-05,2025-10-06\nnorth,cores,bolt,nat-1,1,2025-10-05,2025-10-05T01:00:00Z\n\
                    north,cores,bolt,nat-2,500,2025-10-05,2025-10-06\n";
    fixture.copy("drivers", measured).await;
    run(&admin, "call refresh()").await;
    // 72 in a day is 3 in the hour: 29.70 x 3/4 = 22.275.
    assert_eq!(rows(&fixture.session("finance@north"), split).await, ["acme|22.275|cores", "bolt|7.425|cores"]);
    // Without a fallback what nobody used stays with the owner.
    run(&admin, "delete from ref.drivers").await;
    run(&admin, "update ref.pools set fallback_node_id = null").await;
    run(&admin, "call refresh()").await;
    assert_eq!(
        rows(&fixture.session("finance@north"), "select node_id, cost, fate from charges").await,
        ["north|29.7|unallocated"]
    );
    assert_eq!(rows(&fixture.session("finance@north"), "select node_id, cost from unallocated").await, ["north|29.7"]);
}

#[tokio::test]
async fn a_share_is_shared_further_below() {
    let fixture = shared("percentage,,,true", "north,network,acme,50\nnorth,network,bolt,50\n").await;
    fixture.nodes("web,acme,business_unit\nshop,acme,business_unit\nfront,web,team").await;
    fixture.copy("pools", &format!("{POOL}acme,units,percentage,,,\nweb,teams,even,,,\n")).await;
    fixture.copy("pool_shares", &format!("{SHARES}acme,units,web,75\nacme,units,shop,25\n")).await;
    let rules = "u,acme,,Machines,pool,units\nt,web,,Machines,pool,teams\n";
    fixture.copy("attribution_rules", &format!("{RULES}{rules}")).await;
    fixture.user("finance@acme", "acme", "finance").await;
    fixture.land("october.csv", &[line("200")]).await;
    // Acme pays half of 200 x 1.1 x 1.5 = 330: 165, of which web has 123.75, all of it front's; shop 41.25.
    let found =
        rows(&fixture.session("finance@acme"), "select node_path, cost, pool_id, resource_id from charges order by 1")
            .await;
    assert_eq!(found, ["acme/shop|41.25|units|nat-1", "acme/web/front|123.75|teams|nat-1"]);
    assert_eq!(
        rows(&fixture.admin(), TIERS).await,
        ["acme|165", "bolt|165", "dist|200", "front|123.75", "north|220", "shop|41.25", "web|123.75"]
    );
}

#[tokio::test]
async fn shares_change_within_a_month() {
    let fixture = shared("percentage,,,", "").await;
    let shares = "owner_node_id,pool_id,node_id,share,valid_from,valid_to\n\
                  north,network,acme,100,2025-10-01,2025-10-11\n\
                  north,network,acme,40,2025-10-11,\nnorth,network,bolt,60,2025-10-11,\n";
    fixture.copy("pool_shares", shares).await;
    fixture.land("october.csv", &[Line { resource: "nat-1", ..Line::october("a-shared", "310") }]).await;
    // 10 a day, 11 to north: ten days acme's, 21 days 40 : 60. Acme 110 + 92.4 = 202.4, sold at + 50 %: 303.6.
    let portal = "select count(*), sum(cost), min(charge_period_start), max(charge_period_end) from charges";
    assert_eq!(
        rows(&fixture.session("portal@acme"), portal).await,
        ["1|303.6|2025-10-01T00:00:00Z|2025-11-01T00:00:00Z"]
    );
    let found =
        rows(&fixture.session("finance@north"), "select node_id, sum(cost) from charges group by 1 order by 1").await;
    // A 31st does not come out even: what is left of the quantity stays with north, with nothing to pay for it.
    assert_eq!(found, ["acme|202.4", "bolt|138.6", "north|0"]);
}

#[tokio::test]
async fn a_row_cut_by_a_move_above_is_one_charge_beside_a_share() {
    let fixture = shared("percentage,,,", "north,network,acme,100\n").await;
    // North moves below east within the month: rows of acme lie in files of two of the root's children, a share in one of them.
    fixture.nodes("east,dist,reseller").await;
    fixture.card("wholesale-east", "dist", "east", "markup_pct", "10").await;
    run(&fixture.admin(), "update ref.nodes set valid_to = '2025-10-12' where node_id = 'north'").await;
    let row = "node_id,parent_id,kind,name,currency,valid_from\nnorth,east,reseller,North,USD,2025-10-12\n";
    fixture.copy("nodes", row).await;
    fixture.card("east-north", "east", "north", "markup_pct", "0").await;
    fixture.land("october.csv", &[line("100"), Line::october("a-acme", "310")]).await;
    // 310 x 1.1 x 1.5 as one charge, 100 x 1.1 x 1.5 as the other.
    let portal = fixture.session("portal@acme");
    let charges = "select fate, cost, charge_period_end from charges order by 1";
    assert_eq!(
        rows(&portal, charges).await,
        ["allocated|165|2025-10-05T01:00:00Z", "direct|511.5|2025-11-01T00:00:00Z"]
    );
    let daily = "select fate, sum(cost), sum(usage_rows), count(*) from charges_daily group by 1 order by 1";
    assert_eq!(rows(&portal, daily).await, ["allocated|165|1|1", "direct|511.5|1|1"]);
}

#[tokio::test]
async fn fixed_amounts_are_of_the_whole_period() {
    let fixture = shared("fixed,,,", "north,network,acme,60\nnorth,network,bolt,90\n").await;
    fixture.land("october.csv", &[line("100"), line("20")]).await;
    let split = "select node_id, sum(cost) from charges group by 1 order by 1";
    let finance = fixture.session("finance@north");
    // The pool costs north 120 x 1.1 = 132: acme has 60 of that, bolt 90, and north is 18 ahead.
    assert_eq!(rows(&finance, split).await, ["acme|60", "bolt|90", "north|-18"]);
    // More of the pool, in another slice: the shares are what they were, and north has the rest.
    let more = Line { billing: "B2", ..line("80") };
    fixture
        .copy("accounts", "provider_name,billing_account_id,sub_account_id,node_id\nGlobex,B2,a-shared,north\n")
        .await;
    fixture.land("more.csv", &[more]).await;
    run(&fixture.admin(), "call refresh()").await;
    // 200 x 1.1 = 220; each row gives its part, cut off after 18 digits.
    let shown = "select node_id, round(sum(cost), 12) from charges group by 1 order by 1";
    assert_eq!(rows(&finance, shown).await, ["acme|60", "bolt|90", "north|70"]);
    assert_eq!(rows(&finance, "select sum(cost) from charges").await, ["220"]);
    // What acme pays for its share is priced as any charge: + 50 %.
    assert_eq!(rows(&fixture.session("portal@acme"), "select round(sum(cost), 12) from charges").await, ["90"]);
}

#[tokio::test]
async fn what_a_pool_cannot_be_is_refused() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let cases = [
        ("pools", POOL, "north,p,usage,,,\n", "23514", "needs a driver"),
        ("pools", POOL, "north,p,even,cores,,\n", "23514", "only a pool by usage has a driver"),
        ("pools", POOL, "north,p,luck,,,\n", "23514", "method must be one of"),
        ("pools", POOL, "north,p,even,,core,\n", "23514", "owner's subtree"),
        ("pool_shares", SHARES, "north,p,acme,5\n", "23503", "the pool does not exist"),
        ("attribution_rules", RULES, "r,north,,,pool,p\n", "23503", "no pool \"p\""),
        ("attribution_rules", RULES, "r,north,,,direct,p\n", "23514", "a direct rule names a node_id"),
        (
            "drivers",
            "owner_node_id,driver,node_id,quantity,valid_from,valid_to\n",
            "north,d,acme,-1,2025-10-01,2025-10-02\n",
            "23514",
            "quantity must be",
        ),
    ];
    for (table, header, row, sqlstate, message) in cases {
        let error = copy(&admin, table, &format!("{header}{row}")).await.expect_err(row);
        assert_eq!(error.sqlstate, sqlstate, "{row}: {error}");
        assert!(error.to_string().contains(message), "{row}: {error}");
    }
    fixture.copy("pools", &format!("{POOL}north,p,percentage,,,\n")).await;
    let error =
        copy(&admin, "pool_shares", &format!("{SHARES}north,p,acme,30\nnorth,p,bolt,60\n")).await.expect_err("90 %");
    assert!(error.to_string().contains("add up to 90 percent"), "{error}");
    fixture.copy("pool_shares", &format!("{SHARES}north,p,acme,30\nnorth,p,bolt,70\n")).await;
    let error = refused(&admin, "update ref.pool_shares set share = 31 where node_id = 'acme'").await;
    assert!(error.to_string().contains("add up to 101 percent"), "{error}");
    // A pool with shares or rules stays.
    let error = refused(&admin, "delete from ref.pools").await;
    assert_eq!(error.sqlstate, "23503", "{error}");
    // Other nodes' pools are not there for a reseller.
    let south = fixture.session("finance@south");
    assert!(rows(&south, "select * from ref.pools").await.is_empty());
    let error =
        refused(&south, "insert into ref.pools (owner_node_id, pool_id, method) values ('north', 'q', 'even')").await;
    assert_eq!(error.sqlstate, "42501", "{error}");
}
