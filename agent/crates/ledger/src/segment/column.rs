//! The columns of tables, and their values out of records.

use std::borrow::Cow;

use parquet::data_type::ByteArray;

use super::entry::Entry;
use crate::family::{Families, Family};
use crate::field::{Field, Kind, Layout, Row, Taken};

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

    /// The field that it is of.
    const fn field(self) -> Option<&'static Field> {
        match self {
            Self::Seq | Self::Time | Self::Record => None,
            Self::Field(field) => Some(field),
        }
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
        let fields: Vec<&'static Field> = columns.iter().filter_map(|column| column.field()).collect();
        let layouts = Family::ALL.map(|family| Layout::of(fields.iter().copied(), family));
        let mut row = Row::default();
        for entry in entries {
            if !fields.is_empty() {
                layouts[entry.family as usize].read(&entry.line, &mut row);
            }
            let mut of_fields = row.take();
            for (column, values) in columns.iter().zip(&mut values) {
                match column {
                    Column::Seq => values.push(entry, Some(Taken::Int(entry.seq.cast_signed()))),
                    Column::Time => values.push(entry, Some(Taken::Int(entry.time))),
                    Column::Record => values.push_text(Some(ByteArray::from(entry.line.clone()))),
                    Column::Field(_) => values.push(entry, of_fields.next().flatten()),
                }
            }
        }
        values
    }

    /// A value of another kind than the column's is none.
    fn push(&mut self, entry: &Entry, value: Option<Taken<'_>>) {
        match (self, value) {
            (Self::Ints(numbers), Some(Taken::Int(number))) => numbers.push(Some(number)),
            (Self::Ints(numbers), _) => numbers.push(None),
            // What stands in the line as it is, is a part of it.
            (values, Some(Taken::Text(Cow::Borrowed(text)))) if !text.is_empty() && entry.has(text) => {
                values.push_text(Some(ByteArray::from(entry.line.slice_ref(text.as_bytes()))));
            }
            (values, Some(Taken::Text(text))) => {
                values.push_text(Some(ByteArray::from(text.into_owned().into_bytes())));
            }
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
