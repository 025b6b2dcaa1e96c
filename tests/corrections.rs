//! Corrections that a provider bills later, in both styles of FOCUS: a row with the difference, or a reversal and a new booking.

use crate::fixture::{Fixture, Line, focus, rows};

/// An hour of May, as FOCUS' own example has it.
fn may<'a>(account: &'a str, resource: &'a str, [quantity, billed, list]: [&'a str; 3]) -> Line<'a> {
    Line {
        period: "2025-05",
        from: "2025-05-01T00:00:00Z",
        to: "2025-05-01T01:00:00Z",
        resource,
        quantity,
        list,
        ..Line::usage(account, billed)
    }
}

/// The same hour, corrected in June.
fn corrected<'a>(account: &'a str, resource: &'a str, amounts: [&'a str; 3]) -> Line<'a> {
    Line { period: "2025-06", class: "Correction", ..may(account, resource, amounts) }
}

fn june<'a>(account: &'a str, resource: &'a str, amounts: [&'a str; 3]) -> Line<'a> {
    let (from, to) = ("2025-06-02T00:00:00Z", "2025-06-02T01:00:00Z");
    Line { period: "2025-06", from, to, ..may(account, resource, amounts) }
}

/// The chain with terms that change on 1 June: north sells to acme at + 50 % and then at + 100 %; to bolt the first 100 hours at 1 and
/// more at 0.50, and then every hour at 3.
async fn changing_terms() -> Fixture {
    let fixture = Fixture::chain().await;
    fixture.version("retail-north", "2,2025-06-01,", "all,markup_pct,100\n").await;
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nhours,north,bolt,USD,H\n").await;
    let versions = "card_id,version,valid_from,valid_to\nhours,1,2000-01-01,2025-06-01\nhours,2,2025-06-01,\n";
    fixture.copy("rate_card_versions", versions).await;
    let bands = r#"[{""up_to"": ""100"", ""price"": ""1""}, {""up_to"": null, ""price"": ""0.5""}]"#;
    let rules = format!("hours,1,all,graduated,,\"{bands}\"\nhours,2,all,unit_price,3,\n");
    fixture.copy("rate_rules", &format!("card_id,version,rule_id,method,value,bands\n{rules}")).await;
    for version in ["1", "2"] {
        fixture.activate("hours", version).await;
    }
    let lines = [may("a-acme", "R-111", ["1000", "1500", "2000"]), may("a-bolt", "R-5", ["140", "210", "280"])];
    fixture.land("may.csv", &lines).await;
    fixture
}

/// Acme's 200 hours of R-111 were those of R-222, and bolt used 20 hours less.
fn delta() -> Vec<Line<'static>> {
    vec![
        corrected("a-acme", "R-111", ["-200", "-300", "-400"]),
        corrected("a-acme", "R-222", ["200", "300", "400"]),
        corrected("a-bolt", "R-5", ["-20", "-30", "-40"]),
    ]
}

fn ledger() -> Vec<Line<'static>> {
    vec![
        corrected("a-acme", "R-111", ["-1000", "-1500", "-2000"]),
        corrected("a-acme", "R-111", ["800", "1200", "1600"]),
        corrected("a-acme", "R-222", ["200", "300", "400"]),
        corrected("a-bolt", "R-5", ["-140", "-210", "-280"]),
        corrected("a-bolt", "R-5", ["120", "180", "240"]),
    ]
}

#[tokio::test]
async fn both_styles_come_to_the_same_at_every_tier_by_the_terms_of_the_original() {
    for (style, corrections) in [("delta", delta()), ("ledger", ledger())] {
        let fixture = changing_terms().await;
        // June's own usage is priced by June's terms.
        let own = [june("a-acme", "R-333", ["10", "100", "120"]), june("a-bolt", "R-5", ["10", "15", "20"])];
        let path = fixture.file("june.csv", &focus(&[corrections, own.to_vec()].concat()));
        fixture.land_path(&path).await.expect("it lands");
        let by_resource = |money: &str| {
            format!(
                "select resource_id, sum({money}) from charges where billing_period = date '2025-06-01' and charge_class = 'Correction' group by 1 order by 1"
            )
        };
        // dist pays 1.50 an hour and takes 10 % more: -300 are -330. North takes 50 % more of acme, as in May: -495.
        let (admin, north) = (fixture.admin(), fixture.session("finance@north"));
        assert_eq!(rows(&admin, &by_resource("cost")).await, ["R-111|-300", "R-222|300", "R-5|-30"], "{style}");
        assert_eq!(rows(&admin, &by_resource("price")).await, ["R-111|-330", "R-222|330", "R-5|-33"], "{style}");
        assert_eq!(rows(&north, &by_resource("cost")).await, ["R-111|-330", "R-222|330", "R-5|-33"], "{style}");
        // Bolt's 20 hours come off the first band of May's version: the total of what June bills under it is -20 hours at 1.
        assert_eq!(rows(&north, &by_resource("price")).await, ["R-111|-495", "R-222|495", "R-5|-20"], "{style}");
        let acme = fixture.session("portal@acme");
        assert_eq!(rows(&acme, &by_resource("cost")).await, ["R-111|-495", "R-222|495"], "{style}");
        // June: 100 x 1.1 x 2 = 220 for acme; 10 hours at 3 less 20 for bolt. May stays: 1500 x 1.1 x 1.5 = 2475, and 100 + 40 x 0.50.
        let totals = "select billing_period, node_id, sum(price) from charges_monthly group by 1, 2 order by 1, 2";
        assert_eq!(
            rows(&north, totals).await,
            ["2025-05-01|acme|2475", "2025-05-01|bolt|120", "2025-06-01|acme|220", "2025-06-01|bolt|10"],
            "{style}"
        );
        // The provider bills them with June: May has nothing to restate.
        for period in ["2025-05", "2025-06"] {
            crate::fixture::run(&admin, &format!("call close_period('{period}')")).await;
            crate::fixture::run(&admin, &format!("call issue_invoices('{period}')")).await;
        }
        assert_eq!(rows(&admin, "select count(*) from proposed_adjustments").await, ["0"], "{style}");
        let lines = "select kind, amount from invoice_lines l join invoices i using (invoice_id) \
                     where i.buyer_node_id = 'bolt' and i.billing_period = '2025-06' order by l.line_no";
        assert_eq!(rows(&north, lines).await, ["usage|30", "adjustment|-20"], "{style}");
    }
}
