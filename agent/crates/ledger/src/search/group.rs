//! What the footer of a table and its Bloom filters tell of a group of rows.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::bloom::Bloom;
use crate::family::Family;
use crate::field::Field;
use crate::filter::{GroupFacts, Range};
use crate::segment::{TIME, TableReader};

pub(super) struct Group<'a> {
    pub(super) table: &'a TableReader,
    pub(super) family: Family,
    pub(super) at: usize,
    /// Read when first asked for.
    pub(super) blooms: RefCell<HashMap<usize, Option<Bloom>>>,
}

impl<'a> Group<'a> {
    pub(super) fn new(table: &'a TableReader, family: Family, at: usize) -> Self {
        Self { table, family, at, blooms: RefCell::default() }
    }

    /// The earliest and the latest time.
    pub(super) fn times(&self) -> Option<(i64, i64)> {
        match self.table.range(self.at, TIME) {
            Range::Ints(min, max) => Some((min, max)),
            _ => None,
        }
    }

    fn column(&self, field: &Field) -> Option<usize> {
        if field.name == "time" { Some(TIME) } else { self.table.column(&field.column()) }
    }
}

impl GroupFacts for Group<'_> {
    fn range(&self, field: &'static Field) -> Range {
        if !field.families.contains(self.family) {
            return Range::Absent;
        }
        self.column(field).map_or(Range::Unknown, |column| self.table.range(self.at, column))
    }

    fn may_have(&self, field: &'static Field, text: &str) -> bool {
        let Some(column) = self.column(field) else { return true };
        let mut blooms = self.blooms.borrow_mut();
        // One that cannot be read says nothing.
        let bloom = blooms.entry(column).or_insert_with(|| self.table.bloom(self.at, column).unwrap_or(None));
        bloom.as_ref().is_none_or(|bloom| bloom.may_have(text))
    }
}
