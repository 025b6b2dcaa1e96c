//! What users of billing systems complain about (the numbers are those of the list of pains), each shown not to happen here.

use crate::fixture::{Fixture, Line, refused, rows, run};

async fn closed(fixture: &Fixture, period: &str) {
    for call in ["close_period", "issue_invoices"] {
        run(&fixture.admin(), &format!("call {call}('{period}')")).await;
    }
}

#[tokio::test]
async fn p1_rounding_of_lines_does_not_add_up() {
    let fixture = Fixture::chain().await;
    fixture.land("october.csv", &[Line::usage("a-acme", "0.005"); 300]).await;
    closed(&fixture, "2025-10").await;
    // 0.005 x 1.1 x 1.5 = 0.00825 a line: 2.475 for 300 of them, where cents a line would make 3.00. The document rounds once.
    let portal = fixture.session("portal@acme");
    assert_eq!(rows(&portal, "select sum(cost) from charges").await, ["2.475"]);
    assert_eq!(rows(&portal, "select total from invoices").await, ["2.48"]);
    assert_eq!(rows(&portal, "select sum(amount) from invoice_lines").await, ["2.48"]);
}

#[tokio::test]
async fn p2_each_card_rounds_by_its_own_rule() {
    let fixture = Fixture::chain().await;
    let versions = "card_id,version,valid_from,rounding_digits,rounding_mode\n\
                    retail-north,2,2025-10-06,2,down\nretail-north,3,2025-10-07,2,half_up\n";
    fixture.copy("rate_card_versions", versions).await;
    let rules =
        "card_id,version,rule_id,method,value\nretail-north,2,all,markup_pct,50\nretail-north,3,all,markup_pct,50\n";
    fixture.copy("rate_rules", rules).await;
    for version in ["2", "3"] {
        fixture.activate("retail-north", version).await;
    }
    let on = |from, to, cost| Line { from, to, ..Line::usage("a-acme", cost) };
    let lines = [
        on("2025-10-05T00:00:00Z", "2025-10-05T01:00:00Z", "1.005"),
        on("2025-10-06T00:00:00Z", "2025-10-06T01:00:00Z", "1.005"),
        on("2025-10-07T00:00:00Z", "2025-10-07T01:00:00Z", "1.005"),
        // Taken back, it is rounded towards nothing, too.
        Line { resource: "back", ..on("2025-10-06T00:00:00Z", "2025-10-06T01:00:00Z", "-1.005") },
    ];
    fixture.land("october.csv", &lines).await;
    // 1.005 x 1.1 x 1.5 is 1.65825.
    let paid = "select charge_date, cost from charges order by 1, 2";
    assert_eq!(
        rows(&fixture.session("portal@acme"), paid).await,
        ["2025-10-05|1.65825", "2025-10-06|-1.65", "2025-10-06|1.65", "2025-10-07|1.66"]
    );
}

#[tokio::test]
async fn p2_each_source_rounds_by_its_own_rule() {
    let fixture = Fixture::chain().await;
    let versions = "card_id,version,valid_from,rounding_digits,rounding_mode\nretail-north,2,2025-10-01,3,\n";
    fixture.copy("rate_card_versions", versions).await;
    let rules = "card_id,version,rule_id,provider_name,method,value,rounding_digits,rounding_mode\n\
                 retail-north,2,globex,Globex,markup_pct,50,2,up\n\
                 retail-north,2,others,,markup_pct,50,,\n";
    fixture.copy("rate_rules", rules).await;
    fixture.activate("retail-north", "2").await;
    let refusals = [
        ("rounding_digits = 19", "rounding_digits must be 0 to 18"),
        ("rounding_digits = null", "rounding_mode needs rounding_digits"),
        ("rounding_mode = 'nearest'", "rounding_mode must be one of"),
    ];
    let draft =
        "insert into ref.rate_card_versions (card_id, version, valid_from) values ('retail-north', 3, '2026-01-01')";
    run(&fixture.admin(), draft).await;
    let rule = "insert into ref.rate_rules (card_id, version, rule_id, method, value, rounding_digits, rounding_mode) \
                values ('retail-north', 3, 'all', 'markup_pct', 50, 2, 'up')";
    run(&fixture.admin(), rule).await;
    for (change, why) in refusals {
        let error = refused(&fixture.admin(), &format!("update ref.rate_rules set {change} where version = 3")).await;
        assert!(error.message.contains(why), "{}", error.message);
    }
    fixture.land("october.csv", &[Line::usage("a-acme", "1.005")]).await;
    // 1.005 x 1.1 x 1.5 is 1.65825: up to cents for Globex, the nearest thousandth for others.
    let portal = fixture.session("portal@acme");
    assert_eq!(rows(&portal, "select cost from charges").await, ["1.66"]);
    let north = fixture.session("finance@north");
    let charge = rows(&north, "select charge_id from charges").await.remove(0);
    let explained = format!(
        "select amount, details ->> 'rounding_mode', details ->> 'rounding_digits' from explain_charge('{charge}') where kind = 'sale'"
    );
    assert_eq!(rows(&north, &explained).await, ["1.66|up|2"]);
    let moved = "update ref.rate_rules set provider_name = 'Initech' where rule_id = 'globex'";
    let error = refused(&fixture.admin(), moved).await;
    assert!(error.message.contains("its rules are fixed"), "{}", error.message);
    let price = "select price from rate_lookup('acme', date '2025-10-05', provider_name => 'Initech', cost => 1.1055)";
    assert_eq!(rows(&north, price).await, ["1.658"]);
}

#[tokio::test]
async fn p3_clock_changes_neither_lose_nor_repeat_an_hour() {
    let fixture = Fixture::chain().await;
    run(&fixture.admin(), "update ref.nodes set time_zone = 'Europe/Berlin' where node_id = 'acme'").await;
    // 29 hours around the day of 25 hours on which Berlin's clocks go back.
    let hour = |at: usize| format!("2025-10-{:02}T{:02}:00:00Z", 25 + at / 24, at % 24);
    let hours: Vec<(String, String)> = (20..49).map(|at| (hour(at), hour(at + 1))).collect();
    let lines: Vec<Line<'_>> = hours.iter().map(|(from, to)| Line { from, to, ..Line::usage("a-acme", "1") }).collect();
    fixture.land("october.csv", &lines).await;
    // Berlin's 26th is from 22:00 of the 25th to 23:00 of the 26th, UTC.
    let days = "select charge_date, sum(quantity) from charges_daily group by 1 order by 1";
    assert_eq!(rows(&fixture.session("portal@acme"), days).await, ["2025-10-25|2", "2025-10-26|25", "2025-10-27|2"]);
    // The root's days are its own: UTC's.
    let months = "select billing_period, sum(quantity) from charges_monthly group by 1";
    assert_eq!(rows(&fixture.admin(), months).await, ["2025-10-01|29"]);
}

#[tokio::test]
async fn p4_late_usage_is_billed_and_changes_no_issued_bill() {
    let fixture = Fixture::chain_with_usage().await;
    closed(&fixture, "2025-10").await;
    let acme = "select billing_period, total from invoices order by 1";
    let portal = fixture.session("portal@acme");
    assert_eq!(rows(&portal, acme).await, ["2025-10|165"]);
    // Usage of 5 October that the provider bills with November, at the terms of its time.
    fixture.version("retail-north", "2,2025-11-01,", "all,markup_pct,100\n").await;
    fixture.land("november.csv", &[Line { period: "2025-11", ..Line::usage("a-acme", "20") }]).await;
    closed(&fixture, "2025-11").await;
    // 20 x 1.1 x 1.5
    assert_eq!(rows(&portal, acme).await, ["2025-10|165", "2025-11|33"]);
    // What it adds to October itself is proposed, and billed once somebody else has approved it.
    let lines = [Line::usage("a-acme", "100"), Line::usage("a-bolt", "200"), Line::usage("a-core", "400")];
    let late = Line { resource: "late", ..Line::usage("a-acme", "6") };
    fixture.land("october-2.csv", &[&lines[..], &[Line::usage("a-north", "10"), late]].concat()).await;
    assert_eq!(rows(&portal, acme).await, ["2025-10|165", "2025-11|33"]);
    run(&fixture.session("finance@north"), "call submit('adjustment', 'north/acme/2025-10', 'late usage')").await;
    run(&fixture.session("finance"), "call approve('adjustment', 'north/acme/2025-10', 'seen')").await;
    // 6 x 1.1 x 1.5
    assert_eq!(
        rows(&portal, "select total, document_type from invoices order by issued_at desc limit 1").await,
        ["9.9|debit_note"]
    );
}

#[tokio::test]
async fn p5_a_restated_month_yields_the_difference_and_edits_nothing() {
    let fixture = Fixture::chain_with_usage().await;
    closed(&fixture, "2025-10").await;
    let documents = "select number, total, content_hash from invoices order by 1";
    let admin = fixture.admin();
    let before = rows(&admin, documents).await;
    let lines = ["100", "200", "390", "10"];
    let accounts = ["a-acme", "a-bolt", "a-core", "a-north"];
    let restated: Vec<Line<'_>> =
        accounts.iter().zip(lines).map(|(account, cost)| Line::usage(account, cost)).collect();
    fixture.land("october-2.csv", &restated).await;
    assert_eq!(rows(&admin, documents).await, before);
    // 10 less: 12 to south, 24 to core. Nobody else hears of it.
    let proposed = "select seller_node_id, buyer_node_id, difference from proposed_adjustments order by 1";
    assert_eq!(rows(&admin, proposed).await, ["dist|south|-12", "south|core|-24"]);
    assert_eq!(rows(&fixture.session("finance@south"), proposed).await, ["south|core|-24"]);
    assert!(rows(&fixture.session("finance@north"), proposed).await.is_empty());
}

#[tokio::test]
async fn p9_a_price_that_changes_within_the_month_holds_from_its_instant() {
    let fixture = Fixture::chain().await;
    // The new version ends the one that held.
    fixture.version("retail-north", "2,2025-10-16,", "all,markup_pct,100\n").await;
    fixture.land("october.csv", &[Line::october("a-acme", "310")]).await;
    // 10 a day, 11 to north: 15 days at + 50 % are 247.50, 16 days at + 100 % are 352.
    assert_eq!(rows(&fixture.session("portal@acme"), "select sum(cost) from charges").await, ["599.5"]);
    let versions = "select version, valid_to from ref.rate_card_versions where card_id = 'retail-north' order by 1";
    assert_eq!(rows(&fixture.admin(), versions).await, ["1|2025-10-16T00:00:00Z", "2|null"]);
    // What would hold before or beside it is refused.
    let admin = fixture.admin();
    for (from, to) in [("2025-10-16", "null"), ("2025-09-01", "null"), ("2025-10-01", "'2025-10-05'")] {
        let sql = format!(
            "insert into ref.rate_card_versions (card_id, version, valid_from, valid_to) values ('retail-north', 3, '{from}', {to})"
        );
        let error = refused(&admin, &sql).await;
        assert!(error.to_string().contains("overlaps"), "{from}: {error}");
    }
}

#[tokio::test]
async fn p10_history_keeps_the_terms_of_its_time() {
    let fixture = Fixture::chain_with_usage().await;
    closed(&fixture, "2025-10").await;
    let admin = fixture.admin();
    fixture.version("retail-north", "2,2025-12-01,", "all,markup_pct,300\n").await;
    // Nothing of October is even looked at again.
    assert_eq!(rows(&admin, "select count(*) from ops.slices where stale_since is not null").await, ["0"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&fixture.session("portal@acme"), "select cost from charges").await, ["165"]);
}

#[tokio::test]
async fn p11_tiers_count_all_accounts_and_take_reversals_back() {
    let fixture = Fixture::with_nodes("acme,dist,customer").await;
    fixture.accounts("a-1,acme\na-2,acme").await;
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nc,dist,acme,USD,C\n").await;
    fixture.copy("rate_card_versions", "card_id,version\nc,1\n").await;
    let bands = r#"[{""up_to"": ""100"", ""price"": ""1""}, {""up_to"": null, ""price"": ""0.5""}]"#;
    fixture.copy("rate_rules", &format!("card_id,version,rule_id,method,bands\nc,1,all,graduated,\"{bands}\"\n")).await;
    fixture.activate("c", "1").await;
    let hours = |account, quantity| Line { quantity, ..Line::usage(account, "1") };
    let total = "select sum(cost) from charges";
    fixture.user("portal@acme", "acme", "portal").await;
    let portal = fixture.session("portal@acme");
    fixture.land("october.csv", &[hours("a-1", "80"), hours("a-2", "60")]).await;
    // 140 hours in all: 100 at 1 and 40 at 0.50.
    assert_eq!(rows(&portal, total).await, ["120"]);
    // 40 of them are taken back: 100 hours at 1.
    fixture.land("october.csv", &[hours("a-1", "80"), hours("a-2", "60"), hours("a-2", "-40")]).await;
    assert_eq!(rows(&portal, total).await, ["100"]);
}

#[tokio::test]
async fn p13_an_issued_invoice_is_corrected_by_notes_only() {
    let fixture = Fixture::chain_with_usage().await;
    closed(&fixture, "2025-10").await;
    let admin = fixture.admin();
    let invoice = "select total, status, content_hash, issued_at from invoices where number = 'north/acme/0001'";
    let before = rows(&admin, invoice).await;
    for statement in
        ["update invoices set status = 'draft'", "delete from invoices", "update invoice_lines set amount = 0"]
    {
        assert_eq!(refused(&admin, statement).await.sqlstate, "42501", "{statement}");
    }
    fixture.land("october-2.csv", &[Line::usage("a-bolt", "200")]).await;
    run(&admin, "call close_period('2025-10')").await;
    run(&admin, "call credit_note('north/acme/0001/1', 65, 'goodwill')").await;
    run(&fixture.session("finance"), "call approve('adjustment', 'north/acme/0001/1', 'agreed')").await;
    run(&admin, "call submit('adjustment', 'north/acme/2025-10', 'acme was never there')").await;
    run(&fixture.session("finance"), "call approve('adjustment', 'north/acme/2025-10', 'agreed')").await;
    assert_eq!(rows(&admin, invoice).await, before);
    let notes =
        "select number, document_type, total, corrects_number from invoices where buyer_node_id = 'acme' order by 1";
    assert_eq!(
        rows(&fixture.session("portal@acme"), notes).await,
        [
            "north/acme/0001|invoice|165|null",
            "north/acme/0002|credit_note|-65|north/acme/0001",
            "north/acme/0003|credit_note|-165|north/acme/0001"
        ]
    );
    assert!(fixture.warehouse.verify().await.expect("it can be read").problems.is_empty());
}

#[tokio::test]
async fn p14_negative_amounts_stay_negative() {
    let fixture = Fixture::chain().await;
    fixture
        .land("october.csv", &[Line::usage("a-acme", "10"), Line { quantity: "-3", ..Line::usage("a-acme", "-30") }])
        .await;
    closed(&fixture, "2025-10").await;
    // (10 - 30) x 1.1 x 1.5
    assert_eq!(rows(&fixture.session("portal@acme"), "select total from invoices").await, ["-33"]);
    assert_eq!(rows(&fixture.session("portal@acme"), "select sum(quantity) from charges").await, ["-2"]);
}

#[tokio::test]
async fn p15_credits_are_neither_lost_nor_drawn_twice_nor_do_they_hide_the_run_rate() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    let credits = "credit_id,seller_node_id,node_id,source,amount,currency,valid_from,expires_at\n\
                   big,dist,north,Programme,500,USD,2025-10-01,2026-01-01\nspent,dist,north,Past,77,USD,2025-08-01,2025-10-01\n";
    fixture.copy("credits", credits).await;
    for credit in ["big", "spent"] {
        run(&admin, &format!("call submit('credit', '{credit}', 'agreed')")).await;
    }
    closed(&fixture, "2025-10").await;
    // North's month is 341, of a credit of 500; what had expired before is not drawn. Doing it again draws nothing more.
    for call in ["call apply_credits('2025-10')", "call refresh()"] {
        run(&admin, call).await;
    }
    // What is granted later is not consumed by the month that was issued, nor what is landed again.
    let late = "credit_id,seller_node_id,node_id,source,amount,currency,valid_from,expires_at\n\
                late,dist,north,Late,100,USD,2025-10-01,2025-12-01\n";
    fixture.copy("credits", late).await;
    run(&admin, "call submit('credit', 'late', 'agreed')").await;
    run(&admin, "call refresh()").await;
    let month = "select sum(case when origin = 'credit' then cost end), sum(case when origin <> 'credit' then cost end) from charges";
    let north = fixture.session("finance@north");
    assert_eq!(rows(&north, month).await, ["-341|341"]);
    let november = Line {
        period: "2025-11",
        from: "2025-11-05T00:00:00Z",
        to: "2025-11-05T01:00:00Z",
        ..Line::usage("a-acme", "200")
    };
    fixture.land("november.csv", &[november]).await;
    closed(&fixture, "2025-11").await;
    // 220: first 100 of what expires first, then 120 of the 159 that are left; 39 are lost on New Year's Day, and 77 were in October.
    let documents =
        "select billing_period, subtotal, credits, total from invoices where buyer_node_id = 'north' order by 1";
    assert_eq!(rows(&north, documents).await, ["2025-10|341|-341|0", "2025-11|220|-220|0"]);
    let accounts = "select credit_id, account, sum(amount) from credits_ledger where buyer_node_id = 'north' and account <> 'granted' \
                    group by 1, 2 order by 1, 2";
    assert_eq!(
        rows(&north, accounts).await,
        [
            "big|applied|461",
            "big|balance|0",
            "big|breakage|39",
            "late|applied|100",
            "late|balance|0",
            "spent|balance|0",
            "spent|breakage|77"
        ]
    );
}

#[tokio::test]
async fn p16_a_part_of_a_month_is_counted_as_its_contract_says() {
    let fixture = Fixture::chain_with_usage().await;
    // A seat of 22.00 a month from 15 October on.
    let seats: String = ["actual", "30", "full_month", "none"]
        .map(|convention| format!("north,{convention},acme,{convention},1,22,USD,{convention},active,2025-10-15\n"))
        .concat();
    let header = "seller_node_id,licence_id,node_id,product,seats,unit_price,currency,convention,status,valid_from";
    fixture.copy("licences", &format!("{header}\n{seats}")).await;
    run(&fixture.admin(), "call refresh()").await;
    // 22 x 17/31; each day a thirtieth: 22 x 17/30; the whole; what was not there when the month began does not count.
    let october = "select service_name, cost from charges
                   where origin = 'licence' and billing_period = date '2025-10-01' order by 1";
    assert_eq!(
        rows(&fixture.session("portal@acme"), october).await,
        ["30|12.466666666666666667", "actual|12.064516129032258065", "full_month|22"]
    );
}

#[tokio::test]
async fn p17_a_missing_rate_is_never_one() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    fixture.copy("nodes", "node_id,parent_id,kind,name,currency\neuro,dist,customer,Euro,EUR\n").await;
    fixture.accounts("a-euro,euro").await;
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\ne,dist,euro,EUR,E\n").await;
    fixture.version("e", "1,2000-01-01,", "all,pass_through,\n").await;
    fixture.land("october.csv", &[Line::usage("a-euro", "100")]).await;
    assert_eq!(rows(&admin, "select outcome, price from charges").await, ["unrated|null"]);
    let error = refused(&admin, "call close_period('2025-10')").await;
    assert!(error.to_string().contains("no rate from USD to EUR"), "{error}");
    // With the rate both currencies reconcile, and it is kept on what it priced.
    fixture
        .copy(
            "fx_rates",
            "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\nx,market,USD,EUR,2025-10-01,0.8\n",
        )
        .await;
    closed(&fixture, "2025-10").await;
    assert_eq!(rows(&admin, "select cost, price, price_currency, fx_rate_id from charges").await, ["100|80|EUR|x"]);
}

#[tokio::test]
async fn p18_what_children_pay_is_what_their_seller_gets() {
    let fixture = Fixture::chain_with_usage().await;
    closed(&fixture, "2025-10").await;
    let north = fixture.session("finance@north");
    // 100 and 200, + 10 %, + 50 %.
    assert_eq!(rows(&north, "select sum(total) from invoices where seller_node_id = 'north'").await, ["495"]);
    assert_eq!(rows(&north, "select sum(price) from charges").await, ["495"]);
    // What north pays is its children's cost and its own: 310 x 1.1.
    assert_eq!(rows(&north, "select sum(total) from invoices where buyer_node_id = 'north'").await, ["341"]);
    assert_eq!(rows(&fixture.admin(), "select count(*) from ops.close_blockers").await, ["0"]);
}

#[tokio::test]
async fn p20_the_benefit_of_a_commitment_is_its_owners_and_adds_up() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    // North bought a plan of 100: 60 and 20 of it covered what costs 90 and 50 on demand, 20 were left.
    let of_plan = |account, effective, list| Line {
        commitment: "sp-1",
        billed: "0",
        effective,
        list,
        ..Line::usage(account, "0")
    };
    let lines = [
        Line { category: "Purchase", billed: "100", ..of_plan("a-north", "0", "100") },
        Line { status: "Used", ..of_plan("a-acme", "60", "90") },
        Line { status: "Used", ..of_plan("a-core", "20", "50") },
        Line { status: "Unused", ..of_plan("a-north", "20", "20") },
    ];
    fixture.land("october.csv", &lines).await;
    fixture.copy("commitment_policies", "policy_id,benefit,unused\nowner,purchaser,purchaser\n").await;
    closed(&fixture, "2025-10").await;
    // Users pay by on-demand cost, 90 x 1.1 and 50 x 1.2; north is given 30 + 30 and bears 20, at the provider's cost.
    let invoices = "select buyer_node_id, total from invoices where seller_node_id = 'dist' order by 1";
    assert_eq!(rows(&admin, invoices).await, ["north|59", "south|60"]);
    // Three cost bases side by side, and every unit with its owner and its user.
    let units = "select user_node_id, owner_node_id, sum(billed), sum(effective), sum(on_demand) from commitment_benefits \
                 where entry in ('used', 'unused') group by 1, 2 order by 1";
    assert_eq!(rows(&admin, units).await, ["acme|north|0|60|90", "core|north|0|20|50", "north|north|0|20|0"]);
    assert_eq!(rows(&admin, "select sum(amount) from commitment_benefits").await, ["0"]);
}

#[tokio::test]
async fn p23_a_missing_price_is_neither_zero_nor_another() {
    let fixture = Fixture::with_nodes("acme,dist,customer").await;
    let admin = fixture.admin();
    fixture.accounts("a-acme,acme").await;
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nc,dist,acme,USD,C\n").await;
    fixture.copy("rate_card_versions", "card_id,version\nc,1\n").await;
    fixture.copy("rate_rules", "card_id,version,rule_id,region_id,method,value\nc,1,eu,eu-1,markup_pct,10\n").await;
    fixture.activate("c", "1").await;
    fixture.land("october.csv", &[Line::usage("a-acme", "100")]).await;
    assert_eq!(rows(&admin, "select outcome, price from charges").await, ["unrated|null"]);
    let error = refused(&admin, "call close_period('2025-10')").await;
    assert!(error.to_string().contains("unrated"), "{error}");
    let blockers =
        rows(&admin, "select count(*) from ops.close_blockers where billing_period = date '2025-10-01'").await;
    assert_ne!(blockers, ["0"]);
}
