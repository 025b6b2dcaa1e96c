//! Look-up tables that mappings use: units, services, categories.
//!
//! Tables are the CSV files of `data/reference`; the first column is the key, compared without
//! case, and the first row with a key wins.

use std::sync::LazyLock;

use hashbrown::HashMap;

use super::csv::read_header;

struct Table {
    columns: Vec<String>,
    rows: HashMap<String, Vec<String>>,
}

/// Name, file and key column of every table.
const FILES: [(&str, &str, &str); 6] = [
    ("azure_regions", include_str!("../../../data/reference/Regions.csv"), "OriginalValue"),
    ("azure_units", include_str!("../../../data/reference/PricingUnits.csv"), "UnitOfMeasure"),
    ("azure_services", include_str!("../../../data/reference/Services.csv"), "ResourceType"),
    ("aws_services", include_str!("../../../data/reference/aws_services.csv"), "product_code"),
    ("gcp_services", include_str!("../../../data/reference/gcp_services.csv"), "service"),
    ("oci_services", include_str!("../../../data/reference/oci_services.csv"), "service"),
];

static TABLES: LazyLock<HashMap<&'static str, Table>> =
    LazyLock::new(|| FILES.iter().map(|(name, text, key)| (*name, read(text, key))).collect());

fn read(text: &str, key: &str) -> Table {
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let columns = read_header(text.as_bytes(), true).map(|h| h.columns).unwrap_or_default();
    let key_at = columns.iter().position(|c| c == key).unwrap_or(0);
    let mut rows = HashMap::new();
    for record in reader.records().filter_map(Result::ok) {
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        if let Some(key) = cells.get(key_at).map(|k| k.to_lowercase()) {
            rows.entry(key).or_insert(cells);
        }
    }
    Table { columns, rows }
}

/// The cell in `column` of the row whose key is `key`; null where there is none or it is empty.
pub(crate) fn find(table: &str, key: Option<&str>, column: &str) -> Result<Option<&'static str>, String> {
    let found = TABLES.get(table).ok_or_else(|| format!("there is no look-up table {table}"))?;
    let at = found
        .columns
        .iter()
        .position(|c| c == column)
        .ok_or_else(|| format!("look-up table {table} has no column {column}"))?;
    let cell = key.and_then(|k| found.rows.get(&k.to_lowercase())).and_then(|row| row.get(at));
    Ok(cell.map(String::as_str).filter(|c| !c.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_azure() {
        // PricingUnits.csv: 10K is 10,000 units; 1/Month is one unit a month; 100 Hours is 100 hours.
        assert_eq!(find("azure_units", Some("10K"), "PricingBlockSize"), Ok(Some("10000")));
        assert_eq!(find("azure_units", Some("100 hours"), "PricingBlockSize"), Ok(Some("100")));
        assert_eq!(find("azure_units", Some("no such unit"), "PricingBlockSize"), Ok(None));
        assert_eq!(find("azure_units", None, "PricingBlockSize"), Ok(None));
        assert!(find("azure_units", Some("10K"), "Size").is_err());
        assert!(find("units", Some("10K"), "Size").is_err());
    }
}
