//! Files appear complete or not at all; tiers are found by name.

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::*;
use crate::lake::LakeError;

async fn paths(lake: &Lake, tier: &str) -> Vec<String> {
    let objects: Vec<_> = lake.list(tier).expect("the tier").try_collect().await.expect("a listing");
    let mut paths: Vec<String> = objects.into_iter().map(|object| object.location.to_string()).collect();
    paths.sort();
    paths
}

fn begun(place: &Place) -> ClusteredWriter {
    let mut writer = place.lake.writer(LakeTable::ChargesMonthly, "hot", small(10, 1, 1));
    let batch = rows(LakeTable::ChargesMonthly, 0, 30, &mut seeded());
    let files: Vec<u32> = (0..30).map(|row| row % 2).collect();
    writer.push(batch, &files, &[0; 30]).expect("the rows are taken");
    writer
}

#[tokio::test]
async fn unfinished_files_are_kept_apart_until_all_are_durable() {
    let place = Place::new();
    let writer = begun(&place);
    let during = paths(&place.lake, "hot").await;
    assert_eq!(during.len(), 2, "both files are begun");
    assert!(during.iter().all(|path| path.starts_with("hot/.writing/")), "{during:?}");

    let mut written: Vec<String> = finish(writer).await.into_iter().map(|file| file.path).collect();
    written.sort();
    assert_eq!(paths(&place.lake, "hot").await, written, "nothing but the finished files is left");
    assert!(written[0].starts_with("hot/charges_monthly/p0/") && written[1].starts_with("hot/charges_monthly/p1/"));
    for path in &written {
        place.lake.remove(path).await.expect("it goes");
        place.lake.remove(path).await.expect("it is gone already");
    }
    assert!(paths(&place.lake, "hot").await.is_empty());
}

#[tokio::test]
async fn a_writer_that_gives_up_leaves_nothing() {
    let place = Place::new();
    begun(&place).abort().await;
    drop(begun(&place));
    assert!(paths(&place.lake, "hot").await.is_empty());
}

#[tokio::test]
async fn a_writer_without_rows_makes_no_file() {
    let place = Place::new();
    let writer = place.lake.writer(LakeTable::Usage, "hot", WriterOptions::default());
    assert!(finish(writer).await.is_empty());
}

#[tokio::test]
async fn a_store_without_directories_gets_the_same_files() {
    let store = Arc::new(InMemory::new());
    let lake = Lake::of_store("cloud", store);
    let mut writer = lake.writer(LakeTable::ChargesMonthly, "cloud", WriterOptions::default());
    let batch = rows(LakeTable::ChargesMonthly, 0, 300, &mut seeded());
    writer.push(batch.clone(), &[5; 300], &[0; 300]).expect("the rows are taken");
    let written = finish(writer).await;
    assert_eq!(paths(&lake, "cloud").await, [written[0].path.as_str()]);

    let directory = TempDir::new().expect("a temporary directory");
    let copy = directory.path().join("copy.parquet");
    let location = ObjectPath::parse(&written[0].path).expect("a path");
    let content = lake.object_store().get(&location).await.expect("the object").bytes().await.expect("its bytes");
    std::fs::write(&copy, content).expect("a copy");
    assert_eq!(in_order(LakeTable::ChargesMonthly, &row_groups(&copy)), in_order(LakeTable::ChargesMonthly, &[batch]));
}

#[tokio::test]
async fn objects_are_put_and_copied_between_tiers_without_overwriting() {
    let (hot, cold) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    let lake =
        Lake::open(&[tier("hot", hot.path()), tier("cold", &cold.path().join("new/er"))]).expect("the lake opens");
    let store = lake.object_store();
    let (from, to) = (ObjectPath::from("hot/documents/a b.html"), ObjectPath::from("cold/documents/a b.html"));
    store.put(&from, PutPayload::from_static(b"<p>7</p>")).await.expect("it is written");
    store.copy_if_not_exists(&from, &to).await.expect("it is copied");
    assert_eq!(store.get(&to).await.expect("the copy").bytes().await.expect("its bytes").as_ref(), b"<p>7</p>");
    assert!(cold.path().join("new/er/documents/a b.html").is_file());

    let again = store.copy_if_not_exists(&from, &to).await.expect_err("the name is taken");
    assert!(matches!(again, object_store::Error::AlreadyExists { .. }));
    let again = store.put_opts(&from, PutPayload::from_static(b"8"), PutMode::Create.into()).await;
    assert!(matches!(again, Err(object_store::Error::AlreadyExists { .. })));
    assert_eq!(paths(&lake, "hot").await, ["hot/documents/a b.html"]);
    let nowhere = store.get(&ObjectPath::from("warm/documents/a.html")).await;
    assert!(matches!(nowhere, Err(object_store::Error::NotFound { .. })));
}

#[tokio::test]
async fn parts_of_an_upload_may_arrive_in_any_order() {
    let place = Place::new();
    let store = place.lake.object_store();
    let path = ObjectPath::from("hot/backup/catalog");
    let mut upload = store.put_multipart(&path).await.expect("an upload");
    let first = upload.put_part(PutPayload::from_static(b"one "));
    let second = upload.put_part(PutPayload::from_static(b"two"));
    second.await.expect("the second part");
    first.await.expect("the first part");
    assert!(store.get(&path).await.is_err(), "it appears when it is complete");
    upload.complete().await.expect("all of it");
    assert_eq!(store.get(&path).await.expect("it").bytes().await.expect("its bytes").as_ref(), b"one two");
}

#[test]
fn tiers_that_cannot_be_are_refused() {
    let directory = TempDir::new().expect("a directory");
    let twice = Lake::open(&[tier("hot", directory.path()), tier("hot", directory.path())]);
    assert_eq!(twice.expect_err("the name repeats").to_string(), "tier name \"hot\" is used twice");
    let slash = Lake::open(&[tier("a/b", directory.path())]);
    assert!(matches!(slash, Err(LakeError::TierName { .. })));
    let ftp = Tier { name: "far".to_owned(), url: Url::parse("ftp://example.org/x").expect("a URL") };
    assert!(matches!(Lake::open(&[ftp]), Err(LakeError::UnknownScheme { .. })));
}

/// A cloud tier opens without being contacted.
#[cfg(feature = "cloud")]
#[test]
fn a_cloud_tier_opens_in_a_build_with_cloud_storage() {
    let s3 = Tier { name: "cold".to_owned(), url: Url::parse("s3://bucket/ratehouse").expect("a URL") };
    assert!(Lake::open(&[s3]).is_ok());
}

#[cfg(not(feature = "cloud"))]
#[test]
fn a_build_without_cloud_storage_says_so() {
    let s3 = Tier { name: "cold".to_owned(), url: Url::parse("s3://bucket/ratehouse").expect("a URL") };
    let error = Lake::open(&[s3]).expect_err("there is no cloud storage");
    assert!(error.to_string().ends_with("build with the cargo feature `cloud`"), "{error}");
}
