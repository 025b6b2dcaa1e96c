//! Credits: granted, split edge by edge, drawn in a fixed order and never twice, lost when they expire; a ledger that adds up to zero.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::fixture::{Fixture, Line, copy, refused, rows, run};

const CREDITS: &str = "credit_id,seller_node_id,node_id,kind,source,amount,currency,valid_from,expires_at\n";
const POLICIES: &str = "node_id,kind,policy,keep_share,pass_share\n";
const NONE: [&str; 0] = [];

/// Credits that need no approval, given at once.
async fn grant(fixture: &Fixture, credits: &str) {
    fixture.copy("credits", &format!("{CREDITS}{credits}")).await;
    for credit in credits.lines().filter_map(|line| line.split(',').next()) {
        run(&fixture.admin(), &format!("call submit('credit', '{credit}', 'agreed')")).await;
    }
}

/// An hour in a month.
fn hour<'a>(period: &'a str, [from, to]: [&'a str; 2], account: &'a str, cost: &'a str) -> Line<'a> {
    Line { period, from, to, ..Line::usage(account, cost) }
}

fn november<'a>(account: &'a str, cost: &'a str) -> Line<'a> {
    hour("2025-11", ["2025-11-05T00:00:00Z", "2025-11-05T01:00:00Z"], account, cost)
}

fn december<'a>(account: &'a str, cost: &'a str) -> Line<'a> {
    hour("2025-12", ["2025-12-05T00:00:00Z", "2025-12-05T01:00:00Z"], account, cost)
}

/// What was drawn, by month, buyer and credit, as the root sees it.
const DRAWN: &str = "select c.billing_period::text, t.payer_node_id, c.sku_id, -t.amount from charges c join charges_by_tier t using (charge_id) \
                     where c.origin = 'credit' order by 1, 2, 3";

async fn closed(fixture: &Fixture, period: &str) {
    run(&fixture.admin(), &format!("call close_period('{period}')")).await;
}

async fn issued(fixture: &Fixture, period: &str) {
    closed(fixture, period).await;
    run(&fixture.admin(), &format!("call issue_invoices('{period}')")).await;
}

/// Every entry adds up to zero for everybody, and no balance falls below zero at any time.
async fn assert_balanced(fixture: &Fixture, logins: &[&str]) {
    for login in logins {
        let session = fixture.session(login);
        let unequal = "select credit_id, entry_id, currency, sum(amount) from credits_ledger group by 1, 2, 3 having sum(amount) <> 0";
        assert_eq!(rows(&session, unequal).await, NONE, "{login}");
        let balances = "select * from (select credit_id, buyer_node_id, at, sum(amount) over (partition by credit_id, seller_node_id, buyer_node_id \
                        order by at, entry_id) as balance from credits_ledger where account = 'balance') b where balance < 0";
        assert_eq!(rows(&session, balances).await, NONE, "{login}");
    }
}

#[tokio::test]
async fn ten_thousand_split_three_two_and_five_reach_the_invoices() {
    let fixture = Fixture::chain().await;
    fixture.copy("credit_policies", &format!("{POLICIES}dist,,split,3,7\nnorth,,split,2,5\n")).await;
    grant(&fixture, "map,dist,acme,promotional,MAP 2025,10000,USD,2025-10-01,2026-01-01\n").await;
    fixture.land("october.csv", &[Line::usage("a-acme", "3000")]).await;
    fixture.land("november.csv", &[november("a-acme", "4000")]).await;
    for period in ["2025-10", "2025-11"] {
        issued(&fixture, period).await;
    }
    let admin = fixture.admin();
    // North pays + 10 %: 3,300 and 4,400, less 7,000 in all. Acme pays + 50 % on that: 4,950 and 6,600, less 5,000.
    let drawn = [
        "2025-10-01|acme|map|4950",
        "2025-10-01|north|map|3300",
        "2025-11-01|acme|map|50",
        "2025-11-01|north|map|3700",
    ];
    assert_eq!(rows(&admin, DRAWN).await, drawn);
    let invoices = "select billing_period, buyer_node_id, subtotal, credits, total from invoices order by 1, 2";
    assert_eq!(
        rows(&admin, invoices).await,
        [
            "2025-10|acme|4950|-4950|0",
            "2025-10|north|3300|-3300|0",
            "2025-11|acme|6600|-50|6550",
            "2025-11|north|4400|-3700|700"
        ]
    );
    let lines = "select kind, charge_category, description, amount from invoice_lines where billing_period = '2025-11' order by line_no";
    assert_eq!(
        rows(&fixture.session("portal@acme"), lines).await,
        ["usage|Usage|Globex usage|6600", "credit|Credit|Credit: MAP 2025|-50"]
    );
    let passed = "select node_id, kind, currency, received, kept, passed, applied, expired, open from credits_received_vs_passed \
                  where way = 'grant' order by 1";
    let (dist, north) =
        ("dist|promotional|USD|10000|3000|7000|7000|0|0", "north|promotional|USD|7000|2000|5000|5000|0|0");
    assert_eq!(rows(&admin, passed).await, [dist, north]);
    // North does not learn of the 10,000, nor acme of anything but its 5,000.
    assert_eq!(rows(&fixture.session("finance@north"), passed).await, [north]);
    let sums = "select seller_node_id, buyer_node_id, entry, account, sum(amount) from credits_ledger group by 1, 2, 3, 4 order by 1, 2, 3, 4";
    let of_acme = [
        "north|acme|application|applied|5000",
        "north|acme|application|balance|-5000",
        "north|acme|grant|balance|5000",
        "north|acme|grant|granted|-5000",
    ];
    assert_eq!(rows(&fixture.session("portal@acme"), sums).await, of_acme);
    let of_north = [
        "dist|north|application|applied|7000",
        "dist|north|application|balance|-7000",
        "dist|north|grant|balance|7000",
        "dist|north|grant|granted|-7000",
    ];
    let books = ["north|null|split|granted|5000", "north|null|split|received|-7000", "north|null|split|retained|2000"];
    assert_eq!(rows(&fixture.session("finance@north"), sums).await, [&of_north[..], &of_acme, &books].concat());
    // Who sees no margins of north's sees what north buys only.
    fixture.user("portal@north", "north", "portal").await;
    assert_eq!(rows(&fixture.session("portal@north"), sums).await, of_north);
    assert_eq!(rows(&fixture.session("finance@south"), sums).await, NONE);
    assert_balanced(&fixture, &["admin", "finance@north", "portal@north", "portal@acme"]).await;
    // What the run rate is without credits stays visible.
    let gross = "select sum(case when origin = 'usage' then cost end), sum(cost) from charges";
    assert_eq!(rows(&fixture.session("portal@acme"), gross).await, ["11550|6550"]);
    assert_eq!(rows(&admin, "select * from ops.reconciliation where status <> 'ok'").await, NONE);
    assert_eq!(rows(&admin, "select * from ops.close_blockers").await, NONE);
    // A node that shows nothing of its sales shows nothing of this.
    run(&admin, "update ref.nodes set disclose_up = false where node_id = 'north'").await;
    assert_eq!(rows(&admin, passed).await, [dist]);
}

#[tokio::test]
async fn what_expires_first_is_drawn_first_and_the_rest_in_later_months() {
    let fixture = Fixture::chain_with_usage().await;
    grant(
        &fixture,
        "z-first,dist,north,incentive,Rebate,100,USD,2025-10-01,2025-12-01\n\
         a-second,dist,north,incentive,Rebate,1000,USD,2025-10-01,2026-01-01\n\
         b-second,dist,north,promotional,Start,30,USD,2025-11-20,2026-01-01\n\
         c-last,dist,north,promotional,Gift,50,USD,2025-10-01,\n",
    )
    .await;
    fixture.land("november.csv", &[november("a-acme", "1000")]).await;
    // A month that comes to less than nothing draws nothing.
    fixture.land("december.csv", &[december("a-acme", "-10")]).await;
    let january = hour("2026-01", ["2026-01-05T00:00:00Z", "2026-01-05T01:00:00Z"], "a-acme", "20");
    fixture.land("january.csv", &[january]).await;
    run(&fixture.admin(), "call apply_credits('2026-01')").await;
    // October: 341. November: 1,100, of which 759 + 30 + 50 are drawn. Nothing is left for January.
    assert_eq!(
        rows(&fixture.admin(), DRAWN).await,
        [
            "2025-10-01|north|a-second|241",
            "2025-10-01|north|z-first|100",
            "2025-11-01|north|a-second|759",
            "2025-11-01|north|b-second|30",
            "2025-11-01|north|c-last|50"
        ]
    );
    assert_balanced(&fixture, &["admin", "finance@north"]).await;
}

#[tokio::test]
async fn what_is_left_at_expiry_is_breakage_and_what_is_not_yet_shows_when() {
    let fixture = Fixture::chain_with_usage().await;
    grant(
        &fixture,
        "old,dist,north,promotional,Old,500,USD,2025-10-01,2025-11-01\n\
         new,dist,south,promotional,New,700.25,USD,2025-10-01,2999-01-01\n",
    )
    .await;
    fixture.land("november.csv", &[november("a-acme", "1000"), november("a-core", "100")]).await;
    closed(&fixture, "2025-10").await;
    closed(&fixture, "2025-11").await;
    let admin = fixture.admin();
    // North's 341 of October take 341 of 500; the other 159 are lost. South: 480 of October, 120 of November, 100.25 are left.
    let ledger = "select at::text, entry, account, amount, billing_period::text from credits_ledger \
                  where credit_id = 'old' and buyer_node_id is not null order by at, entry, account";
    assert_eq!(
        rows(&admin, ledger).await,
        [
            "2025-10-01 00:00:00+00|grant|balance|500|null",
            "2025-10-01 00:00:00+00|grant|granted|-500|null",
            "2025-11-01 00:00:00+00|application|applied|341|2025-10-01",
            "2025-11-01 00:00:00+00|application|balance|-341|2025-10-01",
            "2025-11-01 00:00:00+00|breakage|balance|-159|null",
            "2025-11-01 00:00:00+00|breakage|breakage|159|null",
        ]
    );
    let expiring = "select credit_id, buyer_node_id, granted, applied, balance, expires_at::date::text, days_left > 300000 from credits_expiring";
    let left = ["new|south|700.25|600|100.25|2999-01-01|true"];
    assert_eq!(rows(&admin, expiring).await, left);
    assert_eq!(rows(&fixture.session("finance@south"), expiring).await, left);
    assert_eq!(rows(&fixture.session("finance@north"), expiring).await, NONE);
    let passed = "select kind, received, kept, passed, applied, expired, open from credits_received_vs_passed where way = 'grant' and node_id = 'dist'";
    assert_eq!(rows(&admin, passed).await, ["promotional|1200.25|0|1200.25|941|159|100.25"]);
    assert_balanced(&fixture, &["admin", "finance@north", "finance@south"]).await;
    // Its expiry can be brought forward, and nothing else of what was given changes.
    for change in
        ["expires_at = '2999-06-01'", "expires_at = null", "amount = 1", "node_id = 'north'", "status = 'draft'"]
    {
        let error = refused(&admin, &format!("update ref.credits set {change} where credit_id = 'new'")).await;
        assert_eq!(error.sqlstate, "42501", "{change}: {error}");
    }
    assert_eq!(refused(&admin, "delete from ref.credits where credit_id = 'new'").await.sqlstate, "42501");
    run(&admin, "update ref.credits set expires_at = '2025-12-01' where credit_id = 'new'").await;
    assert_eq!(rows(&admin, expiring).await, NONE);
    assert_eq!(rows(&admin, passed).await, ["promotional|1200.25|0|1200.25|941|259.25|0"]);
}

#[tokio::test]
async fn amounts_from_a_threshold_on_wait_for_another_person() {
    let fixture = Fixture::chain_with_usage().await;
    let rules = "rule_id,kind,seller_node_id,role,min_amount\nr,credit,dist,finance,100\n";
    fixture.copy("approval_rules", rules).await;
    let (seller, boss) = (fixture.session("admin@north"), fixture.session("finance@north"));
    let credits = "small.north,north,acme,service_level,Outage,99.99,USD,2025-10-01,2026-01-01\n\
                   large.north,north,acme,service_level,Outage,100,USD,2025-10-01,2025-12-31\n";
    copy(&seller, "credits", &format!("{CREDITS}{credits}")).await.expect("the rows are right");
    for (status, login) in [("active", &seller), ("pending", &seller), ("active", &boss)] {
        let sql = format!("update ref.credits set status = '{status}' where credit_id = 'large.north'");
        assert_eq!(refused(login, &sql).await.sqlstate, "42501");
    }
    for credit in ["small.north", "large.north"] {
        run(&seller, &format!("call submit('credit', '{credit}', 'outage of the third')")).await;
    }
    let states = "select credit_id, status from ref.credits order by 1";
    assert_eq!(rows(&boss, states).await, ["large.north|pending", "small.north|active"]);
    run(&fixture.admin(), "call refresh()").await;
    // Acme pays 165.
    assert_eq!(rows(&fixture.admin(), DRAWN).await, ["2025-10-01|acme|small.north|99.99"]);
    // Its proposer does not approve it, nor does who has not the role; what is rejected begins anew.
    assert_eq!(refused(&seller, "call approve('credit', 'large.north', 'mine')").await.sqlstate, "42501");
    run(&boss, "call reject('credit', 'large.north', 'which outage?')").await;
    run(&boss, "call submit('credit', 'large.north', 'that of the fourth')").await;
    assert_eq!(refused(&boss, "call approve('credit', 'large.north', 'mine')").await.sqlstate, "42501");
    fixture.user("cfo@north", "north", "finance").await;
    let error = refused(&fixture.session("finance@south"), "call approve('credit', 'large.north', 'why')").await;
    assert_eq!(error.sqlstate, "42704", "{error}");
    run(&fixture.session("cfo@north"), "call approve('credit', 'large.north', 'seen the log')").await;
    assert_eq!(
        rows(
            &fixture.admin(),
            "select stale_reason from ops.slices where source = 'ratehouse' and billing_account_id = 'north'"
        )
        .await,
        ["ref.credits changed"]
    );
    run(&fixture.admin(), "call refresh()").await;
    // The larger one expires first.
    assert_eq!(
        rows(&fixture.admin(), DRAWN).await,
        ["2025-10-01|acme|large.north|100", "2025-10-01|acme|small.north|65"]
    );
    let acts = "select object_id, action, login from ops.approvals where kind = 'credit' order by at";
    assert_eq!(
        rows(&boss, acts).await,
        [
            "small.north|submit|admin@north",
            "large.north|submit|admin@north",
            "large.north|reject|finance@north",
            "large.north|submit|finance@north",
            "large.north|approve|cfo@north"
        ]
    );
    assert_eq!(rows(&fixture.session("finance@south"), acts).await, NONE);
}

#[tokio::test]
async fn open_months_follow_their_charges_and_issued_ones_stay() {
    let fixture = Fixture::chain_with_usage().await;
    grant(&fixture, "map,dist,north,promotional,MAP,1000,USD,2025-10-01,2026-01-01\n").await;
    fixture.land("november.csv", &[november("a-acme", "1000")]).await;
    closed(&fixture, "2025-10").await;
    closed(&fixture, "2025-11").await;
    let admin = fixture.admin();
    // 341 of October, and 659 of November's 1,100.
    assert_eq!(rows(&admin, DRAWN).await, ["2025-10-01|north|map|341", "2025-11-01|north|map|659"]);
    let october = |cost| {
        [
            Line::usage("a-acme", cost),
            Line::usage("a-bolt", "200"),
            Line::usage("a-core", "400"),
            Line::usage("a-north", "10"),
        ]
    };
    // North's October comes to 451, and November has 110 less to draw.
    fixture.land("october.csv", &october("200")).await;
    let stale =
        "select billing_period from ops.slices where source = 'ratehouse' and stale_since is not null order by 1";
    assert_eq!(rows(&admin, stale).await, ["2025-10"]);
    issued(&fixture, "2025-10").await;
    closed(&fixture, "2025-11").await;
    assert_eq!(rows(&admin, DRAWN).await, ["2025-10-01|north|map|451", "2025-11-01|north|map|549"]);
    // What comes after the document was issued changes neither that document nor what was drawn by it.
    fixture.land("october.csv", &october("300")).await;
    grant(&fixture, "late,dist,north,promotional,Late,500,USD,2025-10-01,2025-12-31\n").await;
    run(&admin, "call refresh()").await;
    // November draws what expires first: 500, and 600 of it are left, of which 549 are in the other credit.
    let drawn = ["2025-10-01|north|map|451", "2025-11-01|north|late|500", "2025-11-01|north|map|549"];
    assert_eq!(rows(&admin, DRAWN).await, drawn);
    let invoice = "select subtotal, credits, total, status from invoices where billing_period = '2025-10' and buyer_node_id = 'north'";
    assert_eq!(rows(&admin, invoice).await, ["451|-451|0|issued"]);
    let difference = "select expected, actual, status from ops.reconciliation where \"check\" = 'invoiced' and scope like 'dist/north/%' and billing_period = date '2025-10-01'";
    assert_eq!(rows(&admin, difference).await, ["110|0|to_correct"]);
    assert_balanced(&fixture, &["admin"]).await;
    // A node that now keeps everything keeps nothing of what issued documents show.
    fixture.copy("credit_policies", &format!("{POLICIES}dist,,retain,,\n")).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, DRAWN).await, ["2025-10-01|north|map|451"]);
    let unequal = "select entry_id from credits_ledger group by 1 having sum(amount) <> 0";
    assert_eq!(rows(&admin, unequal).await, NONE);
}

#[tokio::test]
async fn an_earlier_month_leaves_what_a_later_issued_one_has_drawn() {
    let fixture = Fixture::chain_with_usage().await;
    grant(&fixture, "map,dist,north,promotional,MAP,400,USD,2025-10-01,2026-01-01\n").await;
    fixture.land("november.csv", &[november("a-acme", "1000")]).await;
    closed(&fixture, "2025-10").await;
    issued(&fixture, "2025-11").await;
    assert_eq!(rows(&fixture.admin(), DRAWN).await, ["2025-10-01|north|map|341", "2025-11-01|north|map|59"]);
    // October's 990 + 220 + 11 could take 400, of which November has 59.
    let lines = [
        Line::usage("a-acme", "900"),
        Line::usage("a-bolt", "200"),
        Line::usage("a-core", "400"),
        Line::usage("a-north", "10"),
    ];
    fixture.land("october.csv", &lines).await;
    closed(&fixture, "2025-10").await;
    assert_eq!(rows(&fixture.admin(), DRAWN).await, ["2025-10-01|north|map|341", "2025-11-01|north|map|59"]);
    assert_balanced(&fixture, &["admin"]).await;
}

#[tokio::test]
async fn a_credit_lowers_what_is_billed_with_minimums_and_before_tax_and_ends_at_its_buyer() {
    let fixture = Fixture::chain().await;
    // North would pass credit lines of its purchases on: those of a grant arrive below by themselves.
    let policies =
        "node_id,charge_category,policy\nnorth,Credit,pass\ndist,Tax,pass\nnorth,Tax,pass\ndist,Credit,pass\n";
    fixture.copy("charge_policies", policies).await;
    fixture.version("retail-north", "2,2025-10-01,", "all,markup_pct,50\nfloor,minimum,400\n").await;
    grant(
        &fixture,
        "n,dist,north,promotional,N,50,USD,2025-10-01,\nm.north,north,acme,promotional,M,1000,USD,2025-10-01,\n",
    )
    .await;
    let lines = [
        Line::usage("a-acme", "100"),
        Line { category: "Tax", ..Line::usage("a-acme", "19") },
        Line { category: "Credit", ..Line::usage("a-acme", "-20") },
    ];
    fixture.land("october.csv", &lines).await;
    closed(&fixture, "2025-10").await;
    // Acme: 165 of usage, 235 up to the minimum, less the provider's 20: 380, and 19 of tax on top.
    let portal = fixture.session("portal@acme");
    let lines = "select kind, amount from invoice_lines order by line_no";
    assert_eq!(rows(&portal, lines).await, ["usage|165", "fee|235", "credit|-20", "credit|-380", "tax|19"]);
    assert_eq!(rows(&portal, "select total from invoices").await, ["19"]);
    // North: 110 less 20, less its own 50.
    let north = "select sum(cost) from charges where charge_category <> 'Tax'";
    assert_eq!(rows(&fixture.session("finance@north"), north).await, ["40"]);
    // Lines that are passed as they are, beside what is granted.
    let lines = "select node_id, received, kept, passed from credits_received_vs_passed where way = 'charge'";
    assert_eq!(rows(&fixture.admin(), lines).await, ["dist|20|0|20"]);
    assert_eq!(rows(&fixture.session("finance@north"), lines).await, ["north|20|0|20"]);
    assert_eq!(rows(&fixture.admin(), "select * from ops.reconciliation where status = 'broken'").await, NONE);
}

#[tokio::test]
async fn a_providers_credit_is_billed_through_or_granted_and_never_both() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let credit = |text, account, cost| Line { category: "Credit", description: text, ..Line::usage(account, cost) };
    let lines = [
        Line::usage("a-acme", "500"),
        credit("AWS Activate promo", "a-acme", "-100"),
        credit("SLA breach eu-1", "a-bolt", "-40"),
    ];
    fixture.land("october.csv", &lines).await;
    let patterns =
        "node_id,kind,policy,description_pattern\ndist,promotional,pass,%PROMO%\ndist,service_level,retain,sla %\n";
    fixture.copy("credit_policies", patterns).await;
    let given =
        "select description, kind, amount, currency, credit_id, granted, status from ops.provider_credits order by 1";
    assert_eq!(
        rows(&admin, given).await,
        [
            "AWS Activate promo|promotional|100|USD|null|null|retained",
            "SLA breach eu-1|service_level|40|USD|null|null|retained"
        ]
    );
    let charge = rows(&admin, "select charge_id from ops.provider_credits where amount = 100").await.remove(0);
    let header = "credit_id,seller_node_id,node_id,source,amount,currency,charge_id,valid_from\n";
    for (credit, charge, amount) in [("much", charge.as_str(), "100.01"), ("none", "nonsense", "1")] {
        fixture
            .copy("credits", &format!("{header}{credit},dist,acme,Activate,{amount},USD,{charge},2025-10-01\n"))
            .await;
        let error = refused(&admin, &format!("call submit('credit', '{credit}', 'why')")).await;
        let said = if credit == "much" { "gave 100.00 only" } else { "is no credit of a provider" };
        assert!(error.to_string().contains(said), "{error}");
        run(&admin, &format!("delete from ref.credits where credit_id = '{credit}'")).await;
    }
    fixture.copy("credits", &format!("{header}act,dist,acme,Activate,100,USD,{charge},2025-10-01\n")).await;
    run(&admin, "call submit('credit', 'act', 'Activate')").await;
    let twice = copy(&admin, "credits", &format!("{header}again,dist,acme,Activate,1,USD,{charge},2025-10-01\n")).await;
    assert!(twice.expect_err("it is granted").to_string().contains("one charge opens one credit"));
    let promo = "select status, credit_id, granted from ops.provider_credits where kind = 'promotional'";
    assert_eq!(rows(&admin, promo).await, ["granted|act|100"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, DRAWN).await, ["2025-10-01|acme|act|100", "2025-10-01|north|act|100"]);
    // Who passes it as well gives it twice: the period does not close over that.
    run(&admin, "insert into ref.charge_policies (node_id, charge_category, policy) values ('dist', 'Credit', 'pass')")
        .await;
    let error = refused(&admin, "call close_period('2025-10')").await;
    assert!(error.to_string().contains("cannot be closed"), "{error}");
    assert_eq!(
        rows(&admin, "select blocker, scope, actual from ops.close_blockers").await,
        ["credit_passed_and_granted|act|-100"]
    );
    assert_eq!(rows(&admin, promo).await, ["both|act|100"]);
    let charge = rows(&admin, "select charge_id from ops.provider_credits where amount = 40").await.remove(0);
    fixture.copy("credits", &format!("{header}sla,dist,bolt,SLA,40,USD,{charge},2025-10-01\n")).await;
    let error = refused(&admin, "call submit('credit', 'sla', 'why')").await;
    assert!(error.to_string().contains("what is billed through is not granted as well"), "{error}");
    run(&admin, "update ref.charge_policies set policy = 'retain'").await;
    closed(&fixture, "2025-10").await;
    // The provider takes it back, and the root sees what it has granted without.
    fixture.land("october.csv", &[Line::usage("a-acme", "500")]).await;
    assert_eq!(rows(&admin, given).await, ["null|null|null|USD|act|100|gone"]);
}

#[tokio::test]
async fn a_node_that_moves_takes_along_what_is_drawn_later() {
    let fixture = Fixture::chain().await;
    let nodes = "node_id,parent_id,kind,name,currency,valid_from,valid_to\n\
                 roam,north,reseller,Roam,USD,2000-01-01,2025-11-01\nroam,south,reseller,Roam,USD,2025-11-01,\n\
                 leaf,roam,customer,Leaf,USD,2000-01-01,\n";
    fixture.copy("nodes", nodes).await;
    fixture.accounts("a-leaf,leaf").await;
    fixture.card("retail-roam", "roam", "", "markup_pct", "10").await;
    fixture.user("finance@roam", "roam", "finance").await;
    grant(&fixture, "c.north,north,leaf,incentive,Rebate,1000,USD,2025-10-01,\n").await;
    fixture.land("october.csv", &[Line::usage("a-leaf", "100")]).await;
    fixture.land("november.csv", &[november("a-leaf", "100")]).await;
    run(&fixture.admin(), "call refresh()").await;
    // October: roam pays 110 + 50 %, leaf + 10 % on that. November, below south: 120 + 100 % and + 10 %.
    let drawn = ["2025-10-01|leaf|c.north|181.5", "2025-10-01|roam|c.north|165", "2025-11-01|leaf|c.north|264"];
    assert_eq!(rows(&fixture.admin(), DRAWN).await, drawn);
    let applied =
        "select buyer_node_id, sum(amount) from credits_ledger where account = 'applied' group by 1 order by 1";
    for (login, shown) in [
        ("finance@north", &["leaf|181.5", "roam|165"][..]),
        ("finance@south", &["leaf|264"]),
        ("finance@roam", &["leaf|445.5", "roam|165"]),
    ] {
        assert_eq!(rows(&fixture.session(login), applied).await, shown, "{login}");
    }
}

#[tokio::test]
async fn wrong_credits_are_refused_with_the_row() {
    let fixture = Fixture::chain().await;
    fixture
        .copy("nodes", "node_id,parent_id,kind,name,currency,valid_from\neuro,north,customer,Euro,EUR,2025-10-10\n")
        .await;
    let admin = fixture.admin();
    for (row, said) in [
        ("c,north,core,promotional,S,1,USD,2025-10-01,", "node_id must be below seller_node_id when it begins"),
        ("c,north,north,promotional,S,1,USD,2025-10-01,", "node_id must be below seller_node_id"),
        ("c,north,euro,promotional,S,1,EUR,2025-10-01,", "node_id must be below seller_node_id when it begins"),
        ("c,north,euro,promotional,S,1,USD,2025-10-11,", "currency must be what euro pays in"),
        ("c,dist,euro,promotional,S,1,EUR,2025-10-11,", "currency must be what north pays in"),
        ("c,north,acme,gift,S,1,USD,2025-10-01,", "kind must be one of promotional, service_level, incentive"),
        ("c,north,acme,incentive,S,0,USD,2025-10-01,", "amount must be above 0"),
        ("c,north,acme,incentive,S,-5,USD,2025-10-01,", "amount must be above 0"),
        ("c,north,acme,incentive,S,1.005,USD,2025-10-01,", "amount has more than the 2 digits of USD"),
        ("c,north,acme,incentive,S,1,USD,2025-10-01,2025-10-01", "expires_at must be after valid_from"),
        ("c,north,acme,incentive, ,1,USD,2025-10-01,", "source must say where it comes from"),
    ] {
        let error = copy(&admin, "credits", &format!("{CREDITS}{row}\n")).await.expect_err(said);
        assert!(error.to_string().contains(said), "{row}: {error}");
    }
    for (row, said) in [
        ("north,,split,1,", "a split needs keep_share and pass_share"),
        ("north,,split,0,0", "not both 0"),
        ("north,,split,-1,2", "must be from 0"),
        ("north,,pass,1,", "only a split has"),
        ("north,,report,,", "policy must be one of pass, retain, split"),
    ] {
        let error = copy(&admin, "credit_policies", &format!("{POLICIES}{row}\n")).await.expect_err(said);
        assert!(error.to_string().contains(said), "{row}: {error}");
    }
    let rule = "insert into ref.approval_rules (rule_id, kind, seller_node_id, role, min_amount) values ('r', 'invoice', 'dist', 'finance', 5)";
    assert!(
        refused(&admin, rule)
            .await
            .to_string()
            .contains("min_amount is for rules of kind credit, budget or adjustment")
    );
    // What others grant is not there for a seller, and it grants nothing in their name.
    grant(&fixture, "c,dist,acme,incentive,S,1,USD,2025-10-01,\n").await;
    let north = fixture.session("finance@north");
    assert_eq!(rows(&north, "select * from ref.credits").await, NONE);
    let foreign = copy(&north, "credits", &format!("{CREDITS}x.north,dist,acme,incentive,S,1,USD,2025-10-01,\n")).await;
    assert_eq!(foreign.expect_err("it is the root's").sqlstate, "42501");
    let plain = copy(&north, "credits", &format!("{CREDITS}c,north,acme,incentive,S,1,USD,2025-10-01,\n")).await;
    assert!(plain.expect_err("the name is nobody's").to_string().contains("must end in \".north\""));
    for call in ["call submit('credit', 'c', 'why')", "call approve('credit', 'c', 'why')"] {
        assert_eq!(refused(&north, call).await.sqlstate, "42704");
    }
    assert_eq!(refused(&admin, "call submit('credit', 'c', 'why')").await.sqlstate, "55000");
}

/// A credit of the random worlds; money in cents.
#[derive(Debug)]
struct Random {
    id: String,
    buyer: &'static str,
    months: std::ops::Range<usize>,
    amount: i64,
}

/// Whole dollars in three, the larger part where they do not come out even.
fn parts(amount: i64, [keep, pass]: [i64; 2]) -> (i64, i64) {
    let exact = amount * pass / (keep + pass);
    let (lost_pass, lost_keep) = (amount * pass % (keep + pass), amount * keep % (keep + pass));
    let passed = exact + i64::from(lost_pass > lost_keep);
    (amount - passed, passed)
}

#[tokio::test]
async fn random_credits_are_drawn_as_by_hand_and_their_ledger_adds_up_to_zero() {
    const PERIODS: [&str; 5] = ["2025-10", "2025-11", "2025-12", "2026-01", "2026-02"];
    for seed in 0..3 {
        let mut rng = StdRng::seed_from_u64(seed);
        let fixture = Fixture::chain().await;
        let shares: [[i64; 2]; 2] = [[rng.random_range(0..4), 3], [rng.random_range(1..5), 7]];
        let policy = |node: &str, [keep, pass]: [i64; 2]| format!("{node},,split,{keep},{pass}\n");
        let policies = format!("{POLICIES}{}{}", policy("dist", shares[0]), policy("north", shares[1]));
        fixture.copy("credit_policies", &policies).await;
        // What arrives on the edges to north and acme.
        let mut arrived: Vec<Random> = Vec::new();
        let mut granted = String::new();
        for number in 0..8 {
            let from = rng.random_range(0..4);
            let until = rng.random_range(from + 1..=5);
            let amount = rng.random_range(1..60_000);
            let id = format!("c{number}");
            let dollars = format!("{}.{:02}", amount / 100, amount % 100);
            let ends = PERIODS.get(until).map_or("2026-03".to_owned(), |period| (*period).to_owned());
            let to = ["north", "acme"][rng.random_range(0..2)];
            granted += &format!("{id},dist,{to},promotional,S{number},{dollars},USD,{}-01,{ends}-01\n", PERIODS[from]);
            let (_, of_north) = parts(amount, shares[0]);
            let credit = |buyer, amount| Random { id: id.clone(), buyer, months: from..until, amount };
            arrived.push(credit("north", of_north));
            if to == "acme" {
                arrived.push(credit("acme", parts(of_north, shares[1]).1));
            }
        }
        grant(&fixture, &granted).await;
        let costs: Vec<i64> = PERIODS.iter().map(|_| rng.random_range(-20..300)).collect();
        // Months come in any order.
        for month in [2, 0, 4, 1, 3] {
            let period = PERIODS[month];
            let (from, to) = (format!("{period}-05T00:00:00Z"), format!("{period}-05T01:00:00Z"));
            let cost = costs[month].to_string();
            fixture.land(&format!("{period}.csv"), &[hour(period, [&from, &to], "a-acme", &cost)]).await;
        }
        run(&fixture.admin(), "call refresh()").await;
        // North pays + 10 %, acme + 50 % on that: of a dollar, 110 and 165 cents.
        arrived.sort_by(|a, b| (a.months.end, &a.id).cmp(&(b.months.end, &b.id)));
        let mut expected: BTreeMap<(String, &str, String), i64> = BTreeMap::new();
        for (month, cost) in costs.iter().enumerate() {
            for (buyer, cents) in [("north", 110), ("acme", 165)] {
                let mut left = (cost * cents).max(0);
                for credit in
                    arrived.iter_mut().filter(|credit| credit.buyer == buyer && credit.months.contains(&month))
                {
                    let taken = credit.amount.min(left);
                    credit.amount -= taken;
                    left -= taken;
                    if taken > 0 {
                        expected.insert((format!("{}-01", PERIODS[month]), buyer, credit.id.clone()), taken);
                    }
                }
            }
        }
        let expected: Vec<String> = expected
            .into_iter()
            .map(|((period, buyer, credit), cents)| format!("{period}|{buyer}|{credit}|{}", dollars(cents)))
            .collect();
        assert!(expected.len() > 4, "seed {seed}: {expected:?}");
        assert_eq!(rows(&fixture.admin(), DRAWN).await, expected, "seed {seed}");
        assert_balanced(&fixture, &["admin", "finance@north", "portal@acme"]).await;
        // What is left of each is lost: all of them have expired.
        let lost: i64 = arrived.iter().map(|credit| credit.amount).sum();
        let breakage = "select coalesce(sum(amount), 0) from credits_ledger where account = 'breakage'";
        assert_eq!(rows(&fixture.admin(), breakage).await, [dollars(lost)], "seed {seed}");
    }
}

/// As decimals are shown: without zeros at the end.
fn dollars(cents: i64) -> String {
    let text = format!("{}.{:02}", cents / 100, cents % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
