//! `explain_charge`: from the provider's line to the amounts, to everybody its own part.

use crate::fixture::{Fixture, Line, refused, rows, run};

/// The steps in the columns that tests look at.
fn steps(id: &str) -> String {
    format!(
        "select step, kind, seller_node_id, buyer_node_id, card_id, rule_id, method, value, base, base_amount, outcome, amount, currency \
         from explain_charge('{id}') order by step"
    )
}

async fn id_of(fixture: &Fixture, login: &str, filter: &str) -> String {
    let found = rows(&fixture.session(login), &format!("select charge_id from charges where {filter}")).await;
    assert_eq!(found.len(), 1, "{login} {filter}");
    found[0].clone()
}

#[tokio::test]
async fn a_charge_is_explained_tier_by_tier() {
    let fixture = Fixture::chain_with_usage().await;
    let id = id_of(&fixture, "admin", "node_id = 'acme'").await;
    // 100 to the provider; + 10 % = 110 for north; + 50 % = 165 for acme.
    assert_eq!(
        rows(&fixture.admin(), &steps(&id)).await,
        [
            "1|line|null|null|null|null|null|null|null|null|null|100|USD",
            "2|account|null|acme|null|null|null|null|null|null|null|null|null",
            "3|purchase|null|dist|null|null|null|null|null|null|billed|100|USD",
            "4|sale|dist|north|wholesale-north|all|markup_pct|10|cost|100|billed|110|USD",
            "5|sale|north|acme|retail-north|all|markup_pct|50|cost|110|billed|165|USD",
        ]
    );
    assert_eq!(
        rows(&fixture.session("finance@north"), &steps(&id)).await,
        [
            "1|line|null|null|null|null|null|null|null|null|null|100|USD",
            "2|account|null|acme|null|null|null|null|null|null|null|null|null",
            "3|purchase|null|north|null|null|null|null|null|null|billed|110|USD",
            "4|sale|north|acme|retail-north|all|markup_pct|50|cost|110|billed|165|USD",
        ]
    );
    assert_eq!(
        rows(&fixture.session("portal@acme"), &steps(&id)).await,
        [
            "1|line|null|null|null|null|null|null|null|null|null|100|USD",
            "2|account|null|acme|null|null|null|null|null|null|null|null|null",
            "3|purchase|null|acme|null|null|null|null|null|null|billed|165|USD",
        ]
    );
    // The file and the row, to the root; who agreed to the card, to its seller and above.
    let details = format!(
        "select details ->> 'file' like '%/october.csv', details ->> 'source_row' from explain_charge('{id}') where step = 1"
    );
    assert_eq!(rows(&fixture.admin(), &details).await, ["true|1"]);
    assert_eq!(rows(&fixture.session("finance@north"), &details).await, ["null|null"]);
    let agreed = format!(
        "select approved_by like 'submit by admin (admin) %' from explain_charge('{id}') where card_id = 'retail-north'"
    );
    assert_eq!(rows(&fixture.session("finance@north"), &agreed).await, ["true"]);
    // A charge of somebody else is not there, as one that does not exist.
    for id in [id.as_str(), "nothing"] {
        assert!(rows(&fixture.session("finance@south"), &steps(id)).await.is_empty(), "{id}");
    }
    assert_eq!(refused(&fixture.admin(), "select * from explain_charge()").await.sqlstate, "42883");
    assert_eq!(
        refused(&fixture.admin(), "select * from explain_charge((select min(charge_id) from charges))").await.sqlstate,
        "42883"
    );
    fixture.user("executive@north", "north", "executive").await;
    assert_eq!(refused(&fixture.session("executive@north"), &steps(&id)).await.sqlstate, "42883");
}

#[tokio::test]
async fn shares_and_rules_are_explained_to_who_made_them() {
    let fixture = Fixture::chain().await;
    fixture.accounts("a-shared,north").await;
    fixture.nodes("web,acme,business_unit").await;
    fixture.copy("pools", "owner_node_id,pool_id,method,driver\nnorth,network,usage,cores\n").await;
    let quantities = "owner_node_id,driver,node_id,quantity,valid_from,valid_to\n\
                      north,cores,acme,3,2025-10-01,2025-11-01\nnorth,cores,bolt,1,2025-10-01,2025-11-01\n";
    fixture.copy("drivers", quantities).await;
    fixture
        .copy(
            "attribution_rules",
            "rule_id,owner_node_id,sub_account_id,method,pool_id\nnet,north,a-shared,pool,network\n",
        )
        .await;
    fixture.copy("attribution_rules", "rule_id,owner_node_id,tag_key,node_id\nteams,acme,team,web\n").await;
    let line = Line { tags: r#"{"team": "web"}"#, ..Line::usage("a-shared", "100") };
    fixture.land("october.csv", &[line]).await;
    let id = id_of(&fixture, "finance@north", "node_id = 'web'").await;
    let causes = format!(
        "select kind, description, value from explain_charge('{id}') where kind in ('account', 'pool', 'rule') order by step"
    );
    assert_eq!(
        rows(&fixture.session("finance@north"), &causes).await,
        [
            "account|account a-shared is north's|null",
            "pool|pool network of north: acme has 75 percent|75",
            "rule|attribution rule teams of acme gives it to web|null",
        ]
    );
    // Acme made the rule; of the pool it knows that there is one.
    assert_eq!(
        rows(&fixture.session("portal@acme"), &causes).await,
        [
            "pool|a share of cost that is shared out above|null",
            "rule|attribution rule teams of acme gives it to web|null",
        ]
    );
    // 75 of 100, + 10 %, + 50 %; web pays what acme pays.
    let sales = format!(
        "select buyer_node_id, description, base_amount, amount from explain_charge('{id}') where kind = 'sale' order by step"
    );
    assert_eq!(
        rows(&fixture.session("finance@north"), &sales).await,
        [
            "acme|what acme pays north: rule retail-north/1/all|82.5|123.75",
            "web|what web pays acme: passed on as it is|123.75|123.75",
        ]
    );
}

#[tokio::test]
async fn prices_converted_retained_and_by_unit_are_explained() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    fixture
        .copy(
            "fx_rates",
            "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\neur-1,market,USD,EUR,2025-09-01,0.8\n",
        )
        .await;
    fixture
        .copy(
            "nodes",
            "node_id,parent_id,kind,name,currency\neuro,dist,reseller,Euro,EUR\ncorp,euro,customer,Corp,EUR\n",
        )
        .await;
    fixture.accounts("a-corp,corp").await;
    fixture
        .copy(
            "rate_cards",
            "card_id,seller_node_id,buyer_node_id,currency,name\nw,dist,euro,EUR,W\nr,euro,corp,EUR,R\n",
        )
        .await;
    fixture.copy("rate_card_versions", "card_id,version\nw,1\nr,1\n").await;
    let rules = "card_id,version,rule_id,charge_category,method,value,unit\nw,1,all,,markup_pct,25,\nr,1,hours,,unit_price,7.5,Hours\n";
    fixture.copy("rate_rules", rules).await;
    fixture.activate("w", "1").await;
    fixture.activate("r", "1").await;
    fixture.user("finance@corp", "corp", "finance").await;
    let lines = [
        Line { quantity: "4", ..Line::usage("a-corp", "10") },
        Line { category: "Tax", sku: "VAT", ..Line::usage("a-corp", "2") },
    ];
    fixture.land("october.csv", &lines).await;
    let id = id_of(&fixture, "admin", "charge_category = 'Usage'").await;
    let priced = format!(
        "select buyer_node_id, method, value, unit, base_amount, base_currency, fx_rate_id, fx_rate, amount, currency \
         from explain_charge('{id}') where kind in ('purchase', 'sale') order by step"
    );
    // 10 x 0.8 x 1.25 = 10 EUR; 4 hours at 7.50 = 30 EUR.
    assert_eq!(
        rows(&admin, &priced).await,
        [
            "dist|null|null|null|null|null|null|null|10|USD",
            "euro|markup_pct|25|null|10|USD|eur-1|0.8|10|EUR",
            "corp|unit_price|7.5|Hours|null|null|null|null|30|EUR",
        ]
    );
    // A unit price is published to who pays it.
    assert_eq!(
        rows(&fixture.session("finance@corp"), &priced).await,
        ["corp|unit_price|7.5|Hours|null|null|null|null|30|EUR"]
    );
    let id = id_of(&fixture, "admin", "charge_category = 'Tax'").await;
    let kept = format!("select description, outcome, amount from explain_charge('{id}') where kind = 'sale'");
    assert_eq!(rows(&admin, &kept).await, ["dist keeps it: euro pays nothing|retained|null"]);
    run(&admin, "call refresh()").await;
}

#[tokio::test]
async fn what_a_seller_bills_by_itself_begins_at_the_seller() {
    let fixture = Fixture::chain_with_usage().await;
    let licences = "seller_node_id,licence_id,node_id,product,seats,unit_price,currency,valid_from,valid_to\n\
                    dist,backup,acme,Backup,5,10,USD,2025-10-01,2025-11-01\n\
                    north,office,acme,Office,2,22,USD,2025-10-01,2025-11-01\n";
    fixture.copy("licences", licences).await;
    fixture.version("retail-north", "2,2025-10-01,", "all,markup_pct,50\nplatform,flat,30\n").await;
    run(&fixture.admin(), "call refresh()").await;
    let id = id_of(&fixture, "admin", "service_name = 'Backup'").await;
    assert_eq!(
        rows(&fixture.admin(), &steps(&id)).await,
        [
            "1|own|dist|acme|null|null|null|null|null|null|null|null|null",
            "2|sale|dist|north|null|null|null|null|null|null|billed|50|USD",
            "3|sale|north|acme|retail-north|all|markup_pct|50|cost|50|billed|75|USD",
        ]
    );
    // Who bills it, further up, is not the customer's to know.
    assert_eq!(
        rows(&fixture.session("portal@acme"), &steps(&id)).await,
        [
            "1|own|null|acme|null|null|null|null|null|null|null|null|null",
            "2|purchase|null|acme|null|null|null|null|null|null|billed|75|USD",
        ]
    );
    let north = fixture.session("finance@north");
    let id = id_of(&fixture, "finance@north", "service_name = 'Office'").await;
    assert_eq!(
        rows(&north, &steps(&id)).await,
        [
            "1|own|north|acme|null|null|null|null|null|null|null|null|null",
            "2|sale|north|acme|null|null|null|null|null|null|billed|44|USD",
        ]
    );
    let said = format!("select description from explain_charge('{id}') where step = 1");
    assert_eq!(rows(&north, &said).await, ["licence: Office, 2 Seat-Months"]);
    let id = id_of(&fixture, "finance@north", "origin = 'fee' and node_id = 'acme'").await;
    assert_eq!(
        rows(&north, &steps(&id)).await,
        [
            "1|own|north|acme|null|null|null|null|null|null|null|null|null",
            "2|sale|north|acme|retail-north|platform|flat|30|null|null|billed|30|USD",
        ]
    );
}
