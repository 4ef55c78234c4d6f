//! The columns of tables, and their values out of records.

use std::borrow::Cow;

use parquet::data_type::ByteArray;
use serde_json::Value;

use super::entry::Entry;
use crate::family::Families;
use crate::field::{Cell, Field, Kind, cell};

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Number of the record in the ledger.
    Seq,
    /// When it happened; of a record without a time, when it was written.
    Time,
    /// The whole record: its line as JSON.
    Record,
    /// A field.
    Field(&'static Field),
}

impl Column {
    /// The columns of a table; of several, those that any of them has.
    pub fn of(families: Families) -> impl Iterator<Item = Self> {
        let has = move |field: &&Field| families.iter().any(|family| field.families.contains(family));
        let fields = crate::field::FIELDS.iter().filter(|field| field.name != "time").filter(has);
        [Self::Seq, Self::Time, Self::Record].into_iter().chain(fields.map(Self::Field))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Seq => "seq".into(),
            Self::Time => "time".into(),
            Self::Record => "record".into(),
            Self::Field(field) => field.column().into(),
        }
    }

    /// What its values are.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Seq => Kind::Int,
            Self::Time => Kind::Time,
            Self::Record => Kind::Text,
            Self::Field(field) => field.kind,
        }
    }

    /// Whether every record has a value.
    #[must_use]
    pub const fn is_required(self) -> bool {
        !matches!(self, Self::Field(_))
    }

    /// What it tells.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Seq => "number of the record in the ledger",
            Self::Time => "when it happened",
            Self::Record => "the whole record, as JSON",
            Self::Field(field) => field.help,
        }
    }
}

/// The values of one column in some rows; none where a record lacks it.
#[derive(Clone, Debug)]
pub enum ColumnValues {
    /// Texts and addresses.
    Texts(Vec<Option<ByteArray>>),
    /// Numbers, and times in nanoseconds since 1970.
    Ints(Vec<Option<i64>>),
}

impl ColumnValues {
    fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Text | Kind::Ip => Self::Texts(Vec::with_capacity(rows)),
            Kind::Int | Kind::Time => Self::Ints(Vec::with_capacity(rows)),
        }
    }

    /// The values that entries have.
    pub(crate) fn of(columns: &[Column], entries: &[Entry]) -> Vec<Self> {
        let mut values: Vec<Self> =
            columns.iter().map(|column| Self::new(column.kind(), entries.len())).collect();
        let has_fields = columns.iter().any(|column| matches!(column, Column::Field(_)));
        for entry in entries {
            let record: Value = if has_fields {
                serde_json::from_slice(&entry.line).unwrap_or(Value::Null)
            } else {
                Value::Null
            };
            for (column, values) in columns.iter().zip(&mut values) {
                match column {
                    Column::Seq => values.push(Some(Cell::Int(entry.seq.cast_signed()))),
                    Column::Time => values.push(Some(Cell::Int(entry.time))),
                    Column::Record => values.push_text(Some(ByteArray::from(entry.line.clone()))),
                    Column::Field(field) => {
                        let is_there = field.families.contains(entry.family);
                        values.push(if is_there { cell(field, &record) } else { None });
                    }
                }
            }
        }
        values
    }

    /// A value of another kind than the column's is none.
    fn push(&mut self, value: Option<Cell>) {
        match (self, value) {
            (Self::Ints(numbers), Some(Cell::Int(number))) => numbers.push(Some(number)),
            (Self::Ints(numbers), _) => numbers.push(None),
            (values, Some(Cell::Text(text))) => values.push_text(Some(ByteArray::from(text.into_bytes()))),
            (values, _) => values.push_text(None),
        }
    }

    fn push_text(&mut self, text: Option<ByteArray>) {
        match self {
            Self::Texts(texts) => texts.push(text),
            Self::Ints(numbers) => numbers.push(None),
        }
    }

    /// How many rows there are.
    #[must_use]
    pub const fn rows(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Ints(numbers) => numbers.len(),
        }
    }
}
