//! Answers as Parquet.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat_batches};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimeUnit};
use datafusion::arrow::datatypes::{Field, TimestampNanosecondType};
use datafusion::arrow::error::ArrowError;
use parquet::basic::{Compression, LogicalType, Repetition, TimestampType, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type as ParquetInt64};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use crate::arrays::UTC;

/// Writes batches as groups of rows. Whole numbers are INT64, other numbers DOUBLE, times nanoseconds of UTC; what is none
/// of these is a text.
pub struct ParquetWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    schema: SchemaRef,
    waiting: Vec<RecordBatch>,
}

/// Rows of a group, and what one batch more brings.
const GROUP_ROWS_MIN: usize = 16_384;

/// What a column is written as.
#[derive(Clone, Copy)]
enum Form {
    Bool,
    Int,
    Double,
    Time,
    Text,
}

impl Form {
    const fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64 => Self::Int,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Double,
            DataType::Timestamp(..) => Self::Time,
            _ => Self::Text,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
            Self::Text => DataType::Utf8,
        }
    }

    fn column(self, field: &Field) -> Result<Arc<Type>, ParquetError> {
        let timestamp = TimestampType { is_adjusted_to_u_t_c: true, unit: parquet::basic::TimeUnit::NANOS };
        let (physical, logical) = match self {
            Self::Bool => (Physical::BOOLEAN, None),
            Self::Int => (Physical::INT64, None),
            Self::Double => (Physical::DOUBLE, None),
            Self::Time => (Physical::INT64, Some(LogicalType::Timestamp(timestamp))),
            Self::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let builder = Type::primitive_type_builder(field.name(), physical);
        builder.with_logical_type(logical).with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
    }
}

impl<W: Write + Send> ParquetWriter<W> {
    /// Begins a file for rows of this schema.
    pub fn begin(out: W, schema: &SchemaRef) -> Result<Self, ParquetError> {
        let columns: Result<Vec<_>, _> =
            schema.fields().iter().map(|field| Form::of(field.data_type()).column(field)).collect();
        let answer = Type::group_type_builder("answer").with_fields(columns?).build()?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("watchfire ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = SerializedFileWriter::new(out, Arc::new(answer), Arc::new(properties))?;
        Ok(Self { writer, schema: Arc::clone(schema), waiting: Vec::new() })
    }

    /// Adds rows.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.waiting.push(batch.clone());
        let rows: usize = self.waiting.iter().map(RecordBatch::num_rows).sum();
        if rows < GROUP_ROWS_MIN { Ok(()) } else { self.write_waiting() }
    }

    fn write_waiting(&mut self) -> Result<(), ParquetError> {
        let batch = concat_batches(&self.schema, &std::mem::take(&mut self.waiting)).map_err(unwritable)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for array in batch.columns() {
            let form = Form::of(array.data_type());
            // A number that is too great for its column is an error, not absent.
            let exact = CastOptions { safe: false, ..CastOptions::default() };
            let array = cast_with_options(array, &form.data_type(), &exact).map_err(unwritable)?;
            let mut column = group
                .next_column()?
                .ok_or_else(|| ParquetError::General("the schema has fewer columns".to_owned()))?;
            write(&mut column, form, &array)?;
            column.close()?;
        }
        group.close().map(drop)
    }

    /// Writes what stands behind all rows.
    pub fn end(mut self) -> Result<(), ParquetError> {
        self.write_waiting()?;
        self.writer.close().map(drop)
    }
}

fn unwritable(error: ArrowError) -> ParquetError {
    ParquetError::General(format!("a column cannot be written: {error}"))
}

fn write(column: &mut SerializedColumnWriter<'_>, form: Form, array: &ArrayRef) -> Result<(), ParquetError> {
    let levels: Vec<i16> = (0..array.len()).map(|row| array.is_valid(row).into()).collect();
    let levels = Some(levels.as_slice());
    match form {
        Form::Bool => {
            let values: Vec<bool> = array.as_boolean().iter().flatten().collect();
            column.typed::<BoolType>().write_batch(&values, levels, None)?;
        }
        Form::Int => {
            let values: Vec<i64> = array.as_primitive::<Int64Type>().iter().flatten().collect();
            column.typed::<ParquetInt64>().write_batch(&values, levels, None)?;
        }
        Form::Time => {
            let values: Vec<i64> = array.as_primitive::<TimestampNanosecondType>().iter().flatten().collect();
            column.typed::<ParquetInt64>().write_batch(&values, levels, None)?;
        }
        Form::Double => {
            let values: Vec<f64> = array.as_primitive::<Float64Type>().iter().flatten().collect();
            column.typed::<DoubleType>().write_batch(&values, levels, None)?;
        }
        Form::Text => {
            let texts = array.as_string::<i32>().iter().flatten();
            let values: Vec<ByteArray> = texts.map(ByteArray::from).collect();
            column.typed::<ByteArrayType>().write_batch(&values, levels, None)?;
        }
    }
    Ok(())
}

impl<W: Write + Send> std::fmt::Debug for ParquetWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter").finish_non_exhaustive()
    }
}
