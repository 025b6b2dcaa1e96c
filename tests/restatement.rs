//! What changes after invoices were issued: what is proposed to whom, who must approve, and how it is billed.

use ratehouse::Warehouse;
use ratehouse::billing::{Document, DocumentFormat, Renderer};
use ratehouse::session::Session;

use crate::fixture::{Fixture, Line, ask, refused, rows, run};

const PROPOSED: &str = "select seller_node_id, buyer_node_id, resource_id, change, billed, charged, difference \
                        from proposed_adjustments order by 1, 2, 3";
const DOCUMENTS: &str = "select number, document_type, status, total, corrects_number from invoices order by 1";

fn machine<'a>(resource: &'a str, cost: &'a str) -> Line<'a> {
    Line { resource, ..Line::usage("a-acme", cost) }
}

fn others() -> [Line<'static>; 2] {
    [Line::usage("a-bolt", "200"), Line::usage("a-core", "400")]
}

/// October, issued: vm-1 at 100 and vm-2 at 40 for acme, 200 for bolt, 400 for core.
async fn issued() -> Fixture {
    let fixture = Fixture::chain().await;
    land_october(&fixture, "october.csv", &[machine("vm-1", "100"), machine("vm-2", "40")]).await;
    close(&fixture, "2025-10").await;
    run(&fixture.admin(), "call issue_invoices('2025-10')").await;
    fixture
}

async fn land_october(fixture: &Fixture, name: &str, of_acme: &[Line<'_>]) {
    fixture.land(name, &[of_acme, &others()].concat()).await;
}

/// The provider restates October: vm-1 costs 150, vm-2 was not there, and a disk was.
async fn restated() -> Fixture {
    let fixture = issued().await;
    let disk = Line { service: "Disks", service_category: "Storage", ..machine("disk", "7") };
    land_october(&fixture, "october-2.csv", &[machine("vm-1", "150"), disk]).await;
    fixture
}

async fn close(fixture: &Fixture, period: &str) {
    run(&fixture.admin(), &format!("call close_period('{period}')")).await;
}

/// Submits as one and approves as another of the root.
async fn settle(fixture: &Fixture, edge: &str) -> String {
    run(&fixture.admin(), &format!("call submit('adjustment', '{edge}', 'restated')")).await;
    said(&fixture.session("finance"), &format!("call approve('adjustment', '{edge}', 'seen')")).await
}

/// What a statement says beside its answer.
async fn said(session: &Session, sql: &str) -> String {
    run(session, sql).await;
    session.take_notices().into_iter().map(|notice| notice.text).collect::<Vec<_>>().join("; ")
}

async fn assert_sound(fixture: &Fixture) {
    assert_eq!(fixture.warehouse.verify().await.expect("it can be read").problems, Vec::<String>::new());
}

async fn reconciled(fixture: &Fixture, number: &str) -> Vec<String> {
    let sql = format!(
        "select expected, actual, status from ops.reconciliation where \"check\" = 'invoiced' and scope = '{number}'"
    );
    rows(&fixture.admin(), &sql).await
}

#[tokio::test]
async fn each_seller_is_proposed_what_its_own_sales_changed_by() {
    let fixture = restated().await;
    let admin = fixture.admin();
    // To north at cost + 10 %, to acme at + 50 % of that: 100 are 110 and 165, 150 are 165 and 247.50, 40 are 44 and 66, 7 are 7.70 and 11.55.
    let to_acme = [
        "north|acme|disk|new|0|11.55|11.55",
        "north|acme|vm-1|changed|165|247.5|82.5",
        "north|acme|vm-2|gone|66|0|-66",
    ];
    let to_north =
        ["dist|north|disk|new|0|7.7|7.7", "dist|north|vm-1|changed|110|165|55", "dist|north|vm-2|gone|44|0|-44"];
    assert_eq!(rows(&admin, PROPOSED).await, [to_north, to_acme].concat());
    assert_eq!(rows(&fixture.session("finance@north"), PROPOSED).await, to_acme);
    assert!(rows(&fixture.session("finance@south"), PROPOSED).await.is_empty());
    assert_eq!(refused(&fixture.session("portal@acme"), PROPOSED).await.sqlstate, "42P01");
    assert_eq!(
        rows(&admin, "select seller_node_id, buyer_node_id, invoice_number, things, billed, charged, difference, method, submitted from ops.restatements order by 1").await,
        ["dist|north|dist/north/0001|3|154|172.7|18.7|note|null", "north|acme|north/acme/0001|3|231|259.05|28.05|note|null"]
    );
    // What each edge is charged now less what it was at the snapshot of the invoices.
    let edges = "select seller_node_id, payer_node_id, sum(amount) from ops.edges_monthly where is_invoiced and outcome = 'billed' \
                 group by 1, 2 order by 1, 2";
    let now = ["dist|north|392.7", "dist|south|480", "north|acme|259.05", "north|bolt|330", "south|core|960"];
    assert_eq!(rows(&admin, edges).await, now);
    let snapshot = rows(&admin, "select max(snapshot_id) from invoices").await.remove(0);
    run(&admin, &format!("set ratehouse.snapshot = {snapshot}")).await;
    let then = ["dist|north|374", "dist|south|480", "north|acme|231", "north|bolt|330", "south|core|960"];
    assert_eq!(rows(&admin, edges).await, then);
    assert!(rows(&admin, PROPOSED).await.is_empty());
}

#[tokio::test]
async fn closing_again_leaves_issued_documents_and_says_what_is_proposed() {
    let fixture = restated().await;
    let before = rows(&fixture.admin(), "select number, content_hash, issued_at from invoices order by 1").await;
    let report = fixture.warehouse.close("2025-10", "admin", false).await.expect("a close");
    let proposed: Vec<String> =
        report.proposed.iter().map(|p| format!("{} {} {} {}", p.number, p.billed, p.charged, p.difference)).collect();
    assert_eq!(proposed, ["dist/north/0001 374.00 392.70 18.70", "north/acme/0001 231.00 259.05 28.05"]);
    assert!(report.invoices.is_empty() && report.withdrawn.is_empty());
    let after = rows(&fixture.admin(), "select number, content_hash, issued_at from invoices order by 1").await;
    assert_eq!(after, before);
    // An edge that had no charges then gets its first invoice.
    fixture.land("north.csv", &[Line { billing: "B2", ..Line::usage("a-late", "1") }]).await;
    let rows_of_account = "provider_name,billing_account_id,sub_account_id,node_id\nGlobex,B2,a-late,late\n";
    fixture.nodes("late,north,customer").await;
    fixture.copy("accounts", rows_of_account).await;
    close(&fixture, "2025-10").await;
    run(&fixture.admin(), "call issue_invoices('2025-10')").await;
    assert_eq!(
        rows(&fixture.admin(), "select number, total from invoices where buyer_node_id = 'late'").await,
        ["north/late/0001|1.65"]
    );
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn an_approved_difference_is_a_note_of_its_own() {
    let fixture = restated().await;
    let (admin, portal) = (fixture.admin(), fixture.session("portal@acme"));
    let invoice = "select total, content_hash, issued_at from invoices where number = 'north/acme/0001'";
    let before = rows(&admin, invoice).await;
    let edge = "north/acme/2025-10";
    let submitted = said(&admin, &format!("call submit('adjustment', '{edge}', 'restated by Globex')")).await;
    assert_eq!(submitted, "north/acme/2025-10 waits for approval by finance");
    // Until somebody else has approved it, its buyer hears nothing.
    let seen = "select number, document_type from invoices order by 1";
    assert_eq!(rows(&portal, seen).await, ["north/acme/0001|invoice"]);
    let approve = format!("call approve('adjustment', '{edge}', 'seen')");
    assert_eq!(refused(&admin, &approve).await.sqlstate, "42501");
    assert_eq!(refused(&fixture.session("admin@north"), &approve).await.sqlstate, "42501");
    assert_eq!(refused(&fixture.session("finance@south"), &approve).await.sqlstate, "42704");
    let again = format!("call submit('adjustment', '{edge}', 'again')");
    assert_eq!(refused(&admin, &again).await.sqlstate, "55000");
    let approved = said(&fixture.session("finance@north"), &approve).await;
    assert_eq!(approved, "north/acme/2025-10 is issued as north/acme/0002");
    assert_eq!(refused(&admin, &approve).await.sqlstate, "42704");
    // 247.50 + 11.55 - 165 - 66
    let documents =
        ["north/acme/0001|invoice|issued|231|null", "north/acme/0002|debit_note|issued|28.05|north/acme/0001"];
    assert_eq!(rows(&portal, DOCUMENTS).await, documents);
    let lines = "select line_no, kind, service_name, description, amount from invoice_lines join invoices using (invoice_id) \
                 where document_type = 'debit_note' order by 1";
    assert_eq!(
        rows(&portal, lines).await,
        [
            "1|adjustment|Disks|On no line of north/acme/0001: Globex usage|11.55",
            "2|adjustment|Machines|Line 1 of north/acme/0001 corrected: Globex usage|16.5"
        ]
    );
    assert_eq!(rows(&admin, invoice).await, before);
    let adjustments = "select object_id, kind, invoice_number, amount, method, status, settled_by from adjustments";
    assert_eq!(
        rows(&fixture.session("finance@north"), adjustments).await,
        ["north/acme/2025-10|restatement|north/acme/0001|28.05|note|settled|north/acme/0002"]
    );
    assert_eq!(refused(&portal, adjustments).await.sqlstate, "42P01");
    let acts =
        "select object_id, action, login, seller_node_id from ops.approvals where kind = 'adjustment' order by at";
    assert_eq!(
        rows(&fixture.session("finance@north"), acts).await,
        ["north/acme/2025-10|submit|admin|north", "north/acme/2025-10|approve|finance@north|north"]
    );
    // What the documents add up to is what is charged.
    assert_eq!(reconciled(&fixture, "north/acme/0001").await, ["259.05|259.05|ok"]);
    assert_eq!(reconciled(&fixture, "dist/north/0001").await, ["392.7|374|to_correct"]);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_second_restatement_yields_only_what_is_new() {
    let fixture = restated().await;
    settle(&fixture, "north/acme/2025-10").await;
    let north = fixture.session("finance@north");
    assert!(rows(&north, PROPOSED).await.is_empty());
    let nothing = refused(&north, "call submit('adjustment', 'north/acme/2025-10', 'again')").await;
    assert_eq!(nothing.sqlstate, "55000");
    // vm-1 comes to 160, the disk goes: 160 x 1.65 = 264 after 247.50.
    land_october(&fixture, "october-3.csv", &[machine("vm-1", "160")]).await;
    assert_eq!(
        rows(&north, PROPOSED).await,
        ["north|acme|disk|gone|11.55|0|-11.55", "north|acme|vm-1|changed|247.5|264|16.5"]
    );
    // Its seller has settled nothing yet: 160 x 1.1 = 176 against 110, and vm-2 is gone.
    let of_dist = "select resource_id, difference from proposed_adjustments where seller_node_id = 'dist' order by 1";
    assert_eq!(rows(&fixture.admin(), of_dist).await, ["vm-1|66", "vm-2|-44"]);
    assert_eq!(settle(&fixture, "north/acme/2025-10").await, "north/acme/2025-10 is issued as north/acme/0003");
    // 231 + 28.05 + 4.95 = 264, which is all there is now; the note is less than its predecessor's disk.
    assert_eq!(
        rows(&north, "select number, total from invoices where buyer_node_id = 'acme' order by 1").await,
        ["north/acme/0001|231", "north/acme/0002|28.05", "north/acme/0003|4.95"]
    );
    assert_eq!(reconciled(&fixture, "north/acme/0001").await, ["264|264|ok"]);
    // All of it was a mistake: 140 again, 231 to acme.
    land_october(&fixture, "october-4.csv", &[machine("vm-2", "40"), machine("vm-1", "100")]).await;
    settle(&fixture, "north/acme/2025-10").await;
    let last = "select document_type, total, due_date from invoices where number = 'north/acme/0004'";
    assert_eq!(rows(&north, last).await, ["credit_note|-33|null"]);
    assert!(rows(&fixture.admin(), PROPOSED).await.is_empty());
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn what_is_approved_is_what_was_submitted() {
    let fixture = restated().await;
    run(&fixture.session("finance@north"), "call submit('adjustment', 'north/acme/2025-10', 'restated')").await;
    // Another delivery comes before anybody has looked.
    land_october(&fixture, "october-3.csv", &[machine("vm-1", "999")]).await;
    let approved = said(&fixture.session("finance"), "call approve('adjustment', 'north/acme/2025-10', 'seen')").await;
    assert_eq!(approved, "north/acme/2025-10 is issued as north/acme/0002");
    let note = "select total from invoices where number = 'north/acme/0002'";
    assert_eq!(rows(&fixture.session("portal@acme"), note).await, ["28.05"]);
    // 999 x 1.65 = 1648.35 after 247.50; the disk of 11.55 is gone again.
    assert_eq!(
        rows(&fixture.session("finance@north"), PROPOSED).await,
        ["north|acme|disk|gone|11.55|0|-11.55", "north|acme|vm-1|changed|247.5|1648.35|1400.85"]
    );
    // What was rejected is proposed again.
    run(&fixture.session("finance@north"), "call submit('adjustment', 'north/acme/2025-10', 'too much')").await;
    run(&fixture.session("finance"), "call reject('adjustment', 'north/acme/2025-10', 'ask Globex')").await;
    let statuses = "select status, settled_by from adjustments order by settled_by nulls last";
    assert_eq!(rows(&fixture.session("finance@north"), statuses).await, ["settled|north/acme/0002", "rejected|null"]);
    assert_eq!(rows(&fixture.session("finance@north"), PROPOSED).await.len(), 2);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_difference_may_be_a_line_of_the_next_invoice() {
    let fixture = restated().await;
    let admin = fixture.admin();
    fixture.copy("adjustment_policies", "policy_id,seller_node_id,method\nt,dist,true_up\n").await;
    assert_eq!(settle(&fixture, "dist/north/2025-10").await, "dist/north/2025-10 is billed with 2025-11");
    let november = Line {
        period: "2025-11",
        from: "2025-11-05T00:00:00Z",
        to: "2025-11-05T01:00:00Z",
        ..Line::usage("a-bolt", "10")
    };
    fixture.land("november.csv", &[november]).await;
    close(&fixture, "2025-11").await;
    run(&admin, "call issue_invoices('2025-11')").await;
    // 10 x 1.1 = 11 and the 18.70 of October.
    let lines = "select l.kind, l.service_name, l.amount from invoice_lines l join invoices i using (invoice_id) \
                 where i.billing_period = '2025-11' and i.buyer_node_id = 'north' order by l.line_no";
    let expected = ["usage|Machines|11", "adjustment|Correction of dist/north/0001|18.7"];
    assert_eq!(rows(&fixture.session("finance@north"), lines).await, expected);
    // Each edge has a difference of its own: what north is charged for October goes no further.
    let totals =
        "select seller_node_id, buyer_node_id, total from invoices where billing_period = '2025-11' order by 1, 2";
    assert_eq!(rows(&admin, totals).await, ["dist|north|29.7", "north|bolt|16.5"]);
    let own = "select node_id, cost, description from charges where origin = 'adjustment'";
    let charge = "north|18.7|Correction of dist/north/0001";
    assert_eq!(rows(&fixture.session("finance@north"), own).await, [charge]);
    assert!(rows(&fixture.session("portal@acme"), own).await.is_empty());
    // October's documents stay; what they lack has a name.
    assert_eq!(reconciled(&fixture, "dist/north/0001").await, ["392.7|374|adjusted"]);
    assert_eq!(reconciled(&fixture, "dist/north/0002").await, ["29.7|29.7|ok"]);
    let of_dist = "select count(*) from proposed_adjustments where seller_node_id = 'dist'";
    assert_eq!(rows(&admin, of_dist).await, ["0"]);
    assert_sound(&fixture).await;
    // The next difference: 7 of the disk go, 7.70 to north; November is issued, so it is December's.
    land_october(&fixture, "october-3.csv", &[machine("vm-1", "150")]).await;
    assert_eq!(settle(&fixture, "dist/north/2025-10").await, "dist/north/2025-10 is billed with 2025-12");
    let december = Line {
        period: "2025-12",
        from: "2025-12-05T00:00:00Z",
        to: "2025-12-05T01:00:00Z",
        ..Line::usage("a-bolt", "1")
    };
    fixture.land("december.csv", &[december]).await;
    close(&fixture, "2025-12").await;
    // 1.10 for bolt's hour.
    let total = "select total from invoices where billing_period = '2025-12' and buyer_node_id = 'north'";
    assert_eq!(rows(&admin, total).await, ["-6.6"]);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn differences_wait_where_the_policy_says_so() {
    let fixture = restated().await;
    let policies = "policy_id,seller_node_id,buyer_node_id,method\nall,north,,note\nacme,north,acme,wait\n";
    fixture.copy("adjustment_policies", policies).await;
    let north = fixture.session("finance@north");
    let error = refused(&north, "call submit('adjustment', 'north/acme/2025-10', 'restated')").await;
    assert_eq!(error.sqlstate, "55000");
    assert!(error.to_string().contains("wait"), "{error}");
    assert_eq!(rows(&north, "select count(*) from proposed_adjustments").await, ["3"]);
    let methods = "select buyer_node_id, method from ops.restatements order by 1";
    assert_eq!(rows(&fixture.admin(), methods).await, ["acme|wait", "north|note"]);
    for (row, code) in [
        ("x.north,north,acme,note", "23514"),
        ("x.north,north,core,note", "42501"),
        ("x,north,bolt,note", "23514"),
        ("x.north,south,core,note", "42501"),
        ("x.north,north,bolt,later", "23514"),
    ] {
        let csv = format!("policy_id,seller_node_id,buyer_node_id,method\n{row}\n");
        let error = crate::fixture::copy(&north, "adjustment_policies", &csv).await.expect_err("a bad policy");
        assert_eq!(error.sqlstate, code, "{row}: {error}");
    }
}

#[tokio::test]
async fn how_much_must_be_approved_by_whom_is_data() {
    let fixture = issued().await;
    let rules = "rule_id,kind,seller_node_id,role,min_amount\nten,adjustment,dist,finance,10\nhundred,adjustment,dist,executive,100\n";
    fixture.copy("approval_rules", rules).await;
    fixture.user("boss", "dist", "executive").await;
    let north = fixture.session("finance@north");
    let credit = |line: &str, amount: &str| format!("call credit_note('{line}', {amount}, 'a bad week')");
    let issued = said(&north, &credit("north/acme/0001/1", "9.99")).await;
    assert_eq!(issued, "north/acme/0001/1 is issued as north/acme/0002");
    let waits = said(&north, &credit("north/acme/0001/1", "10")).await;
    assert_eq!(waits, "north/acme/0001/1 waits for approval by finance");
    run(&fixture.session("finance"), "call approve('adjustment', 'north/acme/0001/1', 'fine')").await;
    let waits = said(&north, &credit("north/bolt/0001/1", "100")).await;
    assert_eq!(waits, "north/bolt/0001/1 waits for approval by executive and finance");
    let approve = "call approve('adjustment', 'north/bolt/0001/1', 'fine')";
    let waits = said(&fixture.session("boss"), approve).await;
    assert_eq!(waits, "north/bolt/0001/1 waits for approval by finance");
    assert_eq!(refused(&fixture.session("boss"), approve).await.sqlstate, "42501");
    assert_eq!(said(&fixture.session("finance"), approve).await, "north/bolt/0001/1 is issued as north/bolt/0002");
    for row in ["x,invoice,dist,finance,5", "x,adjustment,dist,finance,-1"] {
        let csv = format!("rule_id,kind,seller_node_id,role,min_amount\n{row}\n");
        let error = crate::fixture::copy(&fixture.admin(), "approval_rules", &csv).await.expect_err("a bad rule");
        assert_eq!(error.sqlstate, "23514", "{row}");
    }
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_line_is_credited_up_to_what_is_left_of_it() {
    let fixture = restated().await;
    fixture.user("admin@acme", "acme", "admin").await;
    let (north, portal) = (fixture.session("finance@north"), fixture.session("portal@acme"));
    let credit = |line: &str, amount: &str| format!("call credit_note('{line}', {amount}, 'Outage of 5 October')");
    let line = "north/acme/0001/1";
    for (amount, code) in
        [("-5", "22023"), ("0", "22023"), ("10.005", "22023"), ("'much'", "22023"), ("231.01", "22023")]
    {
        let error = refused(&north, &credit(line, amount)).await;
        // A sign is no part of a literal.
        assert!([code, "42601"].contains(&error.sqlstate), "{amount}: {error}");
    }
    for (line, code) in [
        ("north/acme/0001/2", "42704"),
        ("north/acme/0009/1", "02000"),
        ("south/core/0001/1", "42704"),
        ("north/acme/2025-10", "42704"),
    ] {
        assert_eq!(refused(&north, &credit(line, "1")).await.sqlstate, code, "{line}");
    }
    assert_eq!(refused(&fixture.session("admin@acme"), &credit(line, "1")).await.sqlstate, "42704");
    run(&north, &credit(line, "31")).await;
    assert_eq!(refused(&north, &credit(line, "1")).await.sqlstate, "55000");
    assert_eq!(rows(&portal, "select count(*) from invoices").await, ["1"]);
    run(&fixture.session("finance"), &format!("call approve('adjustment', '{line}', 'fine')")).await;
    let notes = "select number, document_type, total, subtotal, corrects_number, reason from invoices where document_type <> 'invoice'";
    assert_eq!(rows(&portal, notes).await, ["north/acme/0002|credit_note|-31|-31|north/acme/0001|Outage of 5 October"]);
    let lines = "select description, amount from invoice_lines l join invoices i using (invoice_id) where i.number = 'north/acme/0002'";
    assert_eq!(rows(&portal, lines).await, ["Credit on line 1 of north/acme/0001: Outage of 5 October|-31"]);
    // A note is not credited, and what charges changed by is another matter.
    assert_eq!(refused(&north, &credit("north/acme/0002/1", "1")).await.sqlstate, "22023");
    assert_eq!(reconciled(&fixture, "north/acme/0001").await, ["259.05|200|to_correct"]);
    settle(&fixture, "north/acme/2025-10").await;
    assert_eq!(reconciled(&fixture, "north/acme/0001").await, ["259.05|228.05|adjusted"]);
    // 231 - 31 and the 16.50 that line 1 was corrected by.
    assert_eq!(refused(&north, &credit(line, "216.51")).await.sqlstate, "22023");
    run(&north, &credit(line, "216.50")).await;
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_note_is_written_as_a_document() {
    let fixture = restated().await;
    settle(&fixture, "north/acme/2025-10").await;
    let document =
        fixture.warehouse.catalog().read(|tx| Document::by_number(tx, "north/acme/0002")).expect("a document");
    let renderer = Renderer::new(None);
    let written = |format| renderer.render(&document, format).expect("it renders");
    let page = written(DocumentFormat::Html).replace("&#x2f;", "/");
    for text in
        ["<h1>Debit note</h1>", "Corrects invoice", "north/acme/0001", "Charges of 2025-10 changed after", "USD 28.05"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("restated"), "why somebody submitted it is not the buyer's");
    let json: serde_json::Value = serde_json::from_str(&written(DocumentFormat::Json)).expect("JSON");
    assert!(json["document_type"] == "debit_note" && json["corrects_number"] == "north/acme/0001", "{json}");
    let csv = written(DocumentFormat::Csv);
    assert!(csv.lines().skip(1).all(|line| line.contains("debit_note,north/acme/0001,")), "{csv}");
}

#[tokio::test]
async fn a_backup_has_what_documents_were_made_of() {
    let fixture = restated().await;
    let proposed = rows(&fixture.admin(), PROPOSED).await;
    // What nothing needs is gone; what invoices were made of is not.
    std::fs::write(fixture.path().join("ratehouse.toml"), "keep_replaced_days = 0\n").expect("a file");
    let warehouse = Warehouse::open(fixture.path()).expect("the warehouse opens");
    warehouse.collect_garbage("system").await.expect("it can be collected");
    let places = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let (backup, restored) = (places.path().join("backup"), places.path().join("restored"));
    warehouse.backup(&backup).await.expect("a backup");
    let restored = Warehouse::restore(&backup, &restored).expect("a warehouse");
    let admin = restored.session(restored.principal("admin").expect("a catalog").expect("a login"));
    assert_eq!(rows(&admin, PROPOSED).await, proposed);
    assert_eq!(proposed.len(), 6);
    assert_eq!(restored.verify().await.expect("it can be read").problems, Vec::<String>::new());
}

#[tokio::test]
async fn prices_that_change_for_the_past_are_proposed_too() {
    let fixture = issued().await;
    // Nothing was delivered: north's price to its customers was wrong.
    fixture.version("retail-north", "2,2025-10-01,", "all,markup_pct,40\n").await;
    run(&fixture.admin(), "call refresh()").await;
    // 110 and 44 at + 40 % are 154 and 61.60.
    assert_eq!(
        rows(&fixture.session("finance@north"), PROPOSED).await,
        [
            "north|acme|vm-1|changed|165|154|-11",
            "north|acme|vm-2|changed|66|61.6|-4.4",
            "north|bolt|null|changed|330|308|-22"
        ]
    );
    let of_dist = "select count(*) from proposed_adjustments where seller_node_id = 'dist'";
    assert_eq!(rows(&fixture.admin(), of_dist).await, ["0"]);
}

#[tokio::test]
async fn the_root_corrects_only_what_could_be_invoiced() {
    let fixture = restated().await;
    let admin = fixture.admin();
    let submit = "call submit('adjustment', 'north/acme/2025-10', 'restated')";
    // Rows that could not be read stand against the period.
    let bad = Line { billed: "12,5", ..machine("vm-9", "12.5") };
    let path = fixture.file("october-9.csv", &crate::fixture::focus(&[&[bad][..], &others()].concat()));
    fixture.land_path(&path).await.expect("it lands");
    let error = refused(&admin, submit).await;
    assert!(error.sqlstate == "55000" && error.to_string().contains("rejected_rows"), "{error}");
    for (object, code) in [
        ("north/acme/2025-09", "42704"),
        ("north/acme", "42704"),
        ("north/nobody/2025-10", "42704"),
        ("north/acme/0001/1", "22023"),
    ] {
        let sql = format!("call submit('adjustment', '{object}', 'why')");
        assert_eq!(refused(&fixture.session("finance@north"), &sql).await.sqlstate, code, "{object}");
    }
    assert_eq!(refused(&admin, "call submit('adjustment', 'north/acme/2025-10', ' ')").await.sqlstate, "22023");
    let ask = ask(&fixture.session("portal@acme"), submit).await;
    assert_eq!(ask.err().map(|error| error.sqlstate), Some("42501"));
}
