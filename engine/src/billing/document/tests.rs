use super::*;
use crate::billing::fixture::{Session, Tier, Warehouse, october, usage};
use crate::billing::{CloseMode, close_period};

const ACME: &str = "dist/reseller/acme";

/// A warehouse with two drafts; what the provider names its services is not to be trusted.
async fn warehouse() -> Warehouse {
    let warehouse = Warehouse::new();
    let tiers = [
        usage(1, ACME, "Compute", "777.77"),
        usage(2, ACME, "<script>alert(1)</script>", "1234567.004"),
        usage(2, ACME, "=cmd|' /C calc'!A0", "0.004"),
        usage(2, ACME, "Storage", "0.004"),
        Tier { category: "Tax", ..usage(2, ACME, "Storage", "19") },
        Tier { category: "Credit", ..usage(2, ACME, "Storage", "-100") },
    ];
    let session = Session::new(&warehouse.catalog, october(), &tiers);
    close_period(&session, &warehouse.catalog, &warehouse.request(CloseMode::Commit)).await.expect("a close");
    warehouse
}

fn acme(warehouse: &Warehouse) -> Document {
    warehouse.catalog.read(|tx| Document::by_number(tx, "reseller/acme/0001")).expect("a document")
}

#[tokio::test]
async fn a_document_shows_what_was_stored() {
    let warehouse = warehouse().await;
    let document = acme(&warehouse);
    // 1,234,567.004 + 0.004 + 0.004 + 19 - 100 = 1,234,486.012, shown 1,234,486.01; lines 1,234,567.00 + 0 + 0 + 19 - 100 = 1,234,486.00.
    assert_eq!(document.total, "1234486.01");
    assert_eq!(document.rounding, "0.01");
    assert_eq!(document.text["total"], "1,234,486.01");
    assert_eq!((document.period_start.as_str(), document.period_end.as_str()), ("2026-10-01", "2026-10-31"));
    assert_eq!((document.tax.as_str(), document.credits.as_str()), ("19.00", "-100.00"));
    assert_eq!(document.services[0].amount_text, "1,234,567.00");
    assert_eq!(document.seller.name, "Reseller & Sons <b>");
    let all = warehouse.catalog.read(|tx| Document::of_period(tx, october())).expect("documents");
    assert_eq!(all.len(), 2);
    assert_eq!(all[1], document);
    assert_eq!(document.relative_path(DocumentFormat::Csv), PathBuf::from("reseller/acme/0001.csv"));
}

#[tokio::test]
async fn the_page_escapes_everything_and_names_no_cost() {
    let warehouse = warehouse().await;
    let page = Renderer::new(None).render(&acme(&warehouse), DocumentFormat::Html).expect("a page");
    assert!(!page.contains("<script>alert"), "a service name must not become markup");
    assert!(page.contains("&lt;script&gt;alert(1)"));
    assert!(page.contains("Reseller &amp; Sons &lt;b&gt;"));
    assert!(page.contains("USD 1,234,486.01"));
    assert!(page.contains("Draft, not yet issued"));
    assert!(!page.contains("777.77"), "what the seller pays is not on its buyer's invoice");
}

#[tokio::test]
async fn every_format_has_the_same_total() {
    let warehouse = warehouse().await;
    let document = acme(&warehouse);
    let renderer = Renderer::new(None);

    let csv = renderer.render(&document, DocumentFormat::Csv).expect("csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let listed = money::sum(rows.iter().filter_map(|row| row.get(18)), 2).expect("a sum");
    assert_eq!((listed.as_str(), rows[0].get(10)), ("1234486.01", Some("1234486.01")));
    assert!(rows.iter().any(|row| row.get(13) == Some("'=cmd|' /C calc'!A0")), "a spreadsheet must not run a name");

    let json = renderer.render(&document, DocumentFormat::Json).expect("json");
    let value: serde_json::Value = serde_json::from_str(&json).expect("json");
    assert_eq!(value["total"], "1234486.01");
    assert_eq!(value["lines"].as_array().map(Vec::len), Some(6));
    assert!(value.get("text").is_none());
    assert!(value["lines"][0].get("amount_text").is_none());
}

#[tokio::test]
async fn a_template_of_the_warehouse_stands_in_for_the_built_in_one() {
    let warehouse = warehouse().await;
    let document = acme(&warehouse);
    let folder = warehouse.directory.path().join("templates");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("invoice.html"), "{{ invoice.buyer.name }} owes {{ invoice.text.total }}")
        .expect("a file");
    let renderer = Renderer::new(Some(warehouse.directory.path()));
    assert_eq!(renderer.render(&document, DocumentFormat::Html).expect("a page"), "Acme Inc owes 1,234,486.01");

    std::fs::write(folder.join("invoice.html"), "line one\n{{ invoice.seller_cost }}").expect("a file");
    let renderer = Renderer::new(Some(warehouse.directory.path()));
    let wrong = renderer.render(&document, DocumentFormat::Html).expect_err("an unknown name");
    assert!(wrong.to_string().contains("line 2"), "{wrong}");
}

#[tokio::test]
async fn a_document_is_written_with_its_folders() {
    let warehouse = warehouse().await;
    let document = acme(&warehouse);
    let path = warehouse.directory.path().join("out").join(document.relative_path(DocumentFormat::Json));
    write_document(&document, DocumentFormat::Json, &Renderer::new(None), &path).expect("a file");
    assert!(std::fs::read_to_string(&path).expect("the file").ends_with("}\n"));
}

#[test]
fn an_unknown_number_is_no_invoice() {
    let warehouse = Warehouse::new();
    let missing = warehouse.catalog.read(|tx| Document::by_number(tx, "x/y/0001"));
    assert!(matches!(missing, Err(BillingError::NoInvoice { .. })));
}
