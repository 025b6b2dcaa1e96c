//! Commitments of contracts with providers, beside what cost and usage applies to them.

use std::path::Path;

use crate::fixture::{Fixture, Line, focus, rows, run};

/// Commitments to Globex: `id,contract,category,lifecycle status,first day,end,cost,currency,quantity,unit` a line.
fn contract(lines: &str) -> String {
    let header = "ContractCommitmentId,ContractId,ContractCommitmentCategory,ContractCommitmentLifecycleStatus,ContractCommitmentPeriodStart,\
                  ContractCommitmentPeriodEnd,ContractCommitmentCost,BillingCurrency,ContractCommitmentQuantity,ContractCommitmentUnit,\
                  InvoiceIssuerName,ServiceProviderName";
    lines.lines().fold(format!("{header}\n"), |text, line| format!("{text}{line},Globex,Globex\n"))
}

/// A line of cost and usage, and what it applies to commitments.
struct Applied<'a> {
    line: Line<'a>,
    provider: &'a str,
    /// Elements of `ContractApplied`, without braces around them.
    elements: Vec<String>,
}

impl<'a> Applied<'a> {
    fn globex(line: Line<'a>, elements: Vec<String>) -> Self {
        Self { line, provider: "Globex", elements }
    }
}

/// The lines as a FOCUS 1.4 file of Globex' invoices.
fn usage(lines: &[Applied<'_>]) -> String {
    let mut text = String::new();
    for Applied { line, provider, elements } in lines {
        let file = focus(&[*line]).replace("\"Globex\"", &format!("\"{provider}\""));
        let (header, row) = file.trim_end().split_once('\n').expect("a header and a line");
        if text.is_empty() {
            let header = header.replace("ProviderName", "ServiceProviderName");
            text = format!("{header},InvoiceIssuerName,ContractApplied\n");
        }
        let objects: Vec<String> = elements.iter().map(|element| format!("{{{element}}}")).collect();
        let json =
            if objects.is_empty() { String::new() } else { format!("{{\"Elements\": [{}]}}", objects.join(",")) };
        text += &format!("{row},Globex,\"{}\"\n", json.replace('"', "\"\""));
    }
    text
}

async fn land(fixture: &Fixture, name: &str, content: &str) {
    fixture.land_path(&fixture.file(name, content)).await.expect("it lands");
}

const STATUS: &str = "select commitment_id, committed, unit, applied, applied_pct, remaining, unused, expected, expected_pct, status, \
                      days_left, uncounted from commitment_status order by 1";

#[tokio::test]
async fn commitments_are_shown_beside_what_was_applied_to_them() {
    let fixture = Fixture::chain().await;
    // 2025-10-01 to 2053-02-16 are 10,000 days. Usage is complete up to 5 October: 5 of them.
    let term = "Active,2025-10-01T00:00:00Z,2053-02-16T00:00:00Z";
    let commitments = [
        format!("edp,c-1,Spend,{term},100000,USD,,"),
        format!("sp-1,c-1,Spend,{term},1000000,USD,,"),
        format!("hours,c-2,Usage,{term},,,40000,Hours"),
        "short,c-2,Spend,Active,2025-10-01T00:00:00Z,2025-10-06T00:00:00Z,100,USD,,".to_owned(),
        format!("done,c-2,Spend,{term},50,USD,,"),
        "later,c-2,Spend,Pending,2053-02-16T00:00:00Z,2054-02-16T00:00:00Z,100,USD,,".to_owned(),
        format!("given-up,c-2,Spend,{term},100,USD,,").replace("Active", "Canceled"),
        format!("euro,c-2,Spend,{term},1000,EUR,,"),
    ];
    land(&fixture, "contract.csv", &contract(&commitments.join("\n"))).await;
    // No usage has landed: nothing is expected.
    let before = "select distinct status, expected, days_left, applied from commitment_status";
    assert_eq!(rows(&fixture.admin(), before).await, ["null|null|null|0"]);
    let edp = |amount: &str| {
        format!(r#""ContractId": "c-1", "ContractCommitmentId": "edp", "ContractCommitmentAppliedCost": {amount}"#)
    };
    let of = |id: &str, amount: &str| edp(amount).replace("edp", id).replace("c-1", "c-2");
    let hours = |quantity: &str, unit: &str| {
        format!(
            r#""ContractId": "c-2", "ContractCommitmentId": "hours", "ContractCommitmentAppliedQuantity": {quantity}, "ContractCommitmentAppliedUnit": "{unit}""#
        )
    };
    let line = Line::usage("a-acme", "1");
    let plan = |status, effective| Line { commitment: "sp-1", status, effective, billed: "0", ..line };
    // As the text of FOCUS 1.3 spells the names; a number may be a text, and have an exponent.
    let in_capitals = edp(r#""2.55e1""#).replace("Id\"", "ID\"");
    let lines = [
        Applied::globex(line, vec![edp("30"), hours("12.5", "hours")]),
        Applied::globex(line, vec![in_capitals]),
        // The purchase of the commitment states its value; that of something else fulfils it.
        Applied::globex(
            Line { category: "Purchase", resource: "edp", billed: "100000", effective: "0", ..line },
            vec![edp("100000")],
        ),
        Applied::globex(Line { category: "Purchase", resource: "ri-9", ..line }, vec![edp("10")]),
        Applied::globex(Line { class: "Correction", ..line }, vec![edp("-5.5")]),
        // Globex invoices what Initech sells on its marketplace.
        Applied { provider: "Initech", ..Applied::globex(line, vec![edp("10")]) },
        // Lines that apply nothing count for the commitment that covered them.
        Applied::globex(Line { category: "Purchase", commitment: "sp-1", effective: "0", ..line }, vec![]),
        Applied::globex(plan("Used", "60"), vec![]),
        Applied::globex(plan("Used", "20"), vec![]),
        Applied::globex(plan("Unused", "20"), vec![]),
        Applied::globex(line, vec![hours("7.5", "Hours"), hours("9", "GB")]),
        // 60 of a short one, enough of another, dollars for euros, and what is no number.
        Applied::globex(line, vec![of("short", "60"), of("done", "70"), of("euro", "5"), of("done", r#""much""#)]),
        // Before the short one began.
        Applied::globex(
            Line { from: "2025-09-30T00:00:00Z", to: "2025-09-30T01:00:00Z", ..line },
            vec![of("short", "40")],
        ),
        // Of another contract than the commitment is part of.
        Applied::globex(line, vec![edp("1000").replace("c-1", "c-9")]),
    ];
    let text = usage(&lines);
    land(&fixture, "october.csv", &text).await;
    let admin = fixture.admin();
    let status = rows(&admin, STATUS).await;
    let expected = [
        // 50 x 5/10,000 = 0.025, to the cent by half-even.
        "done|50|USD|70|140|-20|0|0.02|0.05|fulfilled|9995|1",
        // 30 + 25.5 + 10 - 5.5 + 10; 100,000 x 5/10,000.
        "edp|100000|USD|70|0.07|99930|0|50|0.05|on_track|9995|0",
        "euro|1000|EUR|0|0|1000|0|0.5|0.05|behind|9995|1",
        "given-up|100|USD|0|0|100|0|0.05|0.05|null|9995|0",
        // 12.5 + 7.5; the gigabytes are not counted.
        "hours|40000|Hours|20|0.05|39980|0|20|0.05|on_track|9995|1",
        // 9,995 days and a year.
        "later|100|USD|0|0|100|0|0|0|not_started|10360|0",
        "short|100|USD|60|60|40|0|100|100|ended_short|0|0",
        // 60 + 20 of 1,000,000 are 0.008 %.
        "sp-1|1000000|USD|80|0.01|999920|20|500|0.05|behind|9995|0",
    ];
    assert_eq!(status, expected);
    // The same ids in what another provider sells and invoices are another's commitments.
    let other =
        text.replace("\"Globex\"", "\"Umbrella\"").replace(",Globex,", ",Umbrella,").replace("Initech", "Umbrella");
    land(&fixture, "umbrella.csv", &other).await;
    let of_edp = "select applied, uncounted from commitment_status where commitment_id = 'edp'";
    assert_eq!(rows(&admin, of_edp).await, ["70|0"]);
    // The provider says how long a commitment holds: a newer delivery takes the older one's place.
    let cut = commitments[0].replace("2053-02-16", "2025-10-06");
    land(&fixture, "renewed.csv", &contract(&cut)).await;
    assert_eq!(
        rows(&admin, &STATUS.replace("order by", "where commitment_id = 'edp' order by")).await,
        ["edp|100000|USD|70|0.07|99930|0|100000|100|ended_short|0|0"]
    );
}

/// Seventy-five commitments that somebody else generated, with hundreds of lines that apply to them.
#[tokio::test]
async fn the_sample_is_applied_as_it_says() {
    let fixture = Fixture::chain().await;
    for name in ["contract_commitment", "cost_and_usage"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/focus");
        fixture.land_path(&path.join(format!("synthetic_focus_1_4_{name}.csv"))).await.expect("it lands");
    }
    // By Python's decimal over the elements, the purchases of the commitments themselves left out.
    let sums = "select count(*), sum(applied), sum(unused), sum(uncounted) from commitment_status";
    assert_eq!(rows(&fixture.admin(), sums).await, ["75|22842.419161293025|9397.6003990848|0"]);
    // Each savings plan was bought twice at 32.016: what of that was used and what was left are all of it.
    let plans = "select distinct applied + unused from commitment_status where commitment_type = 'Savings Plan'";
    assert_eq!(rows(&fixture.admin(), plans).await, ["64.032"]);
    // Complete up to 28 May: 28 of 365 days of 120,000 are 9,205.479...
    let minimum = "select applied, expected, expected_pct, status, days_left, complete_until from commitment_status where commitment_id = 'CC-MINSPEND-AWS'";
    assert_eq!(rows(&fixture.admin(), minimum).await, ["712.584291687825|9205.48|7.67|behind|337|2026-05-28"]);
}

#[tokio::test]
async fn a_commitment_that_ended_short_does_not_hold_the_close() {
    let fixture = Fixture::chain_with_usage().await;
    let short = "short,c-1,Spend,Active,2025-10-01T00:00:00Z,2025-10-06T00:00:00Z,100,USD,,";
    land(&fixture, "contract.csv", &contract(short)).await;
    let admin = fixture.admin();
    let status = "select applied, remaining, status from commitment_status";
    assert_eq!(rows(&admin, status).await, ["0|100|ended_short"]);
    assert_eq!(rows(&admin, "select * from ops.close_blockers").await, Vec::<String>::new());
    run(&admin, "call close_period('2025-10')").await;
}
