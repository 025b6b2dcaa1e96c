//! Rows of a Parquet file: native numbers, instants and maps, or text.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::convert::{Failure, as_text, to_instants, to_money, without_nulls};
use super::error::LandingError;
use super::location::Location;
use super::rows::{Fault, Marks, RawRows, Reading, SourceRows};

/// A Parquet file whose footer has been read.
pub(crate) type OpenParquet = ParquetRecordBatchStreamBuilder<ObjectReader>;

/// Reads ranges of one object of known size.
pub(crate) struct ObjectReader {
    store: Arc<dyn ObjectStore>,
    path: ObjectPath,
    bytes: u64,
}

fn foreign(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for ObjectReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { self.store.get_range(&self.path, range).await.map_err(foreign) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(foreign) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// Reads the footer.
pub(crate) async fn open(location: &Location, bytes: u64) -> Result<OpenParquet, LandingError> {
    let (store, path) = location.object()?;
    let reader = ObjectReader { store, path, bytes };
    let opened = ParquetRecordBatchStreamBuilder::new(reader).await;
    opened.map_err(|e| LandingError::Truncated { file: location.name(), reason: e.to_string() })
}

/// The column names.
pub(crate) fn header(opened: &OpenParquet) -> Vec<String> {
    opened.schema().fields().iter().map(|f| f.name().clone()).collect()
}

/// Brings a batch into the forms that the mapping needs.
pub(crate) fn read_batch(batch: &RecordBatch, reading: &Reading) -> SourceRows {
    let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
    let mut source = SourceRows {
        rows: batch.num_rows(),
        ordinals: (0..rows).collect(),
        all_rows: rows,
        text: Vec::with_capacity(batch.num_columns()),
        numbers: Vec::with_capacity(batch.num_columns()),
        instants: Vec::with_capacity(batch.num_columns()),
        marks: Marks::default(),
        unreadable: Vec::new(),
        raw: RawRows::Columns {
            names: reading.columns.iter().map(|c| Arc::clone(&c.name)).collect(),
            columns: batch.columns().to_vec(),
        },
        lines: 0,
        bytes: batch.get_array_memory_size() as u64,
    };
    for (column, reading_of) in batch.columns().iter().zip(&reading.columns) {
        let need = &reading_of.need;
        let nulls = &reading_of.nulls;
        let mut numbers = None;
        if need.number || need.check {
            let converted = to_money(column, nulls);
            push_faults(&mut source.marks.faults, &reading_of.name, converted.failures);
            source.marks.rounded_rows.extend(converted.rounded.into_iter().filter_map(|row| u32::try_from(row).ok()));
            numbers = need.number.then_some(converted.array);
        }
        let mut instants = None;
        if need.instant {
            let converted = to_instants(column, nulls, &reading.formats);
            push_faults(&mut source.marks.faults, &reading_of.name, converted.failures);
            instants = Some(converted.array);
        }
        source.text.push(need.text.then(|| without_nulls(as_text(column), nulls)) as Option<ArrayRef>);
        source.numbers.push(numbers);
        source.instants.push(instants);
    }
    source
}

fn push_faults(faults: &mut Vec<Fault>, column: &Arc<str>, failures: Vec<Failure>) {
    faults.extend(failures.into_iter().filter_map(|f| {
        Some(Fault {
            row: u32::try_from(f.row).ok()?,
            column: Arc::clone(column),
            value_class: f.value_class,
            reason: f.reason.to_owned(),
        })
    }));
}
