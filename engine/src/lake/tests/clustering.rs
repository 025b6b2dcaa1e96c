//! Rows written in any order are read back once each, in files and row groups of one owner.

use arrow::compute::{SortColumn, lexsort_to_indices};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use rand::seq::SliceRandom;

use super::*;

/// Cuts a batch into pieces of random size, which share its buffers, and shuffles them.
fn pieces(batch: &RecordBatch, random: &mut StdRng) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    let mut first = 0;
    while first < batch.num_rows() {
        let rows = random.random_range(1..=batch.num_rows() - first);
        pieces.push(batch.slice(first, rows));
        first += rows;
    }
    pieces.shuffle(random);
    pieces
}

fn sort_columns(table: LakeTable) -> [&'static str; 2] {
    match table {
        LakeTable::Usage => ["sub_account_id", "charge_period_start"],
        LakeTable::Charges => ["node_path", "charge_period_start"],
        LakeTable::ChargesDaily => ["node_path", "charge_date"],
        LakeTable::ChargesMonthly => ["node_path", "service_name"],
        LakeTable::EdgesMonthly => ["payer_node_id", "service_name"],
        LakeTable::ChargesByTerms => ["node_path", "service_name"],
    }
}

fn is_sorted(table: LakeTable, row_group: &RecordBatch) -> bool {
    let columns = sort_columns(table).map(|name| SortColumn {
        values: Arc::clone(row_group.column_by_name(name).expect("a sort column")),
        options: None,
    });
    let sorted = lexsort_to_indices(&columns, None).expect("an order");
    let sorted = take_record_batch(row_group, &sorted).expect("the rows");
    sort_columns(table).iter().all(|name| sorted.column_by_name(name) == row_group.column_by_name(name))
}

/// Writes batches whose row `n` goes to the `n`-th file and group, and checks everything that the
/// writer promises.
fn check(
    table: LakeTable,
    batches: &[RecordBatch],
    places: &[(u32, u32)],
    options: WriterOptions,
    random: &mut StdRng,
) {
    let place = Place::new();
    let row_group_rows = options.row_group_rows;
    let mut writer = place.lake.writer(table, "hot", options);
    let mut pieces: Vec<RecordBatch> = batches.iter().flat_map(|batch| pieces(batch, random)).collect();
    pieces.shuffle(random);
    for piece in pieces {
        let places: Vec<(u32, u32)> =
            keys(table, &piece).into_iter().map(|key| places[usize::try_from(key).expect("a key")]).collect();
        let (files, groups): (Vec<u32>, Vec<u32>) = places.into_iter().unzip();
        writer.push(piece, &files, &groups).expect("the rows are taken");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    let written = runtime.block_on(finish(writer));

    let mut read = Vec::new();
    for file in &written {
        let mut rows = 0;
        for row_group in place.read(&file.path) {
            let owners = count(keys(table, &row_group).iter().map(|key| places[usize::try_from(*key).expect("a key")]));
            assert_eq!(owners.len(), 1, "a row group has one file and one group: {owners:?}");
            assert_eq!(owners.keys().next().map(|(file, _)| *file), Some(file.file));
            assert!(row_group.num_rows() <= row_group_rows);
            assert!(is_sorted(table, &row_group));
            rows += i64::try_from(row_group.num_rows()).expect("few rows");
            read.push(row_group);
        }
        let length = std::fs::metadata(place.path_of(&file.path)).expect("the file").len();
        assert_eq!((file.rows, file.bytes), (rows, i64::try_from(length).expect("a small file")));
        assert!(file.stats.len() <= 12);
    }
    let expected: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), expected, "no row is lost or doubled");
    if expected > 0 {
        assert_eq!(in_order(table, &read), in_order(table, batches));
    }
    let files = count(places.iter().take(expected).map(|(file, _)| *file));
    assert_eq!(written.iter().map(|file| file.file).collect::<Vec<_>>(), files.into_keys().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Memory below what a single batch takes makes every push write; plenty of memory makes only
    /// the end write.
    #[test]
    fn every_row_is_written_once_where_it_belongs(
        seed in any::<u64>(),
        table in prop::sample::select(LakeTable::ALL.to_vec()),
        sizes in prop::collection::vec(1_usize..120, 1..5),
        files in 1_u32..4,
        groups in 1_u32..6,
        row_group_rows in 1_usize..60,
        memory in prop::sample::select(vec![1_usize, 40_000, 200_000, 1 << 30]),
        threads in 1_usize..4,
    ) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut first = 0;
        let batches: Vec<RecordBatch> = sizes.iter().map(|size| {
            let batch = rows(table, first, *size, &mut random);
            first += i64::try_from(*size).expect("few rows");
            batch
        }).collect();
        let places: Vec<(u32, u32)> = (0..first)
            .map(|_| (random.random_range(0..files), random.random_range(0..groups)))
            .collect();
        check(table, &batches, &places, small(row_group_rows, memory, threads), &mut random);
    }
}

#[test]
fn large_row_groups_are_encoded_by_column_and_come_out_whole() {
    let mut random = seeded();
    let batch = rows(LakeTable::ChargesMonthly, 0, 40_000, &mut random);
    let places = vec![(3, 9); 40_000];
    check(LakeTable::ChargesMonthly, &[batch], &places, small(30_000, 1 << 30, 2), &mut random);
}

#[tokio::test]
async fn the_same_rows_make_the_same_file_however_many_threads_encode() {
    let mut contents = Vec::new();
    for threads in [1, 3] {
        let place = Place::new();
        let mut random = seeded();
        let mut writer = place.lake.writer(LakeTable::Charges, "hot", small(20, 60_000, threads));
        for first in [0, 100, 200] {
            let batch = rows(LakeTable::Charges, first, 100, &mut random);
            let groups: Vec<u32> = (0..100).map(|_| random.random_range(0..5)).collect();
            writer.push(batch, &[0; 100], &groups).expect("the rows are taken");
        }
        let written = finish(writer).await;
        contents.push(std::fs::read(place.path_of(&written[0].path)).expect("the file"));
    }
    assert!(contents[0] == contents[1]);
}

#[test]
fn memory_stays_below_the_limit() {
    let place = Place::new();
    let mut random = seeded();
    let limit = 4 << 20;
    let mut writer = place.lake.writer(LakeTable::ChargesMonthly, "hot", small(500, limit, 1));
    for batch in 0..12 {
        let batch = rows(LakeTable::ChargesMonthly, batch * 1000, 1000, &mut random);
        let groups: Vec<u32> = (0..1000).map(|_| random.random_range(0..7)).collect();
        writer.push(batch, &[0; 1000], &groups).expect("the rows are taken");
        assert!(writer.waiting_bytes() <= limit, "{} bytes wait", writer.waiting_bytes());
    }
    assert!(writer.waiting_rows() < 12_000, "some rows are written before the end");
}
