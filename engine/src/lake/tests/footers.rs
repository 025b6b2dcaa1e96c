//! What a file says of itself: to readers in its footer, to the catalog in its description.

use parquet::basic::Encoding;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::lake::LakeError;

fn footer(place: &Place, file: &WrittenFile) -> ParquetMetaData {
    let open = File::open(place.path_of(&file.path)).expect("the file");
    SerializedFileReader::new(open).expect("its footer").metadata().clone()
}

#[tokio::test]
async fn a_file_says_what_readers_and_the_catalog_need() {
    let place = Place::new();
    let options = WriterOptions { notes: vec![("slice".to_owned(), "7".to_owned())], ..small(1000, 1 << 30, 2) };
    let mut writer = place.lake.writer(LakeTable::Usage, "hot", options);
    let schema = LakeTable::Usage.schema();
    let numbers: Vec<Option<u32>> = (0..500).map(|row| Some(row % 40)).collect();
    let columns = schema.fields().iter().map(|field| column(field.data_type(), &numbers));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("a batch");
    writer.push(batch, &[0; 500], &[0; 500]).expect("the rows are taken");
    let written = finish(writer).await;
    let footer = footer(&place, &written[0]);

    let notes = footer.file_metadata().key_value_metadata().expect("notes");
    assert!(notes.iter().any(|note| note.key == "slice" && note.value.as_deref() == Some("7")));
    let root = footer.file_metadata().schema();
    let ids: Vec<i32> = root.get_fields().iter().map(|field| field.get_basic_info().id()).collect();
    let numbered: Vec<i32> = (1..).take(LakeTable::Usage.schema().fields().len()).collect();
    assert_eq!(ids, numbered, "field ids count the columns from 1");

    let chunk = |name| footer.row_group(0).column(schema.index_of(name).expect("a column"));
    assert!(chunk("source_row").encodings().any(|e| e == Encoding::DELTA_BINARY_PACKED));
    assert!(chunk("source_row").dictionary_page_offset().is_none());
    assert!(chunk("service_name").dictionary_page_offset().is_some());
    let filtered: Vec<&str> = (0..schema.fields().len())
        .filter(|column| footer.row_group(0).column(*column).bloom_filter_offset().is_some())
        .map(|column| schema.field(column).name().as_str())
        .collect();
    assert_eq!(filtered, ["resource_id", "sub_account_id"]);
    assert!(chunk("tags").statistics().is_none() && chunk("billed_cost").statistics().is_none());
    assert!(chunk("service_name").statistics().is_some());
    assert!(
        (0..schema.fields().len()).all(|column| { footer.row_group(0).column(column).offset_index_offset().is_some() })
    );

    let bytes = std::fs::read(place.path_of(&written[0].path)).expect("the file");
    let length: [u8; 4] = bytes[bytes.len() - 8..bytes.len() - 4].try_into().expect("four bytes");
    assert_eq!(written[0].footer_bytes, i64::from(u32::from_le_bytes(length)));
}

#[tokio::test]
async fn bounds_are_texts_that_hold_for_every_row() {
    let place = Place::new();
    let mut writer = place.lake.writer(LakeTable::Charges, "hot", small(2, 1 << 30, 1));
    // Four rows in two row groups; a text of 100 characters is cut after 64, its last one counted
    // up: "zz…z" becomes 63 times z and "{", the character after z.
    let long = "z".repeat(100);
    let base = rows(LakeTable::Charges, 0, 4, &mut seeded());
    let schema = LakeTable::Charges.schema();
    let columns = schema.fields().iter().zip(base.columns()).map(|(field, array)| {
        match field.name().as_str() {
            "service_name" => {
                Arc::new(StringViewArray::from(vec![Some("a"), None, Some(long.as_str()), Some("b")])) as ArrayRef
            }
            "sub_account_id" => Arc::new(StringViewArray::from(vec![None::<&str>; 4])),
            "node_path" => Arc::new(StringViewArray::from(vec!["r/a", "r/b", "r/c/d", "r/a"])),
            // 2026-10-01 and 2026-10-31 are days 20,727 and 20,757.
            "charge_date" => Arc::new(Date32Array::from(vec![20_757, 20_727, 20_730, 20_757])),
            "charge_period_start" => Arc::new(
                TimestampMicrosecondArray::from(vec![
                    1_790_812_800_000_000,
                    1_790_812_800_250_000,
                    1_790_812_801_000_000,
                    1_790_812_800_000_000,
                ])
                .with_timezone("UTC"),
            ),
            _ => Arc::clone(array),
        }
    });
    let batch = RecordBatch::try_new(LakeTable::Charges.schema(), columns.collect()).expect("a batch");
    writer.push(batch, &[0; 4], &[0; 4]).expect("the rows are taken");
    let written = finish(writer).await;
    let bounds = |name: &str| {
        let stats = written[0].stats.iter().find(|stats| stats.column == name).expect("bounds");
        (stats.min.clone(), stats.max.clone(), stats.nulls)
    };
    let known = |min: &str, max: &str, nulls| (Some(min.to_owned()), Some(max.to_owned()), nulls);
    assert_eq!(bounds("service_name"), known("a", &format!("{}{{", "z".repeat(63)), 1));
    assert_eq!(bounds("sub_account_id"), (None, None, 4));
    assert_eq!(bounds("node_path"), known("r/a", "r/c/d", 0));
    assert_eq!(bounds("charge_date"), known("2026-10-01", "2026-10-31", 0));
    assert_eq!(bounds("charge_period_start"), known("2026-10-01 00:00:00+00", "2026-10-01 00:00:01+00", 0));
}

/// Values of one row group that are all the same are written without Parquet's encoder.
#[tokio::test]
async fn a_column_of_one_value_is_one_run() {
    let place = Place::new();
    let schema = LakeTable::Charges.schema();
    // 70 characters: cut after 64, the last one counted up.
    let long = format!("{}{}", "a".repeat(63), "zzzzzzz");
    let batch = |first: i64, rows: usize| {
        let ones = vec![Some(1); rows];
        let columns = schema.fields().iter().map(|field| match field.name().as_str() {
            "line_key" => Arc::new(Int64Array::from_iter_values((first..).take(rows))) as ArrayRef,
            "node_path" => Arc::new(StringViewArray::from(vec![long.as_str(); rows])),
            _ if field.name().ends_with("_8") => column(field.data_type(), &vec![None; rows]),
            _ => column(field.data_type(), &ones),
        });
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("a batch")
    };
    let batches = [batch(0, 300), batch(300, 1)];
    let mut writer = place.lake.writer(LakeTable::Charges, "hot", WriterOptions::default());
    writer.push(batches[0].clone(), &[0; 300], &[0; 300]).expect("the rows are taken");
    writer.push(batches[1].clone(), &[0], &[0]).expect("the row is taken");
    let written = finish(writer).await;
    assert_eq!(in_order(LakeTable::Charges, &place.read(&written[0].path)), in_order(LakeTable::Charges, &batches));

    let footer = footer(&place, &written[0]);
    let chunk = |name| footer.row_group(0).column(schema.index_of(name).expect("a column"));
    // A dictionary of 4 + 70 bytes, a run of 301 rows in 4 bytes (301 × 2 takes two bytes, the
    // place one, its width one), and two page headers of at most 30 bytes.
    assert!(chunk("node_path").compressed_size() < 140, "{}", chunk("node_path").compressed_size());
    assert!(chunk("price_8").compressed_size() < 40 && chunk("price_8").dictionary_page_offset().is_none());
    let path = written[0].stats.iter().find(|stats| stats.column == "node_path").expect("bounds");
    assert_eq!(path.min.as_deref(), Some(&long[..64]));
    assert_eq!(path.max, Some(format!("{}{{", "a".repeat(63))));
}

/// A chunk of one page has no page index: its own bounds are the page's.
#[tokio::test]
async fn pages_of_20_000_rows_have_bounds_of_their_own() {
    let place = Place::new();
    let schema = LakeTable::ChargesMonthly.schema();
    let numbers: Vec<Option<u32>> = (0..25_000).map(|row| Some(row % 40)).collect();
    let columns = schema.fields().iter().map(|field| column(field.data_type(), &numbers));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("a batch");
    let mut writer = place.lake.writer(LakeTable::ChargesMonthly, "hot", WriterOptions::default());
    writer.push(batch, &[0; 25_000], &[0; 25_000]).expect("the rows are taken");
    let written = finish(writer).await;
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(&File::open(place.path_of(&written[0].path)).expect("the file"))
        .expect("its footer");
    let column = schema.index_of("service_name").expect("a column");
    let pages = &metadata.offset_index().expect("places of pages")[0][column].page_locations;
    assert_eq!(pages.iter().map(|page| page.first_row_index).collect::<Vec<_>>(), [0, 20_000]);
    assert_eq!(metadata.column_index().expect("bounds of pages")[0][column].num_pages(), 2);
}

/// Texts that repeat are written by ours: whatever their number, order and nulls, a reader of Parquet gets them back.
#[tokio::test]
async fn texts_that_repeat_come_back() {
    const ROWS: usize = 3_000;
    let place = Place::new();
    let schema = LakeTable::ChargesMonthly.schema();
    let base = rows(LakeTable::ChargesMonthly, 0, ROWS, &mut seeded());
    // By column: how many different texts, how long runs of one are, and which rows have none.
    let shapes = [(2, 1, 0), (3, 1000, 7), (300, 1, 3), (300, 30, 0), (1_200, 2, 11), (1_490, 1, 0), (17, 8, 2)];
    let text = |row: usize, (different, run, nulls): (usize, usize, usize)| {
        let number = row / run % different;
        let is_null = nulls > 0 && row.is_multiple_of(nulls);
        (!is_null).then(|| {
            if number.is_multiple_of(2) { format!("{number}") } else { format!("a longer text, number {number}") }
        })
    };
    let mut shape_of = std::collections::HashMap::new();
    let columns = schema.fields().iter().zip(base.columns()).map(|(field, array)| {
        if *field.data_type() != DataType::Utf8View {
            return Arc::clone(array);
        }
        let (different, run, nulls) = shapes[shape_of.len() % shapes.len()];
        let shape = (different, run, if field.is_nullable() { nulls } else { 0 });
        shape_of.insert(field.name().clone(), shape);
        Arc::new((0..ROWS).map(|row| text(row, shape)).collect::<StringViewArray>()) as ArrayRef
    });
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("a batch");
    for rows in [ROWS, 500] {
        let mut writer = place.lake.writer(LakeTable::ChargesMonthly, "hot", small(rows, 1 << 30, 2));
        writer.push(batch.clone(), &[0; ROWS], &[0; ROWS]).expect("the rows are taken");
        let written = finish(writer).await;
        let back = in_order(LakeTable::ChargesMonthly, &place.read(&written[0].path));
        assert_eq!(back, in_order(LakeTable::ChargesMonthly, std::slice::from_ref(&batch)), "row groups of {rows}");
        let footer = footer(&place, &written[0]);
        for (name, shape) in &shape_of {
            let column = schema.index_of(name).expect("a column");
            let Some(statistics) = footer.row_group(0).column(column).statistics() else { continue };
            let nulls: u64 = (0..ROWS).map(|row| u64::from(text(row, *shape).is_none())).sum();
            let all = footer
                .row_groups()
                .iter()
                .map(|group| group.column(column).statistics().and_then(|s| s.null_count_opt()));
            assert_eq!(all.map(Option::unwrap_or_default).sum::<u64>(), nulls, "{name}");
            if footer.num_row_groups() == 1 {
                let least = (0..ROWS).filter_map(|row| text(row, *shape)).min().expect("a text");
                assert_eq!(statistics.min_bytes_opt(), Some(least.as_bytes()), "{name}");
            }
        }
    }
}

#[test]
fn rows_that_do_not_fit_the_table_are_refused() {
    let place = Place::new();
    let batch = rows(LakeTable::Charges, 0, 2, &mut seeded());
    let mut writer = place.lake.writer(LakeTable::Usage, "hot", WriterOptions::default());
    let error = writer.push(batch.clone(), &[0; 2], &[0; 2]).expect_err("columns of another table");
    assert_eq!(
        error.to_string(),
        "column 1 of a batch for usage must be allocated_method_details Utf8View, got origin Utf8View"
    );
    let mut writer = place.lake.writer(LakeTable::Charges, "hot", WriterOptions::default());
    let error = writer.push(batch.clone(), &[0; 2], &[0]).expect_err("a group is missing");
    assert_eq!(error.to_string(), "2 rows came with 2 file numbers and 1 group numbers");
    let mut writer = place.lake.writer(LakeTable::Charges, "warm", WriterOptions::default());
    let error = writer.push(batch, &[0; 2], &[0; 2]).expect_err("no such tier");
    assert!(matches!(error, LakeError::UnknownTier { .. }));
}
