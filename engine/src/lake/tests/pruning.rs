//! Files that cannot matter are not opened, and a snapshot has the files it had.

use super::scanning::{OCTOBER, answer, charges_of, context, four_files, spoil};
use super::*;
use crate::lake::{ACCOUNT_NAMES, ColumnStats, FileIndex, IndexedFile};

#[tokio::test]
async fn files_that_cannot_match_are_not_opened() {
    for place in Place::both() {
        let files = four_files(&place).await;
        let context = context(&place, &files);
        spoil(&place, &files[0]);
        spoil(&place, &files[1]);
        spoil(&place, &files[3]);
        let count = "select count(line_key) from charges where ";
        for filter in [
            "billing_period = date '2026-10-01' and node_path = 'root/alpha'",
            "charge_date between date '2026-10-01' and date '2026-10-31' and node_path >= 'root/alpha' and node_path < 'root/alpha0'",
            "billing_period >= date '2026-10-01' and node_path like 'root/al%'",
            "billing_period in (date '2026-10-01', date '2026-11-01') and node_id = 'alpha'",
        ] {
            assert_eq!(answer(&context, &format!("{count}{filter}")).await.as_deref(), Ok("100"), "{filter}");
        }
        let nothing = format!("{count} billing_period = date '2026-11-01'");
        assert_eq!(answer(&context, &nothing).await.as_deref(), Ok("0"));
        assert!(
            answer(&context, &format!("{count} billing_period = date '2026-10-01'")).await.is_err(),
            "beta is spoiled"
        );
    }
}

#[tokio::test]
async fn files_without_an_account_are_not_opened() {
    let place = Place::new();
    let files: Vec<Arc<DataFile>> = four_files(&place)
        .await
        .iter()
        .map(|file| {
            let mut file = DataFile::clone(file);
            let names = Some("\na\nb c\n".to_owned());
            let stats = ColumnStats { column: ACCOUNT_NAMES.to_owned(), min: names.clone(), max: names, nulls: 0 };
            // The bounds leave everything open.
            file.stats = vec![stats];
            spoil(&place, &file);
            Arc::new(file)
        })
        .collect();
    let context = context(&place, &files);
    let count = |filter: &str| format!("select count(line_key) from charges where {filter}");
    for filter in ["sub_account_id = 'b'", "sub_account_id in ('c', 'd')", "sub_account_id = 'e' and node_id = 'alpha'"]
    {
        assert_eq!(answer(&context, &count(filter)).await.as_deref(), Ok("0"), "{filter}");
    }
    for filter in
        ["sub_account_id = 'b c'", "sub_account_id in ('a', 'd')", "sub_account_id <> 'd'", "sub_account_id > 'd'"]
    {
        assert!(answer(&context, &count(filter)).await.is_err(), "{filter}: the files are spoiled");
    }
}

#[tokio::test]
async fn row_groups_that_cannot_match_are_not_read() {
    for place in Place::both() {
        let mut writer = place.lake.writer(LakeTable::Charges, "hot", small(100, 1 << 30, 2));
        for (group, node) in (0..).zip(["alpha", "beta", "gamma"]) {
            let rows = charges_of(node, OCTOBER, i64::from(group) * 100, 100);
            writer.push(rows, &[0; 100], &[group; 100]).expect("the rows are taken");
        }
        let written = finish(writer).await;
        let path = place.path_of(&written[0].path);
        let mut bytes = std::fs::read(&path).expect("the file");
        let footer =
            ParquetRecordBatchReaderBuilder::try_new(File::open(&path).expect("the file")).expect("its footer");
        for group in [0, 2] {
            for chunk in footer.metadata().row_group(group).columns() {
                let (start, length) = chunk.byte_range();
                let at = usize::try_from(start).expect("a place");
                bytes[at..at + usize::try_from(length).expect("a length")].fill(0);
            }
        }
        std::fs::write(&path, bytes).expect("the file is replaced");
        let context = context(&place, &[listed(1, LakeTable::Charges, &written[0], OCTOBER)]);
        let count =
            |node: &str| format!("select count(line_key), sum(line_key) from charges where node_path = 'root/{node}'");
        // 100 + 101 + … + 199.
        assert_eq!(answer(&context, &count("beta")).await.as_deref(), Ok("100|14950"));
        assert!(answer(&context, &count("alpha")).await.is_err(), "its row group is spoiled");
    }
}

#[tokio::test]
async fn rows_are_counted_without_reading() {
    for place in Place::both() {
        let files = four_files(&place).await;
        let context = context(&place, &files);
        files.iter().for_each(|file| spoil(&place, file));
        assert_eq!(answer(&context, "select count(*) from charges").await.as_deref(), Ok("400"));
    }
}

#[tokio::test]
async fn a_limit_opens_no_more_files_than_it_needs() {
    for place in Place::both() {
        let files = four_files(&place).await;
        let context = context(&place, &files);
        files[2..].iter().for_each(|file| spoil(&place, file));
        let rows = answer(&context, "select line_key from charges limit 150").await.expect("two files suffice");
        assert_eq!(rows.lines().count(), 150);
        assert!(answer(&context, "select line_key from charges limit 201").await.is_err(), "the third file is spoiled");
    }
}

#[tokio::test]
async fn an_index_answers_for_its_snapshots() {
    let place = Place::new();
    let files = four_files(&place).await;
    let at = |file: &Arc<DataFile>, begin, end| IndexedFile {
        file: Arc::clone(file),
        begin_snapshot: begin,
        end_snapshot: end,
    };
    // Snapshot 5 has files 0 and 1; 6 replaces 0 by 2; 8 adds 3 and ends 1.
    let index = FileIndex::new(5, [at(&files[0], 2, None), at(&files[1], 5, None)]);
    index.apply(6, [at(&files[2], 6, None)], &[(0, 6)]);
    index.apply(8, [at(&files[3], 8, None), at(&files[2], 6, None)], &[(1, 8), (0, 6)]);
    let ids = |snapshot| -> Vec<i64> {
        index.files(LakeTable::Charges, snapshot, |_| true).iter().map(|file| file.id).collect()
    };
    assert_eq!((ids(5), ids(6), ids(7), ids(8)), (vec![0, 1], vec![1, 2], vec![1, 2], vec![2, 3]));
    assert_eq!((index.oldest(), index.newest()), (5, 8));
    assert!(index.files(LakeTable::Usage, 8, |_| true).is_empty());
    let october = index.files_of_periods(LakeTable::Charges, 7, OCTOBER..=OCTOBER, |_| true);
    assert_eq!(october.iter().map(|file| file.id).collect::<Vec<_>>(), [2]);
    index.forget_before(8);
    assert_eq!((ids(8), index.oldest()), (vec![2, 3], 8));
    assert_eq!(ids(7), [2], "what ended before 8 is forgotten");
}
