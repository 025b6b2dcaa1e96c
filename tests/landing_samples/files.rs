//! Files, folders, manifests and parts: what is a delivery and what is refused whole.

use ratehouse::landing::LandingError;

use super::sources::CUR_KINDS;
use super::{data, file, focus, folder, gzip, land, row};

#[tokio::test]
async fn malformed_files_are_refused_whole() {
    let temp = folder();
    let text = focus(&[&row("1", "a")]);
    let zipped = gzip(text.as_bytes());
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("zero.csv", Vec::new(), "0 bytes"),
        ("cut.csv.gz", zipped[..zipped.len() - 9].to_vec(), "cut off or damaged"),
        ("book.csv", b"PK\x03\x04xxxx".to_vec(), "spreadsheet"),
        ("wide.csv", b"\xff\xfeB\0i\0".to_vec(), "UTF-16"),
        ("page.csv", b"<html>Error</html>".to_vec(), "HTML"),
        ("cut.parquet", b"PAR1 and no more".to_vec(), "cut off or damaged"),
        ("other.csv", b"a,b,c\n1,2,3\n".to_vec(), "no source has this header"),
        ("short.csv", text.replace("ListCost", "ListCosts").into_bytes(), "must also have: ListCost"),
    ];
    for (name, bytes, says) in cases {
        let error = land(&file(&temp, name, &bytes)).await.err().unwrap_or_else(|| panic!("{name} landed")).to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    let missing = land(&temp.path().join("none.csv")).await.err().expect("missing");
    assert!(matches!(missing, LandingError::NotFound { .. }));
}

#[tokio::test]
async fn a_header_without_rows_is_an_empty_delivery() {
    let temp = folder();
    for (name, bytes) in [
        ("a.csv", focus(&[]).into_bytes()),
        ("b.csv", focus(&[]).trim_end().as_bytes().to_vec()),
        ("c.csv.gz", gzip(focus(&[]).as_bytes())),
    ] {
        let landed = land(&file(&temp, name, &bytes)).await.expect(name);
        assert_eq!((landed.usage.num_rows(), landed.rejected.len()), (0, 0));
    }
}

#[tokio::test]
async fn compressed_parts_are_read_in_order_and_their_order_does_not_change_the_hash() {
    let temp = folder();
    let other = folder();
    let (one, two) = (focus(&[&row("1", "a"), &row("2", "b")]), focus(&[&row("4", "c")]));
    file(&temp, "x-00001.csv.gz", &gzip(one.as_bytes()));
    file(&temp, "x-00002.csv.gz", &gzip(two.as_bytes()));
    file(&other, "x-00001.csv.gz", &gzip(two.as_bytes()));
    file(&other, "x-00002.csv.gz", &gzip(one.as_bytes()));
    let landed = land(temp.path()).await.expect("lands");
    assert_eq!(landed.sum("billed_cost").0, "7");
    assert_eq!(landed.source_rows(), [1, 2, 1]);
    assert_eq!(landed.hash, land(other.path()).await.expect("lands").hash);
}

#[tokio::test]
async fn a_manifest_alone_decides_what_is_read() {
    let temp = folder();
    file(&temp, "20231101-20231201/run-2/r-1.csv.gz", &gzip(focus(&[&row("1", "a")]).as_bytes()));
    file(&temp, "20231101-20231201/run-1/r-1.csv.gz", &gzip(focus(&[&row("100", "old")]).as_bytes()));
    let manifest = br#"{"assemblyId": "run-2", "reportKeys": ["bucket/prefix/20231101-20231201/run-2/r-1.csv.gz"]}"#;
    file(&temp, "20231101-20231201/r-Manifest.json", manifest);
    assert_eq!(land(temp.path()).await.expect("lands").sum("billed_cost").0, "1");
    let two = br#"{"reportKeys": ["20231101-20231201/run-2/r-1.csv.gz", "20231101-20231201/run-2/r-2.csv.gz"]}"#;
    file(&temp, "20231101-20231201/r-Manifest.json", two);
    let error = land(temp.path()).await.err().expect("a part is missing");
    assert!(matches!(&error, LandingError::MissingPart { part, .. } if part.ends_with("r-2.csv.gz")), "{error}");
    // Azure: the export's type tells which view it is; a size that differs is a part cut off.
    let bytes = std::fs::read(data("azure/EA_AmortizedCost_Small.csv")).expect("sample");
    file(&temp, "azure/part_1_0001.csv", &bytes);
    let azure = |size: usize| {
        format!(
            r#"{{"blobCount": 1, "exportConfig": {{"type": "AmortizedCost"}}, "blobs": [{{"blobName": "exports/azure/part_1_0001.csv", "byteCount": {size}}}]}}"#
        )
    };
    let path = file(&temp, "azure/manifest.json", azure(bytes.len()).as_bytes());
    assert_eq!(land(&path).await.expect("lands").source, "azure_ea_amortized");
    file(&temp, "azure/manifest.json", azure(bytes.len() + 1).as_bytes());
    assert!(matches!(land(&path).await.err().expect("cut off"), LandingError::Truncated { .. }));
}

#[tokio::test]
async fn parts_of_different_sources_are_refused() {
    let temp = folder();
    file(&temp, "x-00001.csv", focus(&[&row("1", "a")]).as_bytes());
    file(&temp, "x-00002.csv", CUR_KINDS.as_bytes());
    assert!(matches!(land(temp.path()).await.err().expect("refused"), LandingError::PartsDisagree { .. }));
}

/// A bucket in memory.
struct Bucket(std::sync::Arc<dyn object_store::ObjectStore>);

impl ratehouse::landing::Stores for Bucket {
    fn resolve(&self, _: &url::Url) -> Result<std::sync::Arc<dyn object_store::ObjectStore>, LandingError> {
        Ok(std::sync::Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn objects_land_like_files() {
    use object_store::ObjectStoreExt as _;
    let store = std::sync::Arc::new(object_store::memory::InMemory::new());
    let month = "cur/20231101-20231201";
    for (key, bytes) in [
        (format!("{month}/run-2/r-1.csv.gz"), gzip(focus(&[&row("1", "a")]).as_bytes())),
        (format!("{month}/run-1/r-1.csv.gz"), gzip(focus(&[&row("100", "old")]).as_bytes())),
        (format!("{month}/r-Manifest.json"), format!(r#"{{"reportKeys": ["{month}/run-2/r-1.csv.gz"]}}"#).into_bytes()),
        ("plain/x-00001.csv".to_owned(), focus(&[&row("2", "b")]).into_bytes()),
        ("plain/x-00002.csv".to_owned(), focus(&[&row("3", "c")]).into_bytes()),
    ] {
        store.put(&key.into(), bytes.into()).await.expect("put");
    }
    let bucket = Bucket(store);
    for (input, parts, sum) in
        [("s3://bucket/cur/", 1, "1"), ("s3://bucket/plain", 2, "5"), ("az://bucket/plain/x-00002.csv", 1, "3")]
    {
        let mut found = ratehouse::landing::discover(&[input.to_owned()], &bucket).await.expect(input);
        assert_eq!((found.len(), found[0].parts.len()), (1, parts), "{input}");
        let landed = super::read(found.remove(0), &super::built_in(), None).await.expect(input);
        assert_eq!(landed.sum("billed_cost").0, sum, "{input}");
    }
    let missing = ratehouse::landing::discover(&["s3://bucket/none/".to_owned()], &bucket).await;
    assert!(matches!(missing, Err(LandingError::NotFound { .. })));
    let local_only =
        ratehouse::landing::discover(&["s3://bucket/cur/".to_owned()], &ratehouse::landing::LocalOnly).await;
    assert!(matches!(local_only, Err(LandingError::Unreadable { .. })));
}

#[tokio::test]
async fn a_folder_gives_one_delivery_a_file_unless_the_files_are_numbered_parts() {
    let temp = folder();
    for name in
        ["a/usage.csv", "a/costs.csv", "b/part_0_0001.csv", "b/part_0_0002.csv", "b/_SUCCESS.csv", "b/readme.txt"]
    {
        file(&temp, name, focus(&[]).as_bytes());
    }
    let found = ratehouse::landing::discover(&[temp.path().display().to_string()], &ratehouse::landing::LocalOnly)
        .await
        .expect("found");
    let parts: Vec<usize> = found.iter().map(|d| d.parts.len()).collect();
    assert_eq!(parts, [1, 1, 2]);
    let glob = format!("{}/a/*.csv", temp.path().display());
    assert_eq!(ratehouse::landing::discover(&[glob], &ratehouse::landing::LocalOnly).await.expect("found").len(), 2);
}
