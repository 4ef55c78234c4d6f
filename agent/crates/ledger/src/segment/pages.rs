//! Pages of a column as the library for Parquet reads them, and no more than its group of rows has: a page says how many
//! values it has in its own header, and the library makes room for as many.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

use crate::error::LedgerError;

/// The pages of one column in a group of rows.
pub(super) struct Pages {
    inner: Box<dyn PageReader>,
    rows: usize,
}

impl Pages {
    pub(super) fn new(inner: Box<dyn PageReader>, rows: usize) -> Self {
        Self { inner, rows }
    }

    fn check(&self, page: Option<Page>) -> Result<Option<Page>> {
        match page {
            Some(page) if page.num_values() as usize > self.rows => {
                let why = format!("a page has {} values, its group {} rows", page.num_values(), self.rows);
                Err(ParquetError::General(why))
            }
            page => Ok(page),
        }
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        self.check(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.inner.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.inner.take_deferred_dictionary()?;
        self.check(page)
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

/// Reads by the library, which may panic over pages that no writer wrote.
pub(super) fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> std::result::Result<T, LedgerError>,
) -> std::result::Result<T, LedgerError> {
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let why = format!("its pages cannot be read: {}", message(&*panic));
        Err(LedgerError::malformed(path, why))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the library for Parquet gave up")
}
