//! Rows of a Parquet file: native numbers, instants, maps and nested columns, or text.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
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

use super::error::LandingError;
use super::header_names::HeaderNames;
use super::location::Location;
use super::nested::{columns_of, paths_of};
use super::rows::{RawRows, Reading, SourceRows};
use super::typed_columns::type_columns;

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

/// The columns by their paths.
pub(crate) fn header(opened: &OpenParquet) -> HeaderNames {
    HeaderNames::nested(paths_of(opened.schema().fields()))
}

/// Brings a batch into the forms that the mapping needs.
pub(crate) fn read_batch(batch: &RecordBatch, reading: &Reading) -> SourceRows {
    let mut source = type_columns(&columns_of(batch), batch.num_rows(), reading);
    source.raw = RawRows::Columns {
        names: batch.schema().fields().iter().map(|f| f.name().as_str().into()).collect(),
        columns: batch.columns().to_vec(),
    };
    source.bytes = batch.get_array_memory_size() as u64;
    source
}
