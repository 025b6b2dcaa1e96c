//! Reads of small row groups, many at once.
//!
//! A row group of one owner in one delivery is often a few kilobytes, and the Parquet reader asks
//! for its filter columns and then for the others: two requests a row group, each of which opens
//! a file on another thread, or is a round trip to a cloud store. Row groups are read in the
//! order in which they lie in the file, so what comes next is fetched with what is asked for.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::file::metadata::ParquetMetaData;

use super::Lake;

/// Bytes fetched at once, and kept by each reader. Requests that spread over more are not widened.
const WINDOW_BYTES: u64 = 512 << 10;

/// Makes readers with footers from the lake's cache that read ahead.
#[derive(Debug)]
pub(super) struct ReadAheadFactory {
    readers: CachedParquetFileReaderFactory,
}

impl ReadAheadFactory {
    pub(super) fn new(lake: &Lake) -> Self {
        Self { readers: CachedParquetFileReaderFactory::new(lake.object_store(), lake.footers()) }
    }
}

impl ParquetFileReaderFactory for ReadAheadFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let size = file.object_meta.size;
        let reader = self.readers.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(ReadAhead { reader, size, window: Window::default() }))
    }
}

/// Bytes of a file from a position on.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Window {
    /// The bytes of the range, if all of them are here.
    fn slice(&self, range: &Range<u64>) -> Option<Bytes> {
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        (from <= to && to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
    }

    fn slices(&self, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        ranges.iter().map(|range| self.slice(range)).collect()
    }
}

struct ReadAhead {
    reader: Box<dyn AsyncFileReader + Send>,
    size: u64,
    window: Window,
}

impl ReadAhead {
    /// What to fetch for these ranges; `None` if they spread too far.
    fn ahead(&self, ranges: &[Range<u64>]) -> Option<Range<u64>> {
        let start = ranges.iter().map(|range| range.start).min()?;
        let end = ranges.iter().map(|range| range.end).max()?;
        let ahead = start.saturating_add(WINDOW_BYTES).min(self.size);
        (start < end && end <= ahead).then_some(start..ahead)
    }
}

impl AsyncFileReader for ReadAhead {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let mut bytes = self.get_byte_ranges(vec![range]).await?;
            bytes.pop().ok_or_else(|| parquet::errors::ParquetError::EOF("a reader answered nothing".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            if let Some(held) = self.window.slices(&ranges) {
                return Ok(held);
            }
            if let Some(ahead) = self.ahead(&ranges) {
                let start = ahead.start;
                self.window = Window { start, bytes: self.reader.get_bytes(ahead).await? };
                if let Some(held) = self.window.slices(&ranges) {
                    return Ok(held);
                }
            }
            self.reader.get_byte_ranges(ranges).await
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        self.reader.get_metadata(options)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn places(range: &Range<u64>) -> Range<usize> {
        usize::try_from(range.start).expect("a place")..usize::try_from(range.end).expect("a place")
    }

    /// A file in memory that notes what it was asked for.
    struct Noted {
        bytes: Bytes,
        asked: Arc<Mutex<Vec<Range<u64>>>>,
    }

    impl AsyncFileReader for Noted {
        fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
            self.asked.lock().expect("no panic").push(range.clone());
            let bytes = self.bytes.slice(places(&range));
            async move { Ok(bytes) }.boxed()
        }

        fn get_metadata<'a>(
            &'a mut self,
            _options: Option<&'a ArrowReaderOptions>,
        ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
            async { Err(parquet::errors::ParquetError::EOF("no footer here".to_owned())) }.boxed()
        }
    }

    /// Reads the ranges, request by request, from a file of `size` bytes; checks every answer.
    async fn asked_for(size: u64, requests: &[&[(u64, u64)]]) -> Vec<Range<u64>> {
        let bytes: Vec<u8> = (0..size).map(|at| u8::try_from((at * 31 + at / 251) % 256).expect("a byte")).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Noted { bytes: Bytes::from(bytes.clone()), asked: Arc::clone(&asked) };
        let mut reader = ReadAhead { reader: Box::new(noted), size, window: Window::default() };
        for request in requests {
            let ranges: Vec<Range<u64>> = request.iter().map(|(start, end)| *start..*end).collect();
            let answers = reader.get_byte_ranges(ranges.clone()).await.expect("an answer");
            for (range, answer) in ranges.iter().zip(answers) {
                assert_eq!(answer.as_ref(), &bytes[places(range)]);
            }
        }
        std::mem::take(&mut asked.lock().expect("no panic"))
    }

    const W: u64 = WINDOW_BYTES;

    #[tokio::test]
    async fn what_follows_is_read_with_what_is_asked_for() {
        let asked =
            asked_for(10_000, &[&[(40, 60), (10, 20)], &[(60, 90)], &[(9_000, 10_000), (0, 0)], &[(10, 10_000)]]).await;
        assert_eq!(asked, [10..10_000, 0..10_000]);
    }

    #[tokio::test]
    async fn what_lies_before_or_after_the_window_is_read_anew() {
        let asked = asked_for(3 * W, &[&[(W, W + 1)], &[(2 * W - 1, 2 * W + 1)], &[(5, 6)]]).await;
        assert_eq!(asked, [W..2 * W, 2 * W - 1..3 * W - 1, 5..5 + W]);
    }

    #[tokio::test]
    async fn ranges_that_spread_further_are_read_as_they_are() {
        let asked = asked_for(3 * W, &[&[(0, 10), (2 * W, 2 * W + 10)], &[(0, W + 1)], &[(0, W)]]).await;
        assert_eq!(asked, [0..10, 2 * W..2 * W + 10, 0..W + 1, 0..W]);
    }
}
