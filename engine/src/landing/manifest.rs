//! Manifests: files that say which files make up a delivery.
//!
//! A delivery with a manifest is read by its manifest alone. Providers leave the parts of older
//! runs beside the current ones; whoever reads the folder counts cost twice.

use serde_json::Value;

use super::error::LandingError;

/// What a manifest says besides the names of the parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManifestFacts {
    /// The manifest's path or URL.
    pub name: String,
    /// The export's type, such as `ActualCost`; takes part in detecting the source.
    pub kind: Option<String>,
    /// The provider's id of this run (AWS `assemblyId` or `executionId`, Azure `runId`).
    pub run_id: Option<String>,
    /// Rows that the provider says it wrote.
    pub rows: Option<u64>,
    /// When the export was made, RFC 3339 UTC with microseconds: orders deliveries of one slice.
    pub created_at: Option<String>,
}

/// A part as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPart {
    pub(crate) key: String,
    /// Its size, if the manifest says.
    pub(crate) bytes: Option<u64>,
}

/// Whether a file of that name is a manifest.
pub(crate) fn is_manifest(file_name: &str) -> bool {
    let name = file_name.to_lowercase();
    name == "manifest.json" || name.ends_with("-manifest.json") || name.ends_with("_manifest.json")
}

/// Reads a manifest of any known form: AWS (`reportKeys`, `dataFiles`), Azure (`blobs`), generic (`files`).
pub(crate) fn parse_manifest(name: &str, bytes: &[u8]) -> Result<(ManifestFacts, Vec<NamedPart>), LandingError> {
    let fail = |reason: &str| LandingError::Manifest { file: name.to_owned(), reason: reason.to_owned() };
    if bytes.is_empty() {
        return Err(LandingError::ZeroBytes { file: name.to_owned() });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let json: Value =
        serde_json::from_slice(bytes).map_err(|e| fail(&format!("it is not JSON (line {})", e.line())))?;
    let list = ["reportKeys", "blobs", "files", "dataFiles"]
        .into_iter()
        .find_map(|key| json.get(key).and_then(Value::as_array));
    let list = list.ok_or_else(|| fail("it has none of reportKeys, blobs, files, dataFiles"))?;
    let parts = list.iter().map(part_of).collect::<Option<Vec<_>>>().ok_or_else(|| fail("an entry names no file"))?;
    if let Some(parts_said) = json.get("blobCount").and_then(Value::as_u64)
        && parts_said != parts.len() as u64
    {
        return Err(fail(&format!("blobCount is {parts_said}, but {} blobs are named", parts.len())));
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let facts = ManifestFacts {
        name: name.to_owned(),
        kind: text(json.pointer("/exportConfig/type")).or_else(|| text(json.get("type"))),
        run_id: ["/assemblyId", "/executionId", "/runInfo/runId"].into_iter().find_map(|at| text(json.pointer(at))),
        rows: json.get("dataRowCount").and_then(Value::as_u64),
        created_at: ["/runInfo/submittedTime", "/created_at", "/createdAt", "/createdDateTime"]
            .into_iter()
            .find_map(|at| json.pointer(at)?.as_str())
            .and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok())
            .map(|at| at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
    };
    Ok((facts, parts))
}

fn part_of(entry: &Value) -> Option<NamedPart> {
    let key: &str = match entry {
        Value::String(key) => key,
        other => ["blobName", "path", "key", "name"].into_iter().find_map(|k| other.get(k))?.as_str()?,
    };
    // s3://bucket/key: keys are paths from the bucket's root.
    let key = key.split_once("://").map_or(key, |(_, path)| path.split_once('/').map_or("", |(_, key)| key));
    let bytes = ["byteCount", "size", "bytes"].into_iter().find_map(|k| entry.get(k)).and_then(Value::as_u64);
    (!key.is_empty()).then(|| NamedPart { key: key.to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_manifests() {
        let aws = br#"{"assemblyId": "a-1", "reportKeys": ["p/r/20231101-20231201/a-1/r-1.csv.gz", "p/r/20231101-20231201/a-1/r-2.csv.gz"]}"#;
        let (facts, parts) = parse_manifest("r-Manifest.json", aws).expect("aws");
        assert_eq!((facts.run_id.as_deref(), parts.len()), (Some("a-1"), 2));
        let azure = br#"{"blobCount": 1, "dataRowCount": 28, "exportConfig": {"type": "AmortizedCost"}, "blobs": [{"blobName": "d/part_0_0001.csv", "byteCount": 123}]}"#;
        let (facts, parts) = parse_manifest("manifest.json", azure).expect("azure");
        assert_eq!((facts.kind.as_deref(), facts.rows), (Some("AmortizedCost"), Some(28)));
        assert_eq!(parts, [NamedPart { key: "d/part_0_0001.csv".into(), bytes: Some(123) }]);
        let export = br#"{"executionId": "e-1", "dataFiles": ["s3://bucket/p/e/data/BILLING_PERIOD=2026-06/e-00001.snappy.parquet"]}"#;
        let (facts, parts) = parse_manifest("e-Manifest.json", export).expect("data exports");
        assert_eq!(facts.run_id.as_deref(), Some("e-1"));
        assert_eq!(parts[0].key, "p/e/data/BILLING_PERIOD=2026-06/e-00001.snappy.parquet");
        let (_, parts) =
            parse_manifest("manifest.json", br#"{"files": ["a.csv", {"path": "b.csv"}]}"#).expect("generic");
        assert_eq!(parts.len(), 2);
    }

    #[test]
    fn what_is_no_manifest() {
        for bytes in
            [&b"{"[..], b"{}", b"[]", br#"{"files": [1]}"#, br#"{"blobCount": 2, "blobs": [{"blobName": "a"}]}"#, b""]
        {
            assert!(parse_manifest("manifest.json", bytes).is_err());
        }
    }
}
