//! From the ledger's columns to arrays of the engine.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringViewBuilder, TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use watchfire_ledger::{Column, ColumnValues, Kind};

/// Zone of all times.
pub(crate) const UTC: &str = "+00:00";

/// The type of a column.
pub(crate) fn data_type(column: Column) -> DataType {
    match column.kind() {
        Kind::Text | Kind::Ip => DataType::Utf8View,
        Kind::Int => DataType::Int64,
        Kind::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
    }
}

pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    let fields =
        columns.iter().map(|column| Field::new(column.name(), data_type(*column), !column.is_required()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The arrays of columns. A text that is none, as only damage leaves it, is an error, except in whole records, which are
/// kept as they came.
pub(crate) fn arrays(columns: &[Column], values: Vec<ColumnValues>) -> Result<Vec<ArrayRef>, ArrowError> {
    columns.iter().zip(values).map(|(column, values)| array(*column, values)).collect()
}

fn array(column: Column, values: ColumnValues) -> Result<ArrayRef, ArrowError> {
    let not_utf8 = || ArrowError::ParseError(format!("column {} has what is no UTF-8", column.name()));
    let array: ArrayRef = match (values, column.kind()) {
        (ColumnValues::Texts(texts), Kind::Text | Kind::Ip) => {
            let mut builder = StringViewBuilder::with_capacity(texts.len());
            for text in texts {
                match (&text, column) {
                    (None, _) => builder.append_null(),
                    (Some(text), Column::Record) => {
                        builder.append_value(String::from_utf8_lossy(text.data()));
                    }
                    (Some(text), _) => {
                        builder.append_value(str::from_utf8(text.data()).map_err(|_| not_utf8())?);
                    }
                }
            }
            Arc::new(builder.finish())
        }
        (ColumnValues::Ints(numbers), Kind::Int) => Arc::new(Int64Array::from(numbers)),
        (ColumnValues::Ints(numbers), Kind::Time) => {
            Arc::new(TimestampNanosecondArray::from(numbers).with_timezone(UTC))
        }
        _ => {
            let name = column.name();
            return Err(ArrowError::ParseError(format!("column {name} has values of another type")));
        }
    };
    Ok(array)
}

/// Puts arrays together; so many rows, also where there is no column.
pub(crate) fn batch(
    schema: &SchemaRef,
    arrays: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
}
