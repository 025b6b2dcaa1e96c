//! The chunker and the row reader agree on where rows end, whatever the bytes and the cuts.

use proptest::prelude::*;

use super::chunks::Chunks;
use super::rows::{RowBlock, RowReader};

/// A row's fields, or the text of a broken one.
type Row = Result<Vec<String>, String>;

/// Rows in order, read in chunks of about `target` bytes.
fn rows_of(text: &str, columns: usize, target: usize) -> Vec<Row> {
    let mut chunks = Chunks::new(text.as_bytes(), target);
    let mut found = Vec::new();
    while let Some(chunk) = chunks.next_chunk().expect("no line is too long") {
        let chunk = String::from_utf8(chunk).expect("whole rows are text");
        found.extend(rows_of_chunk(&chunk, columns));
    }
    found
}

fn rows_of_chunk(chunk: &str, columns: usize) -> Vec<Row> {
    let mut reader = RowReader::new(chunk.as_bytes(), columns, &[]);
    let mut block = RowBlock::default();
    let mut found: Vec<(u32, Row)> = Vec::new();
    while reader.next_block(&mut block, 3) {
        for (row, spans) in block.rows.iter().zip(block.spans.chunks(columns)) {
            let field = |span: &super::rows::Span| {
                let cell = &chunk[span.start as usize..span.end as usize];
                if span.is_escaped { cell.replace("\"\"", "\"") } else { cell.to_owned() }
            };
            found.push((row.2, Ok(spans.iter().map(field).collect())));
        }
    }
    let broken = block.broken.iter().map(|b| (b.ordinal, Err(chunk[b.start..b.end].to_owned())));
    found.extend(broken);
    found.sort_by_key(|(ordinal, _)| *ordinal);
    let ordinals: Vec<u32> = found.iter().map(|(ordinal, _)| *ordinal).collect();
    assert_eq!(ordinals, (0..reader.rows()).collect::<Vec<_>>(), "every row has its own number");
    found.into_iter().map(|(_, row)| row).collect()
}

/// Cells as a writer would quote them.
fn quoted(cells: &[String]) -> String {
    let quote = |cell: &String| {
        if cell.contains([',', '"', '\n', '\r']) || cell.is_empty() {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    };
    cells.iter().map(quote).collect::<Vec<_>>().join(",")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(20_261_121), ..ProptestConfig::default() })]

    #[test]
    fn cuts_do_not_change_rows(text in "[ab,\"\n\r]{0,80}", columns in 1_usize..4, target in 1_usize..90) {
        let whole = rows_of_chunk(&text, columns);
        prop_assert_eq!(rows_of(&text, columns, target), whole);
    }

    #[test]
    fn what_a_writer_quotes_is_read_back(
        rows in prop::collection::vec(prop::collection::vec("[a\u{e9}, \"\n\r]{0,70}", 3), 0..8),
        is_crlf in any::<bool>(),
        target in 1_usize..400,
    ) {
        let end = if is_crlf { "\r\n" } else { "\n" };
        let text: String = rows.iter().map(|row| quoted(row) + end).collect();
        let expected: Vec<Row> = rows.into_iter().map(Ok).collect();
        prop_assert_eq!(&rows_of(&text, 3, target), &expected);
        // The csv crate, an independent reader, agrees.
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let theirs: Vec<Row> = reader.records().map(|r| Ok(r.expect("a record").iter().map(str::to_owned).collect())).collect();
        prop_assert_eq!(theirs, expected);
    }
}
