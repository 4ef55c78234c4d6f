//! The columns of a table: four that all have, then the fields of the family.

use std::sync::Arc;

use parquet::basic::{
    Compression, LogicalType, Repetition, TimeUnit, TimestampType, Type as Physical, ZstdLevel,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::{ColumnPath, Type};

use super::column::Column;
use crate::family::Families;
use crate::field::Kind;

/// Number of the record in the ledger.
pub(crate) const SEQ: usize = 0;
/// When it happened; of a record without a time, when it was written.
pub(crate) const TIME: usize = 1;
/// The whole record: its line as JSON.
pub(crate) const RECORD: usize = 2;

/// Rows that are read and skipped together.
pub(crate) const ROW_GROUP_ROWS: usize = 16_384;

/// Share of wrong answers of a Bloom filter.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
const ZSTD_LEVEL: i32 = 3;

/// The schema of a table; of several, with the columns of all.
pub(crate) fn schema(families: Families) -> Result<Type, ParquetError> {
    let mut columns = Vec::new();
    for each in Column::of(families) {
        let (physical, logical) = match each.kind() {
            Kind::Text | Kind::Ip => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Int => (Physical::INT64, None),
            Kind::Time => (Physical::INT64, Some(timestamp())),
        };
        let repetition = if each.is_required() { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        columns.push(column(&each.name(), physical, logical, repetition)?);
    }
    let mut one = families.iter();
    let name = match (one.next(), one.next()) {
        (Some(family), None) => family.as_str(),
        _ => "records",
    };
    Type::group_type_builder(name).with_fields(columns).build()
}

/// The schema of the file with the hashes of frames.
pub(crate) fn frames_schema() -> Result<Type, ParquetError> {
    let columns = vec![
        required("sequence", Physical::INT64, None)?,
        required("first_record", Physical::INT64, None)?,
        required("records", Physical::INT64, None)?,
        required("payload_bytes", Physical::INT64, None)?,
        required("written", Physical::INT64, Some(timestamp()))?,
        required("hash", Physical::BYTE_ARRAY, None)?,
    ];
    Type::group_type_builder("frames").with_fields(columns).build()
}

fn required(name: &str, physical: Physical, logical: Option<LogicalType>) -> Result<Arc<Type>, ParquetError> {
    column(name, physical, logical, Repetition::REQUIRED)
}

fn column(
    name: &str,
    physical: Physical,
    logical: Option<LogicalType>,
    repetition: Repetition,
) -> Result<Arc<Type>, ParquetError> {
    let builder = Type::primitive_type_builder(name, physical);
    builder.with_logical_type(logical).with_repetition(repetition).build().map(Arc::new)
}

const fn timestamp() -> LogicalType {
    LogicalType::Timestamp(TimestampType { is_adjusted_to_u_t_c: true, unit: TimeUnit::NANOS })
}

/// How a table is written; its rows are in the order of time, or as they come.
pub(crate) fn properties(families: Families, is_sorted: bool) -> Result<WriterProperties, ParquetError> {
    let column = |name: &str| ColumnPath::from(name);
    let sorting = [TIME, SEQ].map(|at| SortingColumn {
        column_idx: i32::try_from(at).expect("there are three fixed columns"),
        descending: false,
        nulls_first: false,
    });
    let mut builder = base()?
        .set_sorting_columns(is_sorted.then(|| sorting.to_vec()))
        // Every line is another.
        .set_column_dictionary_enabled(column("record"), false)
        .set_column_statistics_enabled(column("record"), EnabledStatistics::None)
        .set_column_dictionary_enabled(column("seq"), false)
        .set_column_dictionary_enabled(column("time"), false);
    for each in Column::of(families).filter(|each| matches!(each, Column::Field(field) if field.is_id)) {
        let path = column(&each.name());
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(path, ROW_GROUP_ROWS as u64);
    }
    Ok(builder.build())
}

/// How the file with the hashes of frames is written.
pub(crate) fn frames_properties() -> Result<WriterProperties, ParquetError> {
    Ok(base()?.set_dictionary_enabled(false).build())
}

fn base() -> Result<parquet::file::properties::WriterPropertiesBuilder, ParquetError> {
    Ok(WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("watchfire ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None))
}
