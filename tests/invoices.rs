//! Closing and issuing over landed usage: what documents add up to, and what never changes.

use ratehouse::billing::{Document, DocumentFormat, Renderer};

use crate::fixture::{Fixture, Line, refused, rows, run};

const TOTALS: &str = "select seller_node_id, buyer_node_id, number, status, total from invoices order by 1, 2, 3";

async fn close(fixture: &Fixture) {
    run(&fixture.admin(), "call close_period('2025-10')").await;
}

#[tokio::test]
async fn each_edge_gets_one_document_and_they_reconcile_upwards() {
    let fixture = Fixture::chain_with_usage().await;
    close(&fixture).await;
    let admin = fixture.admin();
    // 310 × 1.1 = 341; 400 × 1.2 = 480; 110 × 1.5 = 165; 220 × 1.5 = 330; 480 × 2 = 960.
    assert_eq!(
        rows(&admin, TOTALS).await,
        [
            "dist|north|dist/north/0001|draft|341",
            "dist|south|dist/south/0001|draft|480",
            "north|acme|north/acme/0001|draft|165",
            "north|bolt|north/bolt/0001|draft|330",
            "south|core|south/core/0001|draft|960"
        ]
    );
    // What a seller's buyers are billed is the price of its charges.
    let prices = "select sum(price) from charges";
    assert_eq!(rows(&fixture.session("finance@north"), prices).await, ["495"]);
    assert_eq!(rows(&fixture.session("finance@south"), prices).await, ["960"]);
    let own = "select seller_node_id, buyer_node_id, total from invoices order by 1, 2";
    // A buyer sees its own document, a seller what it buys and what is sold below it.
    assert_eq!(rows(&fixture.session("portal@acme"), own).await, ["north|acme|165"]);
    assert_eq!(
        rows(&fixture.session("finance@north"), own).await,
        ["dist|north|341", "north|acme|165", "north|bolt|330"]
    );
}

#[tokio::test]
async fn lines_add_up_to_their_document_with_what_rounding_left_as_a_line() {
    let fixture = Fixture::chain().await;
    // Three services of 1.003 each: to north 1.1033 a line, shown 1.10; together 3.3099, shown 3.31.
    let services = ["S1", "S2", "S3"];
    let lines = services.map(|service| Line { service, ..Line::usage("a-north", "1.003") });
    fixture.land("october.csv", &lines).await;
    close(&fixture).await;
    let admin = fixture.admin();
    let parts = "select kind, coalesce(service_name, ''), amount from invoice_lines order by line_no";
    assert_eq!(rows(&admin, parts).await, ["usage|S1|1.1", "usage|S2|1.1", "usage|S3|1.1", "rounding||0.01"]);
    assert_eq!(rows(&admin, "select subtotal, total from invoices").await, ["3.3|3.31"]);
}

#[tokio::test]
async fn closing_again_replaces_drafts_under_their_numbers() {
    let fixture = Fixture::chain_with_usage().await;
    close(&fixture).await;
    let admin = fixture.admin();
    let ids = "select number, invoice_id, content_hash from invoices order by 1";
    let before = rows(&admin, ids).await;
    close(&fixture).await;
    assert_eq!(rows(&admin, ids).await, before);
    // Bolt's usage is corrected from 200 to 100; core's edge does not change; acme's goes away.
    let lines = [Line::usage("a-bolt", "100"), Line::usage("a-core", "400"), Line::usage("a-north", "10")];
    fixture.land("october-2.csv", &lines).await;
    close(&fixture).await;
    // 110 × 1.1 = 121; 100 × 1.1 × 1.5 = 165.
    assert_eq!(
        rows(&admin, TOTALS).await,
        [
            "dist|north|dist/north/0001|draft|121",
            "dist|south|dist/south/0001|draft|480",
            "north|bolt|north/bolt/0001|draft|165",
            "south|core|south/core/0001|draft|960"
        ]
    );
    let after = rows(&admin, ids).await;
    let kept: Vec<&String> = after.iter().filter(|row| before.contains(row)).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
}

#[tokio::test]
async fn an_issued_document_never_changes() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    assert_eq!(refused(&admin, "call issue_invoices('2025-10')").await.sqlstate, "55000");
    close(&fixture).await;
    run(&admin, "call issue_invoices('2025-10')").await;
    let documents =
        "select number, status, total, content_hash, snapshot_id, issued_at, due_date from invoices order by 1";
    let before = rows(&admin, documents).await;
    assert_eq!(before.len(), 5);
    assert!(before.iter().all(|row| row.contains("|issued|")), "{before:?}");
    fixture.land("october-2.csv", &[Line::usage("a-acme", "1")]).await;
    close(&fixture).await;
    assert_eq!(refused(&admin, "call issue_invoices('2025-10')").await.sqlstate, "55000");
    for statement in
        ["update invoices set total = 0", "delete from invoice_lines", "insert into invoices (number) values ('x')"]
    {
        assert_eq!(refused(&admin, statement).await.sqlstate, "42501", "{statement}");
    }
    assert_eq!(rows(&admin, documents).await, before);
    // What was charged then can still be read: the slices of the documents are pinned.
    let snapshot = rows(&admin, "select min(snapshot_id) from invoices").await.remove(0);
    run(&admin, &format!("set ratehouse.snapshot = {snapshot}")).await;
    assert_eq!(rows(&admin, "select sum(cost) from charges").await, ["710"]);
}

#[tokio::test]
async fn an_invoice_shows_the_months_before_and_not_what_came_later() {
    let fixture = Fixture::chain_with_usage().await;
    let months = [("2025-11", "50"), ("2025-12", "20")];
    let lines = months.map(|(period, cost)| {
        let [from, to] = ["00", "01"].map(|hour| format!("{period}-05T{hour}:00:00Z"));
        (period, from, to, cost)
    });
    let lines: Vec<Line<'_>> =
        lines.iter().map(|(period, from, to, cost)| Line { period, from, to, ..Line::usage("a-acme", cost) }).collect();
    fixture.land("later.csv", &lines).await;
    let admin = fixture.admin();
    for period in ["2025-10", "2025-12", "2025-11"] {
        for statement in ["close_period", "issue_invoices"] {
            run(&admin, &format!("call {statement}('{period}')")).await;
        }
    }
    let trend = |number: &str| {
        let document = fixture.warehouse.catalog().read(|tx| Document::by_number(tx, number)).expect("a document");
        let page = Renderer::new(None).render(&document, DocumentFormat::Html).expect("a page");
        assert_eq!(page.matches("<svg").count(), usize::from(!document.trend.is_empty()), "{number}");
        let points = document.trend.iter().map(|point| format!("{} {}", point.billing_period, point.amount_text));
        (points.collect::<Vec<_>>(), page)
    };
    // acme pays 165 for 100. Its invoice of November was issued after that of December, which does not know it.
    assert_eq!(trend("north/acme/0001").0, Vec::<String>::new());
    let (points, page) = trend("north/acme/0002");
    assert_eq!(points, ["2025-10 165.00", "2025-12 33.00"]);
    assert!(page.contains("USD 33.00 in 2025-12; 165.00 in 2025-10."), "{page}");
    assert_eq!(trend("north/acme/0003").0, ["2025-10 165.00", "2025-11 82.50"]);
    assert_eq!(trend("north/bolt/0001").0, Vec::<String>::new());
}

#[tokio::test]
async fn numbers_have_no_gaps_in_each_series() {
    let fixture = Fixture::chain_with_usage().await;
    close(&fixture).await;
    let admin = fixture.admin();
    let acme = "select number from invoices where buyer_node_id = 'acme' order by billing_period";
    // Acme's draft of October is withdrawn: its number is free for November.
    fixture.land("october-2.csv", &[Line::usage("a-bolt", "200")]).await;
    close(&fixture).await;
    assert!(rows(&admin, acme).await.is_empty());
    let november = |cost| Line {
        period: "2025-11",
        from: "2025-11-05T00:00:00Z",
        to: "2025-11-05T01:00:00Z",
        ..Line::usage("a-acme", cost)
    };
    let december = Line {
        period: "2025-12",
        from: "2025-12-05T00:00:00Z",
        to: "2025-12-05T01:00:00Z",
        ..Line::usage("a-acme", "9")
    };
    fixture.land("november.csv", &[november("8")]).await;
    fixture.land("december.csv", &[december]).await;
    for period in ["2025-11", "2025-12"] {
        run(&admin, &format!("call close_period('{period}')")).await;
        run(&admin, &format!("call issue_invoices('{period}')")).await;
    }
    assert_eq!(rows(&admin, acme).await, ["north/acme/0001", "north/acme/0002"]);
}

#[tokio::test]
async fn a_document_in_another_currency_is_converted_by_the_rate_of_the_day() {
    let fixture = Fixture::empty();
    fixture.copy("nodes", "node_id,parent_id,kind,name,currency\neuro,dist,customer,Euro,EUR\n").await;
    fixture.accounts("a-euro,euro").await;
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\neuro,dist,euro,EUR,Euro\n").await;
    fixture.version("euro", "1,2000-01-01,", "all,markup_pct,10\n").await;
    fixture.land("october.csv", &[Line::usage("a-euro", "100")]).await;
    let admin = fixture.admin();
    // No rate is not a rate of 1.
    assert_eq!(refused(&admin, "call close_period('2025-10')").await.sqlstate, "55000");
    assert_eq!(
        rows(&admin, "select blocker, detail from ops.close_blockers").await,
        ["missing_fx|no rate from USD to EUR in source market"]
    );
    fixture.copy("fx_rates", "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\nearly,market,USD,EUR,2025-10-01,0.9137\nlate,market,USD,EUR,2025-10-06,0.5\n").await;
    close(&fixture).await;
    // 100 × 0.9137 × 1.1 = 100.507.
    assert_eq!(rows(&admin, "select currency, total from invoices").await, ["EUR|100.51"]);
    assert_eq!(rows(&admin, "select fx_rate_id, price, margin from charges").await, ["early|100.507|null"]);
}
