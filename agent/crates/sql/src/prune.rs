//! What is known of rows without reading them, as the engine asks for it.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int64Array, StringViewArray, TimestampNanosecondArray, UInt64Array,
};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column as EngineColumn, ScalarValue};
use watchfire_ledger::{Column, Kind, Piece, Range, SealedTable};

use crate::arrays::UTC;

/// The times of pieces.
pub(crate) struct Pieces<'a>(pub(crate) &'a [Piece]);

impl Pieces<'_> {
    fn times(&self, column: &EngineColumn, of: fn(&Piece) -> Option<i64>) -> Option<ArrayRef> {
        (column.name == "time").then(|| {
            let times: TimestampNanosecondArray = self.0.iter().map(of).collect();
            Arc::new(times.with_timezone(UTC)) as ArrayRef
        })
    }
}

impl PruningStatistics for Pieces<'_> {
    fn min_values(&self, column: &EngineColumn) -> Option<ArrayRef> {
        self.times(column, |piece| piece.times().map(|(earliest, _)| earliest.0))
    }

    fn max_values(&self, column: &EngineColumn) -> Option<ArrayRef> {
        self.times(column, |piece| piece.times().map(|(_, latest)| latest.0))
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, _: &EngineColumn) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _: &EngineColumn, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// The groups of rows of a table of a segment.
pub(crate) struct Groups<'a> {
    pub(crate) table: &'a SealedTable,
    pub(crate) columns: &'a [Column],
}

impl Groups<'_> {
    fn column(&self, column: &EngineColumn) -> Option<Column> {
        self.columns.iter().copied().find(|each| each.name() == column.name)
    }

    fn ranges(&self, column: Column) -> impl Iterator<Item = Range> {
        (0..self.table.groups()).map(move |group| self.table.range(group, column))
    }

    fn bounds(
        &self,
        column: &EngineColumn,
        int: fn(i64, i64) -> i64,
        text: fn(Vec<u8>, Vec<u8>) -> Vec<u8>,
    ) -> Option<ArrayRef> {
        let column = self.column(column)?;
        let ints = || {
            self.ranges(column).map(|range| match range {
                Range::Ints(min, max) => Some(int(min, max)),
                _ => None,
            })
        };
        Some(match column.kind() {
            Kind::Int => Arc::new(ints().collect::<Int64Array>()),
            Kind::Time => Arc::new(ints().collect::<TimestampNanosecondArray>().with_timezone(UTC)),
            Kind::Text | Kind::Ip => {
                let texts = self.ranges(column).map(|range| match range {
                    Range::Texts(min, max) => String::from_utf8(text(min, max)).ok(),
                    _ => None,
                });
                Arc::new(texts.collect::<StringViewArray>())
            }
        })
    }
}

impl PruningStatistics for Groups<'_> {
    fn min_values(&self, column: &EngineColumn) -> Option<ArrayRef> {
        self.bounds(column, |min, _| min, |min, _| min)
    }

    fn max_values(&self, column: &EngineColumn) -> Option<ArrayRef> {
        self.bounds(column, |_, max| max, |_, max| max)
    }

    fn num_containers(&self) -> usize {
        self.table.groups()
    }

    fn null_counts(&self, column: &EngineColumn) -> Option<ArrayRef> {
        let column = self.column(column)?;
        let counts = self.ranges(column).enumerate().map(|(group, range)| match range {
            Range::Absent => Some(self.table.rows(group) as u64),
            _ if column.is_required() => Some(0),
            _ => None,
        });
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = (0..self.table.groups()).map(|group| Some(self.table.rows(group) as u64));
        Some(Arc::new(rows.collect::<UInt64Array>()))
    }

    fn contained(&self, column: &EngineColumn, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let column = self.column(column)?;
        if !matches!(column, Column::Field(field) if field.is_id) {
            return None;
        }
        let texts: Option<Vec<&str>> = values.iter().map(|value| value.try_as_str().flatten()).collect();
        let texts = texts?;
        let may = (0..self.table.groups())
            .map(|group| if self.table.may_have(group, column, &texts) { None } else { Some(false) });
        Some(may.collect())
    }
}
