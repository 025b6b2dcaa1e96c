//! `explain_rule`: from a rule, a pool, an account, a rate, a policy or a grant to the charges that it touched; the other way round
//! than `explain_charge`, and with the same things hidden.

use std::collections::{BTreeMap, BTreeSet};

use ratehouse::session::Session;

use crate::fixture::{Fixture, Line, ask, refused, rows, run};

const NONE: [&str; 0] = [];

/// Who pays whom what because of an object.
fn touched(kind: &str, object: &str) -> String {
    format!(
        "select node_id, seller_node_id, buyer_node_id, depth, seller_cost, outcome, amount, currency \
         from explain_rule('{kind}', '{object}') order by node_id, depth"
    )
}

/// What `explain_charge` says that had to do with each charge of a session, by kind and object.
async fn named(session: &Session) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut named: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for id in rows(session, "select distinct charge_id from charges").await {
        let steps = format!(
            "select kind, object_id, seller_node_id || '/' || rule_id, fx_rate_id, details ->> 'charge_policy' from explain_charge('{id}')"
        );
        for step in rows(session, &steps).await {
            let cells: Vec<&str> = step.split('|').collect();
            let [kind, object, owners_rule, rate, policy] = cells.as_slice() else { panic!("{step}") };
            // A pool's step has the rule that put the charge into it as well.
            let rule = if *kind == "pool" { owners_rule } else { "null" };
            for (kind, object) in [(*kind, *object), ("rule", rule), ("fx_rate", *rate), ("charge_policy", *policy)] {
                if object != "null" {
                    named.entry((kind.to_owned(), object.to_owned())).or_default().insert(id.clone());
                }
            }
        }
    }
    named
}

/// Both ways round it is the same: an object has the charges that name it and no others.
async fn assert_inverse(session: &Session, least: usize) {
    let named = named(session).await;
    assert!(named.len() >= least, "{:?}", named.keys());
    for ((kind, object), charges) in named {
        let found = format!("select distinct charge_id from explain_rule('{kind}', '{object}')");
        let found: BTreeSet<String> = rows(session, &found).await.into_iter().collect();
        assert_eq!(found, charges, "{kind} {object}");
    }
}

#[tokio::test]
async fn a_rate_rule_has_the_edges_that_it_priced() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    // 100 and 200 to the provider; + 10 % = 110 and 220 for north; + 50 % = 165 and 330.
    let retail = ["acme|north|acme|2|110|billed|165|USD", "bolt|north|bolt|2|220|billed|330|USD"];
    assert_eq!(rows(&admin, &touched("sale", "retail-north/1/all")).await, retail);
    let wholesale = [
        "acme|dist|north|1|100|billed|110|USD",
        "bolt|dist|north|1|200|billed|220|USD",
        "north|dist|north|1|10|billed|11|USD",
    ];
    for object in ["wholesale-north/1/all", "wholesale-north/1", "wholesale-north"] {
        assert_eq!(rows(&admin, &touched("sale", object)).await, wholesale, "{object}");
    }
    // A name that another one begins with is another name.
    for object in ["wholesale-north/1/al", "wholesale-north/11", "wholesale-north/2", "wholesale"] {
        assert_eq!(rows(&admin, &touched("sale", object)).await, NONE, "{object}");
    }
    // The seller sees what it sells; by which rule it buys is its seller's to know.
    let north = fixture.session("finance@north");
    let own = retail.map(|row| row.replace("|2|", "|1|"));
    assert_eq!(rows(&north, &touched("sale", "retail-north/1/all")).await, own);
    for (login, object) in [
        ("finance@north", "wholesale-north/1/all"),
        ("finance@north", "retail-south/1/all"),
        ("finance@south", "retail-north/1/all"),
        ("portal@acme", "retail-north/1/all"),
        ("portal@acme", "nothing/1/all"),
    ] {
        assert_eq!(rows(&fixture.session(login), &touched("sale", object)).await, NONE, "{login} {object}");
    }
    // Conditions on the charges, and sums: half of what bolt pays is acme's.
    let sums = "select billing_period, rule_id, sum(amount), count(*) from explain_rule('sale', 'retail-north') \
                where billing_period = date '2025-10-01' and node_id <> 'bolt' group by 1, 2";
    assert_eq!(rows(&north, sums).await, ["2025-10-01|all|165|1"]);
    let elsewhere =
        "select count(*) from explain_rule('sale', 'retail-north') where billing_period = date '2025-11-01'";
    assert_eq!(rows(&north, elsewhere).await, ["0"]);
    assert_eq!(
        rows(&north, "select count(*) from explain_rule('sale', 'retail-north') where kind = 'rule'").await,
        ["0"]
    );
    for login in ["admin", "finance@north", "finance@south", "portal@acme"] {
        assert_inverse(&fixture.session(login), 1).await;
    }
}

/// North shares the line of its account out to acme and bolt, and acme assigns its part to web.
async fn with_causes() -> Fixture {
    let fixture = Fixture::chain().await;
    fixture.accounts("a-shared,north").await;
    fixture.nodes("web,acme,business_unit").await;
    fixture.copy("pools", "owner_node_id,pool_id,method,driver\nnorth,network,usage,cores\n").await;
    let quantities = "owner_node_id,driver,node_id,quantity,valid_from,valid_to\n\
                      north,cores,acme,3,2025-10-01,2025-11-01\nnorth,cores,bolt,1,2025-10-01,2025-11-01\n";
    fixture.copy("drivers", quantities).await;
    let to_pool = "rule_id,owner_node_id,sub_account_id,method,pool_id\nnet,north,a-shared,pool,network\n";
    fixture.copy("attribution_rules", to_pool).await;
    fixture.copy("attribution_rules", "rule_id,owner_node_id,tag_key,node_id\nteams,acme,team,web\n").await;
    let line = Line { tags: r#"{"team": "web"}"#, ..Line::usage("a-shared", "100") };
    fixture.land("october.csv", &[line, Line::usage("a-core", "400"), Line::usage("a-acme", "20")]).await;
    fixture
}

#[tokio::test]
async fn rules_pools_and_accounts_have_all_edges_of_what_they_assigned() {
    let fixture = with_causes().await;
    let north = fixture.session("finance@north");
    // Of 100: 75 and 25; + 10 % for north, + 50 % for acme and bolt; web pays what acme pays.
    let shared = [
        "bolt|null|north|0|null|billed|27.5|USD",
        "bolt|north|bolt|1|27.5|billed|41.25|USD",
        "web|null|north|0|null|billed|82.5|USD",
        "web|north|acme|1|82.5|billed|123.75|USD",
        "web|acme|web|2|123.75|billed|123.75|USD",
    ];
    for (kind, object) in [("pool", "north/network"), ("rule", "north/net"), ("account", "a-shared")] {
        assert_eq!(rows(&north, &touched(kind, object)).await, shared, "{kind}");
    }
    assert_eq!(rows(&north, &touched("rule", "acme/teams")).await, shared[2..]);
    // Who made the rule knows it, as far as it sees the charge; of the pool above it knows neither name nor account.
    let portal = fixture.session("portal@acme");
    let own = ["web|null|acme|0|null|billed|123.75|USD"];
    assert_eq!(rows(&portal, &touched("rule", "acme/teams")).await, own);
    let south = fixture.session("finance@south");
    let above = [("pool", "north/network"), ("rule", "north/net"), ("account", "a-shared")];
    let absent = [("pool", "north/nothing"), ("rule", "north/nothing"), ("account", "nothing")];
    for (kind, object) in above.into_iter().chain(absent) {
        for session in [&portal, &south] {
            assert_eq!(rows(session, &touched(kind, object)).await, NONE, "{kind} {object}");
        }
    }
    // South's is 400 + 20 %, and + 100 % for core.
    assert_eq!(rows(&portal, &touched("account", "a-core")).await, NONE);
    assert_eq!(
        rows(&south, &touched("account", "a-core")).await,
        ["core|null|south|0|null|billed|480|USD", "core|south|core|1|480|billed|960|USD"]
    );
    assert_eq!(
        rows(&portal, &touched("account", "a-acme")).await,
        // 20 + 10 % + 50 %.
        ["acme|null|acme|0|null|billed|33|USD"]
    );
    for login in ["admin", "finance@north", "finance@south", "portal@acme"] {
        assert_inverse(&fixture.session(login), 1).await;
    }
    // What was rated by rules that are gone keeps them until it is rated anew; then nothing is theirs.
    run(&fixture.admin(), "delete from ref.attribution_rules where rule_id = 'teams'").await;
    assert_eq!(rows(&north, &touched("rule", "acme/teams")).await, shared[2..]);
    run(&fixture.admin(), "call refresh()").await;
    assert_eq!(rows(&north, &touched("rule", "acme/teams")).await, NONE);
    assert_inverse(&north, 4).await;
}

#[tokio::test]
async fn rates_policies_and_grants_have_their_charges() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let rate = "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\neur-1,market,USD,EUR,2025-09-01,0.8\n";
    fixture.copy("fx_rates", rate).await;
    let nodes = "node_id,parent_id,kind,name,currency\neuro,dist,reseller,Euro,EUR\ncorp,euro,customer,Corp,EUR\n";
    fixture.copy("nodes", nodes).await;
    fixture.accounts("a-corp,corp").await;
    let cards = "card_id,seller_node_id,buyer_node_id,currency,name\nw,dist,euro,EUR,W\nr,euro,corp,EUR,R\n";
    fixture.copy("rate_cards", cards).await;
    fixture.copy("rate_card_versions", "card_id,version\nw,1\nr,1\n").await;
    let rules = "card_id,version,rule_id,method,value\nw,1,all,markup_pct,25\nr,1,all,markup_pct,50\n";
    fixture.copy("rate_rules", rules).await;
    fixture.activate("w", "1").await;
    fixture.activate("r", "1").await;
    fixture.user("finance@euro", "euro", "finance").await;
    fixture.user("finance@corp", "corp", "finance").await;
    let lines = [
        Line::usage("a-corp", "10"),
        Line { category: "Tax", sku: "VAT", ..Line::usage("a-corp", "2") },
        Line::usage("a-acme", "100"),
    ];
    fixture.land("october.csv", &lines).await;
    // 10 x 0.8 x 1.25 = 10 EUR for euro, 15 for corp. The root knows that it converted, and so does who pays.
    assert_eq!(rows(&admin, &touched("fx_rate", "eur-1")).await, ["corp|dist|euro|1|10|billed|10|EUR"]);
    assert_eq!(
        rows(&fixture.session("finance@euro"), &touched("fx_rate", "eur-1")).await,
        ["corp|null|euro|0|null|billed|10|EUR"]
    );
    assert_eq!(rows(&fixture.session("finance@corp"), &touched("fx_rate", "eur-1")).await, NONE);
    // No rule and no policy speaks of taxes: the root keeps them, and below nobody knows of any.
    assert_eq!(rows(&admin, &touched("charge_policy", "dist/Tax")).await, ["corp|dist|euro|1|2|retained|null|EUR"]);
    for (login, policy) in [("finance@euro", "dist/Tax"), ("finance@euro", "euro/Tax"), ("admin", "dist/Usage")] {
        assert_eq!(rows(&fixture.session(login), &touched("charge_policy", policy)).await, NONE, "{login} {policy}");
    }
    // 40 for north: of 110 that it is charged 40 are drawn, and it passes them on.
    let credit = "credit_id,seller_node_id,node_id,kind,source,amount,currency,valid_from,expires_at\n\
                  welcome,dist,north,promotional,Start,40,USD,2025-10-01,2026-01-01\n";
    fixture.copy("credits", credit).await;
    run(&admin, "call submit('credit', 'welcome', 'agreed')").await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, &touched("own", "welcome")).await, ["north|dist|north|1|null|billed|-40|USD"]);
    assert_eq!(
        rows(&fixture.session("finance@north"), &touched("own", "welcome")).await,
        ["north|null|north|0|null|billed|-40|USD"]
    );
    assert_eq!(rows(&fixture.session("portal@acme"), &touched("own", "welcome")).await, NONE);
    for (login, least) in [("admin", 7), ("finance@euro", 3), ("finance@corp", 1), ("finance@north", 3)] {
        assert_inverse(&fixture.session(login), least).await;
    }
}

#[tokio::test]
async fn a_commitment_is_the_roots() {
    let fixture = Fixture::chain().await;
    let covered = Line { commitment: "sp-1", status: "Used", billed: "0", ..Line::usage("a-acme", "60") };
    fixture.land("october.csv", &[covered, Line::usage("a-bolt", "200")]).await;
    // It is sold by what it effectively cost: 60 + 10 % + 50 %.
    assert_eq!(
        rows(&fixture.admin(), &touched("commitment", "sp-1")).await,
        [
            "acme|null|dist|0|null|billed|0|USD",
            "acme|dist|north|1|0|billed|66|USD",
            "acme|north|acme|2|66|billed|99|USD",
        ]
    );
    assert_eq!(rows(&fixture.admin(), &touched("commitment", "sp-2")).await, NONE);
    for login in ["finance@north", "portal@acme"] {
        assert_eq!(rows(&fixture.session(login), &touched("commitment", "sp-1")).await, NONE, "{login}");
    }
}

#[tokio::test]
async fn what_a_seller_keeps_to_itself_is_in_nothing_that_those_above_it_see() {
    let fixture = Fixture::chain().await;
    fixture.nodes("sub,north,reseller\nshop,sub,customer").await;
    fixture.accounts("a-shop,shop").await;
    fixture.card("sub-all", "sub", "", "markup_pct", "10").await;
    fixture.land("october.csv", &[Line::usage("a-shop", "100")]).await;
    let admin = fixture.admin();
    // 100, + 10 %, + 50 %, + 10 %.
    let all = [
        "shop|null|dist|0|null|billed|100|USD",
        "shop|dist|north|1|100|billed|110|USD",
        "shop|north|sub|2|110|billed|165|USD",
        "shop|sub|shop|3|165|billed|181.5|USD",
    ];
    assert_eq!(rows(&admin, &touched("account", "a-shop")).await, all);
    run(&admin, "update ref.nodes set disclose_up = false where node_id = 'north'").await;
    // What sub pays is not in the edge on which it sells either.
    let sale = "shop|sub|shop|3|null|billed|181.5|USD";
    assert_eq!(rows(&admin, &touched("account", "a-shop")).await, [all[0], all[1], sale]);
    assert_eq!(rows(&admin, &touched("sale", "sub-all/1/all")).await, [sale]);
    assert_eq!(rows(&admin, &touched("sale", "retail-north/1/all")).await, NONE);
    let id = rows(&admin, "select charge_id from charges").await.remove(0);
    let bases =
        format!("select buyer_node_id, base_amount from explain_charge('{id}') where kind = 'sale' order by step");
    assert_eq!(rows(&admin, &bases).await, ["north|100", "shop|null"]);
    let own = rows(&fixture.session("finance@north"), &touched("sale", "retail-north/1/all")).await;
    assert_eq!(own, ["shop|north|sub|1|110|billed|165|USD"]);
    for login in ["admin", "finance@north"] {
        assert_inverse(&fixture.session(login), 2).await;
    }
}

/// Sums of the demo by its rules, rates, policies, accounts and attribution rules, each against a query that knows nothing of explaining.
#[tokio::test]
async fn sums_of_the_demo_are_those_of_its_tiers() {
    let demo = crate::demo::warehouse().await;
    let session_of =
        |login: &str| demo.session(demo.principal(login).expect("the catalog").expect("the login is there"));
    let compare = async |login: &str, kind: &str, figures: &str, independent: &str| {
        let session = session_of(login);
        let expected = rows(&session, independent).await;
        assert!(!expected.is_empty(), "{login} {kind}");
        for row in expected {
            let (object, sums) = row.split_once('|').expect("an object and its figures");
            let found = format!("select {figures} from explain_rule('{kind}', '{object}')");
            assert_eq!(rows(&session, &found).await, [sums], "{login} {kind} {object}");
        }
    };
    let of_rules = |object: &str| {
        format!("select {object}, count(*), sum(amount) from charges_by_tier where card_id is not null group by 1")
    };
    for login in ["finance", "finance@harbor", "finance@alpine"] {
        for object in ["card_id || '/' || version || '/' || rule_id", "card_id || '/' || version", "card_id"] {
            compare(login, "sale", "count(*), sum(amount)", &of_rules(object)).await;
        }
    }
    let of_rates = "select fx_rate_id, sum(amount) from tiers_monthly where fx_rate_id is not null group by 1";
    for login in ["finance", "finance@alpine"] {
        compare(login, "fx_rate", "sum(amount)", of_rates).await;
    }
    let of_policies = "select t.seller_node_id || '/' || c.charge_category, count(*), sum(t.amount) \
                       from charges_by_tier t join charges c on c.charge_id = t.charge_id \
                       where t.card_id is null and t.seller_node_id is not null and t.outcome <> 'unrated' group by 1";
    for login in ["finance", "finance@harbor"] {
        compare(login, "charge_policy", "count(*), sum(amount)", of_policies).await;
    }
    // The root has no rules of attribution: what has an owner has it by its account.
    let of_accounts = "select sub_account_id, count(*), sum(cost) from charges where fate = 'direct' and sub_account_id is not null \
                       group by 1 order by 2 desc, 1 limit 12";
    let own = "count(*) filter (where depth = 0), sum(amount) filter (where depth = 0)";
    compare("finance", "account", own, of_accounts).await;
    // Harbor's rules look at a tag of two of its accounts, those of prod and cc-1042 before the others.
    let of_tags = "select case when tags ->> 'environment' in ('prod', 'dev') then 'harbor/shared-' || (tags ->> 'environment') \
                    when tags ->> 'CostCenter' = 'cc-1042' then 'harbor/staging-atlas' else 'harbor/staging-zenith' end, \
                    count(*), sum(cost) from charges \
                    where sub_account_id = '18938484842' and tags ->> 'environment' in ('prod', 'dev') \
                    or sub_account_id = '200000000012' and tags ->> 'CostCenter' in ('cc-1042', 'cc-2087') group by 1";
    for login in ["finance", "finance@harbor"] {
        compare(login, "rule", own, of_tags).await;
    }
    // And what is said of some of harbor's charges leads back to them.
    let harbor = session_of("finance@harbor");
    for id in rows(&harbor, "select charge_id from charges order by 1 limit 15").await {
        let named =
            format!("select kind, object_id from explain_charge('{id}') where object_id is not null order by step");
        for step in rows(&harbor, &named).await {
            let (kind, object) = step.split_once('|').expect("two columns");
            let found = format!(
                "select count(distinct charge_id) from explain_rule('{kind}', '{object}') where charge_id = '{id}'"
            );
            assert_eq!(rows(&harbor, &found).await, ["1"], "{id} {kind} {object}");
        }
    }
}

#[tokio::test]
async fn wrong_calls_say_what_is_wrong() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    for (arguments, state, part) in [
        ("", "42883", "takes a kind and an object_id"),
        ("'sale'", "42883", "takes a kind and an object_id"),
        ("'sale', 'a/1/b', 'c'", "42883", "takes a kind and an object_id"),
        ("kind => 'sale', object_id => 'a/1/b'", "42883", "takes a kind and an object_id"),
        ("'sale', (select min(charge_id) from charges)", "42883", "before it begins"),
        ("'line', '1'", "22023", "knows no kind \"line\": it is one of account, rule, pool, sale, own"),
        ("'rule', 'teams'", "22023", "write OWNER/RULE"),
        ("'pool', 'network'", "22023", "write OWNER/POOL"),
        ("'sale', 'retail-north/all'", "22023", "write CARD, CARD/VERSION or CARD/VERSION/RULE"),
        ("'charge_policy', 'north/Taxes'", "22023", "write SELLER/CATEGORY"),
        ("'sale', nothing", "42703", "nothing"),
    ] {
        let error = refused(&admin, &format!("select * from explain_rule({arguments})")).await;
        assert_eq!(error.sqlstate, state, "{arguments}: {error}");
        assert!(error.to_string().contains(part), "{arguments}: {error}");
    }
    for arguments in
        ["null, 'a'", "'sale', null", "'own', 'nothing'", "'fx_rate', 'nothing'", "'commitment', 'nothing'"]
    {
        assert_eq!(rows(&admin, &format!("select * from explain_rule({arguments})")).await, NONE, "{arguments}");
    }
    // Who reads no charges has no such function.
    fixture.user("executive@north", "north", "executive").await;
    let executive = fixture.session("executive@north");
    let told = refused(&executive, "select * from explain_rule('sale', 'retail-north')").await;
    let absent = refused(&executive, "select * from explain_lure('sale', 'retail-north')").await;
    assert_eq!(
        (told.sqlstate, told.to_string()),
        ("42883", absent.to_string().replace("explain_lure", "explain_rule"))
    );
    let shown = ask(&admin, "select * from explain_rule('sale', 'retail-north')").await.expect("rows");
    let columns = "kind object_id charge_id billing_period charge_date node_id provider_name service_name depth seller_node_id \
                   buyer_node_id card_id version rule_id fx_rate_id outcome seller_cost seller_currency amount currency";
    assert_eq!(shown.columns.join(" "), columns.split_whitespace().collect::<Vec<_>>().join(" "));
}
