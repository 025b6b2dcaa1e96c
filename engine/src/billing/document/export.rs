//! Documents for programs: CSV and JSON.

use super::Document;
use crate::billing::BillingError;

/// One row a line; the amounts of a document add up to its `invoice_total`.
pub(super) fn csv(document: &Document) -> Result<String, BillingError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| BillingError::Template { name: "csv".to_owned(), reason: error.to_string() };
    writer
        .write_record([
            "number",
            "status",
            "seller_node_id",
            "seller_name",
            "buyer_node_id",
            "buyer_name",
            "billing_period",
            "issued_on",
            "due_date",
            "currency",
            "invoice_total",
            "line_no",
            "kind",
            "service_name",
            "charge_category",
            "description",
            "quantity",
            "unit",
            "amount",
            "document_type",
            "corrects_number",
            "reason",
        ])
        .map_err(failed)?;
    for line in &document.lines {
        writer
            .write_record([
                &text(&document.number),
                &document.status,
                &text(&document.seller.node_id),
                &text(&document.seller.name),
                &text(&document.buyer.node_id),
                &text(&document.buyer.name),
                &document.billing_period,
                document.issued_on.as_deref().unwrap_or_default(),
                document.due_date.as_deref().unwrap_or_default(),
                &document.currency,
                &document.total,
                &line.line_no.to_string(),
                &line.kind,
                &text(line.service_name.as_deref().unwrap_or_default()),
                line.charge_category.as_deref().unwrap_or_default(),
                &text(&line.description),
                line.quantity.as_deref().unwrap_or_default(),
                &text(line.unit.as_deref().unwrap_or_default()),
                &line.amount,
                &document.document_type,
                &text(document.corrects_number.as_deref().unwrap_or_default()),
                &text(document.reason.as_deref().unwrap_or_default()),
            ])
            .map_err(failed)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| BillingError::Template { name: "csv".to_owned(), reason: error.to_string() })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Keeps a spreadsheet from running a text as a formula: names of services come from providers' files.
fn text(value: &str) -> String {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{value}") } else { value.to_owned() }
}

/// The whole document; amounts are text, so that no reader makes floats of them.
pub(super) fn json(document: &Document) -> Result<String, BillingError> {
    let failed =
        |error: serde_json::Error| BillingError::Template { name: "json".to_owned(), reason: error.to_string() };
    let mut value = serde_json::to_value(document).map_err(failed)?;
    remove_texts(&mut value);
    let mut text = serde_json::to_string_pretty(&value).map_err(failed)?;
    text.push('\n');
    Ok(text)
}

/// Programs format amounts themselves.
fn remove_texts(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| name != "text" && name != "amount_text");
            fields.values_mut().for_each(remove_texts);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(remove_texts),
        _ => {}
    }
}
