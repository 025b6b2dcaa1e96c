use super::*;
use crate::billing::fixture::money;

fn edge(currency: &str) -> EdgeKey {
    EdgeKey { seller: "reseller".to_owned(), buyer: "acme".to_owned(), currency: currency.to_owned() }
}

fn charge(service: &str, category: &str, amount: &str) -> EdgeCharge {
    EdgeCharge {
        origin: "usage".to_owned(),
        provider_name: "AWS".to_owned(),
        service_name: Some(service.to_owned()),
        charge_category: category.to_owned(),
        charge_class: None,
        is_billed: true,
        amount: money(amount),
    }
}

fn make(currency: &str, mode: Rounding, charges: Vec<EdgeCharge>) -> Draft {
    draft(edge(currency), charges, mode).expect("a draft")
}

fn amounts(draft: &Draft) -> Vec<(&str, &str)> {
    draft.lines.iter().map(|line| (line.kind, line.amount.as_str())).collect()
}

#[test]
fn a_credit_stands_as_it_is_beside_eighty_one_rounded_lines() {
    // F11. 80 lines of 284.8464 and one of 284.8176: 22,787.712 + 284.8176 = 23,072.5296.
    // Each of the 80 shows 284.85 (22,788.00 together), the last 284.82: 23,072.82 listed.
    // Total: 23,072.5296 - 100 = 22,972.5296, shown 22,972.53. Rounding: 22,972.53 - (23,072.82 - 100.00) = -0.29.
    let mut charges: Vec<EdgeCharge> =
        (0..80).map(|n| charge(&format!("service {n:02}"), "Usage", "284.8464")).collect();
    charges.push(charge("service 80", "Usage", "284.8176"));
    charges.push(charge("service 80", "Credit", "-100"));
    let draft = make("USD", Rounding::HalfEven, charges);
    assert_eq!(draft.lines.len(), 83);
    assert_eq!(draft.subtotal, "23072.82");
    assert_eq!(draft.credits, "-100.00");
    assert_eq!(draft.rounding, "-0.29");
    assert_eq!(draft.total, "22972.53");
    assert_eq!(draft.charges_total, "22972.5296");
    assert_eq!(amounts(&draft)[81], ("credit", "-100.00"));
    assert_eq!(amounts(&draft)[82], ("rounding", "-0.29"));
}

#[test]
fn labour_and_usage_share_one_invoice() {
    // F2. 10 hours of 150 are 1,500; with 8,200 of Azure usage 9,700.00.
    let labour = EdgeCharge { origin: "labour".to_owned(), ..charge("Migration", "Usage", "1500") };
    let draft = make("USD", Rounding::HalfEven, vec![labour, charge("Azure", "Usage", "8200")]);
    assert_eq!(amounts(&draft), [("usage", "8200.00"), ("labour", "1500.00")]);
    assert_eq!(draft.total, "9700.00");
}

#[test]
fn yen_have_no_minor_unit() {
    let charges = || vec![charge("a", "Usage", "0.5"), charge("b", "Usage", "1.5"), charge("c", "Usage", "2.5")];
    // To even: 0 + 2 + 2 = 4; the sum 4.5 is 4: nothing left over.
    let even = make("JPY", Rounding::HalfEven, charges());
    assert_eq!(amounts(&even), [("usage", "0"), ("usage", "2"), ("usage", "2")]);
    assert_eq!(even.total, "4");
    // Up: 1 + 2 + 3 = 6; the sum 4.5 is 5: one yen too many on the lines.
    let up = make("JPY", Rounding::HalfUp, charges());
    assert_eq!(amounts(&up), [("usage", "1"), ("usage", "2"), ("usage", "3"), ("rounding", "-1")]);
    assert_eq!(up.total, "5");
}

#[test]
fn dinars_have_three_digits() {
    // 1.2345 and 2.3455 to even: 1.234 and 2.346; their sum 3.5800 is 3.580.
    let exact = make("KWD", Rounding::HalfEven, vec![charge("a", "Usage", "1.2345"), charge("b", "Usage", "2.3455")]);
    assert_eq!(amounts(&exact), [("usage", "1.234"), ("usage", "2.346")]);
    assert_eq!(exact.total, "3.580");
    // Three times 0.0004: every line shows nothing, the sum 0.0012 shows 0.001.
    let small = make("KWD", Rounding::HalfEven, ["a", "b", "c"].map(|s| charge(s, "Usage", "0.0004")).into());
    assert_eq!(amounts(&small)[3], ("rounding", "0.001"));
    assert_eq!(small.total, "0.001");
}

#[test]
fn a_document_of_credits_only_is_negative() {
    // Up is away from zero on both sides: -0.005 is -0.01.
    let draft = make("USD", Rounding::HalfUp, vec![charge("a", "Credit", "-0.005")]);
    assert_eq!((draft.total.as_str(), draft.credits.as_str(), draft.subtotal.as_str()), ("-0.01", "-0.01", "0.00"));
    assert_eq!(amounts(&draft), [("credit", "-0.01")]);
}

#[test]
fn a_reported_charge_is_shown_and_not_billed() {
    let reported = EdgeCharge { is_billed: false, ..charge("Support", "Purchase", "12.345") };
    let draft = make("USD", Rounding::HalfEven, vec![charge("Compute", "Usage", "1"), reported]);
    assert_eq!(draft.total, "1.00");
    assert_eq!(draft.lines[1].amount, "0.00");
    // 12.345 to even is 12.34.
    assert_eq!(draft.lines[1].description, "AWS purchase (for information, not billed: 12.34)");
}

#[test]
fn lines_do_not_depend_on_the_order_of_charges() {
    let charges = vec![
        charge("b", "Usage", "1"),
        charge("a", "Tax", "2"),
        charge("a", "Usage", "3"),
        charge("a", "Credit", "-4"),
        charge("a", "Adjustment", "5"),
        charge("c", "Usage", "0"),
    ];
    let forward = make("USD", Rounding::HalfEven, charges.clone());
    let backward = make("USD", Rounding::HalfEven, charges.into_iter().rev().collect());
    assert_eq!(forward, backward);
    // A charge of exactly zero has no line.
    let kinds: Vec<&str> = forward.lines.iter().map(|line| line.kind).collect();
    assert_eq!(kinds, ["usage", "usage", "adjustment", "credit", "tax"]);
    let period = "2026-10".parse().expect("a period");
    assert_eq!(forward.content_hash("n", period, None), backward.content_hash("n", period, None));
    assert_ne!(forward.content_hash("n", period, None), forward.content_hash("m", period, None));
}

#[test]
fn a_correction_is_an_adjustment() {
    let correction = EdgeCharge { charge_class: Some("Correction".to_owned()), ..charge("a", "Usage", "-7.10") };
    let draft = make("USD", Rounding::HalfEven, vec![correction]);
    assert_eq!(amounts(&draft), [("adjustment", "-7.10")]);
    assert_eq!(draft.lines[0].description, "AWS usage, correction");
    assert_eq!(draft.total, "-7.10");
}

#[test]
fn a_note_names_the_lines_that_it_corrects() {
    let charges = vec![charge("a", "Usage", "10"), charge("b", "Usage", "5"), charge("b", "Tax", "2")];
    let invoice = make("USD", Rounding::HalfEven, charges);
    let lines: Vec<LineFields> =
        invoice.lines.iter().map(|line| line.fields().map(|field| field.map(str::to_owned))).collect();
    let corrected = Corrected { number: "reseller/acme/0001", lines: &lines };
    let differences = vec![charge("b", "Usage", "-1.005"), charge("b", "Tax", "-0.4"), charge("c", "Usage", "0.501")];
    let note = note(edge("USD"), differences, Rounding::HalfEven, &corrected).expect("a note");
    // -1.005 to even is -1.00, 0.501 is 0.50; the sum -0.904 is -0.90.
    let shown: Vec<_> = note.lines.iter().map(|line| (line.kind, line.corrects_line, line.amount.as_str())).collect();
    assert_eq!(shown, [("adjustment", Some(2), "-1.00"), ("adjustment", None, "0.50"), ("tax", Some(3), "-0.40")]);
    assert_eq!(note.lines[0].description, "Line 2 of reseller/acme/0001 corrected: AWS usage");
    assert_eq!(note.lines[1].description, "On no line of reseller/acme/0001: AWS usage");
    assert_eq!((note.subtotal.as_str(), note.tax.as_str(), note.total.as_str()), ("-0.50", "-0.40", "-0.90"));
    assert_eq!(note.charges_total, "-0.904");
}

#[test]
fn a_note_is_hashed_with_all_that_makes_it_one() {
    let draft = make("USD", Rounding::HalfEven, vec![charge("a", "Usage", "1")]);
    let period = "2026-10".parse().expect("a period");
    let note = |document_type: &str, corrects: &str, reason: &str| {
        let [document_type, corrects, reason] = [document_type, corrects, reason].map(str::to_owned);
        draft.content_hash("n", period, Some(&Note { document_type, corrects, reason }))
    };
    let hashes = [
        draft.content_hash("n", period, None),
        note("credit_note", "i", "why"),
        note("debit_note", "i", "why"),
        note("credit_note", "j", "why"),
        note("credit_note", "i", "how"),
    ];
    for (at, hash) in hashes.iter().enumerate() {
        assert!(!hashes[at + 1..].contains(hash), "{at}");
    }
}

#[test]
fn a_sum_beyond_the_range_is_an_error() {
    let most = EdgeCharge { amount: i128::MAX, ..charge("a", "Usage", "1") };
    let result = draft(edge("USD"), vec![most.clone(), most], Rounding::HalfEven);
    assert!(matches!(result, Err(BillingError::Overflow)));
}

#[test]
fn ids_depend_on_the_secret_and_on_every_part_of_the_name() {
    let period = "2026-10".parse().expect("a period");
    let id = |secret, revision| invoice_id(&[secret; 32], &edge("USD"), period, revision);
    assert_eq!(id(1, 0), id(1, 0));
    assert_eq!(id(1, 0).len(), 32);
    assert_ne!(id(1, 0), id(2, 0));
    assert_ne!(id(1, 0), id(1, 1));
    assert_ne!(id(1, 0), invoice_id(&[1; 32], &edge("EUR"), period, 0));
}
