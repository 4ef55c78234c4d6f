//! Records of one table of a segment, in the order of time, which is that of its rows.

use std::path::Path;
use std::vec;

use serde_json::Value;
use watchfire_model::WallTime;

use super::explain::{Explanation, Skipped};
use super::group::Group;
use super::stop::StopSign;
use super::{Found, SearchQuery};
use crate::error::LedgerError;
use crate::family::Family;
use crate::field::Field;
use crate::filter::CellRef;
use crate::segment::{ColumnValues, Lines, SEQ, TIME, TableReader, TableSum};

#[derive(Debug)]
pub(super) struct TableCursor {
    table: TableReader,
    segment: u64,
    family: Family,
    /// Fields of the filter and their columns; those that the family lacks are absent in every row.
    columns: Vec<(&'static Field, usize)>,
    /// The segment was written before there was a column of one of them: then the record itself is asked.
    lacks_columns: bool,
    next_group: usize,
    rows: vec::IntoIter<Row>,
    lines: Option<Lines>,
}

/// A row that is wanted, or may be.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: usize,
    time: i64,
    seq: u64,
}

impl TableCursor {
    pub(super) fn open(
        path: &Path,
        sum: &TableSum,
        segment: u64,
        family: Family,
        query: &SearchQuery,
    ) -> Result<Self, LedgerError> {
        let table = TableReader::open(path, sum)?;
        let mut columns = Vec::new();
        let mut lacks_columns = false;
        for field in query.filter.fields() {
            if field.name == "time" || !field.families.contains(family) {
                continue;
            }
            match table.column(&field.column()) {
                Some(column) => columns.push((field, column)),
                None => lacks_columns = true,
            }
        }
        let rows = Vec::new().into_iter();
        Ok(Self { table, segment, family, columns, lacks_columns, next_group: 0, rows, lines: None })
    }

    pub(super) fn next(
        &mut self,
        query: &SearchQuery,
        explanation: &mut Explanation,
        stop: &StopSign,
    ) -> Result<Option<Found>, LedgerError> {
        loop {
            while let (Some(row), Some(lines)) = (self.rows.next(), &mut self.lines) {
                let line = lines.get(row.at)?;
                if self.lacks_columns && !matches(&line, self.family, row.time, query) {
                    continue;
                }
                return Ok(Some(Found { time: WallTime(row.time), seq: row.seq, line }));
            }
            if self.next_group == self.table.groups() {
                return Ok(None);
            }
            stop.check()?;
            let group = self.next_group;
            self.next_group += 1;
            if let Some(why) = self.why_skipped(group, query) {
                explanation.skip(Skipped {
                    segment: self.segment,
                    family: self.family,
                    group: Some(group),
                    why,
                });
                continue;
            }
            explanation.groups_read += 1;
            explanation.rows_read += self.table.rows(group) as u64;
            let rows = self.wanted(group, query)?;
            self.lines = if rows.is_empty() { None } else { Some(self.table.lines(group)?) };
            self.rows = rows.into_iter();
        }
    }

    fn why_skipped(&self, group: usize, query: &SearchQuery) -> Option<&'static str> {
        let group = Group::new(&self.table, self.family, group);
        if let Some((earliest, latest)) = group.times() {
            if query.since.is_some_and(|since| latest < since.0) {
                return Some("all of it is older");
            }
            if query.until.is_some_and(|until| earliest > until.0) {
                return Some("all of it is newer");
            }
        }
        (!query.filter.may_match(&group)).then_some("its statistics and Bloom filters rule out the filter")
    }

    fn wanted(&self, group: usize, query: &SearchQuery) -> Result<Vec<Row>, LedgerError> {
        let times = self.table.numbers(group, TIME)?;
        let mut columns = Vec::with_capacity(self.columns.len());
        for (field, column) in &self.columns {
            columns.push((field.name, self.table.values(group, *column)?));
        }
        let mut rows = Vec::new();
        for (at, time) in times.into_iter().enumerate() {
            let is_wanted = query.covers(time)
                && (self.lacks_columns
                    || query.filter.is_met(&|field, test| {
                        if field.name == "time" {
                            return test(CellRef::Int(time));
                        }
                        columns.iter().any(|(name, values)| *name == field.name && values.test(at, test))
                    }));
            if is_wanted {
                rows.push(Row { at, time, seq: 0 });
            }
        }
        if !rows.is_empty() {
            let numbers = self.table.numbers(group, SEQ)?;
            for row in &mut rows {
                row.seq = numbers.get(row.at).copied().unwrap_or_default().cast_unsigned();
            }
            rows.retain(|row| query.numbers.has(row.seq));
        }
        Ok(rows)
    }
}

impl ColumnValues {
    fn test(&self, row: usize, test: &dyn Fn(CellRef<'_>) -> bool) -> bool {
        match self {
            Self::Texts(texts) => {
                let text = texts.get(row).and_then(|text| str::from_utf8(text.as_ref()?.data()).ok());
                text.is_some_and(|text| test(CellRef::Text(text)))
            }
            Self::Ints(numbers) => {
                numbers.get(row).copied().flatten().is_some_and(|number| test(CellRef::Int(number)))
            }
        }
    }
}

fn matches(line: &[u8], family: Family, time: i64, query: &SearchQuery) -> bool {
    let record: Value = serde_json::from_slice(line).unwrap_or(Value::Null);
    query.filter.matches_in(family, &record, Some(time))
}
