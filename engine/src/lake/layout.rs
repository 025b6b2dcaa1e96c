//! How each table is stored: sort order, encodings, filters, statistics.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory};
use parquet::arrow::{ArrowSchemaConverter, PARQUET_FIELD_ID_META_KEY, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, ColumnPath, TypePtr};

use super::LakeError;
use super::schema::LakeTable;
use super::writer::WriterOptions;

/// Rows of a data page: small enough for the page index to skip much of a row group, large enough
/// for its headers not to count. Columns are collected in steps of as many rows: the encoder looks
/// whether a page is full only between them.
pub(super) const PAGE_ROWS: usize = 20_000;

/// The column that numbers rows: every value is new and a little more than the last.
const COUNTER: &str = "source_row";

/// The column of hashes: every value is new, and there is nothing to compress.
const HASH: &str = "line_key";

/// Texts that nobody selects ranges of: bounds would only make footers longer.
const FREE_TEXTS: [&str; 8] = [
    "allocated_method_details",
    "allocated_tags",
    "charge_description",
    "commitment_program_eligibility_details",
    "description",
    "sku_price_details",
    "tags",
    "x_columns",
];

/// Families of columns, one for each position of a path, of which the same is true.
const FREE_FAMILIES: [&str; 2] = ["fx_rate_", "rule_"];

/// Columns that queries look up single values in.
const LOOKED_UP: [&str; 2] = ["resource_id", "sub_account_id"];

/// Whether row groups have a bloom filter of the column.
pub(super) fn is_looked_up(column: &str) -> bool {
    LOOKED_UP.contains(&column)
}

/// Row groups below this many rows are compressed with Snappy: setting up a Zstandard context, to write and again to read,
/// takes longer than encoding a small chunk, and most owners of a month are small.
const ZSTD_ROWS_MIN: usize = 4096;

/// How often a lookup may read a row group in vain.
const LOOKUP_FALSE_POSITIVES: f64 = 0.01;

/// The columns that rows of a row group are sorted by; the first is a text column.
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

/// The columns whose bounds the catalog keeps for each file, at most twelve.
pub(super) fn stats_columns(table: LakeTable) -> &'static [&'static str] {
    match table {
        LakeTable::Usage => &[
            "billing_account_id",
            "billing_period",
            "charge_category",
            "charge_period_start",
            "provider_name",
            "region_id",
            "resource_id",
            "service_name",
            "sub_account_id",
        ],
        LakeTable::Charges => &[
            "billing_account_id",
            "billing_period",
            "charge_category",
            "charge_date",
            "charge_period_start",
            "fate",
            "node_id",
            "node_path",
            "origin",
            "provider_name",
            "service_name",
            "sub_account_id",
        ],
        LakeTable::ChargesDaily => &[
            "billing_account_id",
            "billing_period",
            "charge_category",
            "charge_date",
            "fate",
            "node_id",
            "node_path",
            "origin",
            "provider_name",
            "rule_tags",
            "service_name",
            "sub_account_id",
        ],
        LakeTable::ChargesMonthly => &[
            "billing_account_id",
            "billing_period",
            "charge_category",
            "fate",
            "node_id",
            "node_path",
            "origin",
            "provider_name",
            "service_name",
        ],
        LakeTable::EdgesMonthly => &[
            "billing_account_id",
            "billing_period",
            "charge_category",
            "origin",
            "payer_node_id",
            "provider_name",
            "seller_node_id",
            "service_name",
        ],
        LakeTable::ChargesByTerms => &["billing_account_id", "billing_period", "node_path", "origin", "provider_name"],
    }
}

/// A table's stored form, made once for all files of a writer.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) table: LakeTable,
    /// The table's columns with their Parquet field ids.
    pub(super) schema: SchemaRef,
    /// The Parquet schema.
    pub(super) root: TypePtr,
    /// Encodings, compression, statistics, filters, and what every footer says.
    pub(super) properties: WriterPropertiesPtr,
    /// The columns, in their order.
    pub(super) columns: Vec<ColumnLayout>,
    /// Positions of the columns that rows of a row group are sorted by.
    pub(super) sort: [usize; 2],
    /// Zstandard level, 1 to 22.
    pub(super) level: i32,
}

impl Layout {
    pub(super) fn new(table: LakeTable, options: &WriterOptions) -> Result<Self, ParquetError> {
        let schema = with_field_ids(&table.schema());
        let zstd = Compression::ZSTD(ZstdLevel::try_new(options.compression_level)?);
        let mut properties = properties(&schema, options, zstd, options.row_group_rows);
        let small = Arc::new(self::properties(&schema, options, Compression::SNAPPY, ZSTD_ROWS_MIN));
        // Readers that know Arrow get back views and the time zone.
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let root = ArrowSchemaConverter::new().convert(&schema)?.root_schema_ptr();
        let [first, second] = sort_columns(table);
        let sort = [schema.index_of(first)?, schema.index_of(second)?];
        let properties = Arc::new(properties);
        let columns = schema
            .fields()
            .iter()
            .map(|field| ColumnLayout::new(field, &small, &properties))
            .collect::<Result<_, _>>()?;
        Ok(Self { table, schema, root, properties, columns, sort, level: options.compression_level })
    }
}

impl Layout {
    /// Refuses a batch whose columns are not the table's, or that has nulls where there must be
    /// none.
    pub(super) fn check(&self, batch: &RecordBatch) -> Result<(), LakeError> {
        let table = self.table.name();
        let (stored, given) = (self.schema.fields(), batch.schema());
        for position in 0..stored.len().max(given.fields().len()) {
            let (expected, found) = (stored.get(position), given.fields().get(position));
            match (expected, found) {
                (Some(expected), Some(found))
                    if expected.name() == found.name() && expected.data_type() == found.data_type() =>
                {
                    if !expected.is_nullable() && batch.column(position).null_count() > 0 {
                        return Err(LakeError::Null { table, column: expected.name().clone() });
                    }
                }
                _ => {
                    let text = |field: Option<&Arc<Field>>| {
                        field.map_or("no column".to_owned(), |f| format!("{} {}", f.name(), f.data_type()))
                    };
                    let (expected, found) = (text(expected), text(found));
                    return Err(LakeError::Columns { table, position: position + 1, expected, found });
                }
            }
        }
        Ok(())
    }
}

/// How one column is encoded.
#[derive(Debug)]
pub(super) struct ColumnLayout {
    /// Name, type and whether it has nulls, as Parquet sees it.
    pub(super) description: ColumnDescPtr,
    /// Whether its bounds are written.
    pub(super) has_statistics: bool,
    /// Whether row groups have a bloom filter of it.
    pub(super) has_filter: bool,
    /// Makes encoders for small row groups and for others. Each is made for a file of this column
    /// only: one made for all columns sets up the encoders of all.
    encoders: [ArrowRowGroupWriterFactory; 2],
}

impl ColumnLayout {
    fn new(field: &Arc<Field>, small: &WriterPropertiesPtr, large: &WriterPropertiesPtr) -> Result<Self, ParquetError> {
        let alone = Arc::new(Schema::new(vec![Arc::clone(field)]));
        let root = ArrowSchemaConverter::new().convert(&alone)?.root_schema_ptr();
        let file = |properties: &WriterPropertiesPtr| {
            SerializedFileWriter::new(std::io::sink(), Arc::clone(&root), Arc::clone(properties))
        };
        let (small, file) = (file(small)?, file(large)?);
        let description = file.schema_descr().column(0);
        let has_statistics = large.statistics_enabled(description.path()) != EnabledStatistics::None;
        let encoders = [&small, &file].map(|file| ArrowRowGroupWriterFactory::new(file, Arc::clone(&alone)));
        Ok(Self { description, has_statistics, has_filter: is_looked_up(field.name()), encoders })
    }

    /// An encoder for one column chunk of so many rows.
    pub(super) fn encoder(&self, rows: usize) -> Result<ArrowColumnWriter, ParquetError> {
        let mut encoders = self.encoders[usize::from(rows >= ZSTD_ROWS_MIN)].create_column_writers(0)?;
        encoders.pop().ok_or_else(|| ParquetError::General("a column without an encoder".to_owned()))
    }
}

/// Numbers the columns from 1. DuckLake readers map columns by these numbers, so a column keeps
/// its number for ever: new columns are added at the end.
fn with_field_ids(schema: &Schema) -> SchemaRef {
    let number = |(position, field): (usize, &Arc<Field>)| {
        let id = (PARQUET_FIELD_ID_META_KEY.to_owned(), (position + 1).to_string());
        field.as_ref().clone().with_metadata([id].into())
    };
    Arc::new(Schema::new(schema.fields().iter().enumerate().map(number).collect::<Vec<_>>()))
}

/// Whether bounds of a column can help a query. Amounts lie too wildly for bounds to exclude
/// anything, and comparing them costs as much as encoding them.
fn is_selected_by(field: &Field) -> bool {
    let name = field.name().as_str();
    let is_amount = matches!(field.data_type(), DataType::Decimal128(..));
    !is_amount && !FREE_TEXTS.contains(&name) && !FREE_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// How row groups of at most `rows_max` rows are written.
fn properties(schema: &Schema, options: &WriterOptions, compression: Compression, rows_max: usize) -> WriterProperties {
    let rows_max = rows_max.max(1);
    let notes = options.notes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let mut properties = WriterProperties::builder()
        // Version 2 has dictionaries for decimals, which prices need: they repeat.
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(concat!("ratehouse ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
        .set_key_value_metadata(Some(notes.collect()).filter(|notes: &Vec<_>| !notes.is_empty()));
    for field in schema.fields() {
        let column = || ColumnPath::from(field.name().as_str());
        // What is written once a dictionary has grown too large.
        let plain = match field.data_type() {
            DataType::Utf8View => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
            DataType::Decimal128(..) => Some(Encoding::PLAIN),
            _ => None,
        };
        if let Some(encoding) = plain {
            properties = properties.set_column_encoding(column(), encoding);
        }
        if field.name() == COUNTER {
            properties = properties
                .set_column_dictionary_enabled(column(), false)
                .set_column_encoding(column(), Encoding::DELTA_BINARY_PACKED);
        }
        if field.name() == HASH {
            properties = properties
                .set_column_dictionary_enabled(column(), false)
                .set_column_encoding(column(), Encoding::PLAIN)
                .set_column_compression(column(), Compression::UNCOMPRESSED);
        }
        if !is_selected_by(field) {
            properties = properties.set_column_statistics_enabled(column(), EnabledStatistics::None);
        }
        if is_looked_up(field.name()) {
            properties = properties
                .set_column_bloom_filter_enabled(column(), true)
                .set_column_bloom_filter_fpp(column(), LOOKUP_FALSE_POSITIVES)
                // Filters are folded down to the values that a row group has.
                .set_column_bloom_filter_max_ndv(column(), rows_max as u64);
        }
    }
    properties.build()
}
