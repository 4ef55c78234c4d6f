//! What is looked at, and how: the part of the screen's state that keys change.

use super::state::FlowKey;
use super::table::{RowId, Sort};
use super::views::View;

/// Longest text to filter by, characters.
pub(crate) const FILTER_CHARS_MAX: usize = 64;

/// Which row is selected, and which is the first on the screen.
#[derive(Clone, Default, Debug)]
pub(crate) struct Cursor {
    /// The row stays selected wherever it moves; none: the first, whichever that is.
    id: Option<RowId>,
    at: usize,
    top: usize,
}

impl Cursor {
    /// Finds the selected row among those that are shown now, and what part of them to show. Answers with the first
    /// row of that part and with the selected row.
    pub(crate) fn settle(&mut self, shown: &[RowId], height: usize) -> (usize, usize) {
        let last = shown.len().saturating_sub(1);
        self.at = match &self.id {
            None => 0,
            Some(id) => shown.iter().position(|other| other == id).unwrap_or(self.at.min(last)),
        };
        let height = height.max(1);
        let lowest = self.at.saturating_sub(height - 1);
        self.top = self.top.clamp(lowest, self.at).min(shown.len().saturating_sub(height));
        (self.top, self.at)
    }

    /// Moves so many rows down, or up.
    pub(crate) fn go(&mut self, shown: &[RowId], rows: isize) {
        self.at = self.at.saturating_add_signed(rows).min(shown.len().saturating_sub(1));
        // At the top it stays at the top, so that what comes first can be watched.
        self.id = if self.at == 0 { None } else { shown.get(self.at).cloned() };
    }

    pub(crate) fn selected<'a>(&self, shown: &'a [RowId]) -> Option<&'a RowId> {
        shown.get(self.at)
    }
}

/// One flow that is looked at closely.
#[derive(Clone, Debug)]
pub(crate) struct Closer {
    pub(crate) key: FlowKey,
    /// Lines that are scrolled past.
    pub(crate) scrolled: u16,
}

/// What is looked at, and how.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    pub(crate) view: View,
    pub(crate) sorts: [Sort; View::ALL.len()],
    pub(crate) cursors: [Cursor; View::ALL.len()],
    /// Each view has its own, so that one that finds flows does not hide losses.
    pub(crate) filters: [String; View::ALL.len()],
    /// Whether keys go into the filter.
    pub(crate) is_typing: bool,
    pub(crate) closer: Option<Closer>,
    pub(crate) is_help: bool,
    /// The rows of the last drawing: what keys act on is what was seen.
    pub(crate) shown: Vec<RowId>,
    /// How many rows had room in the last drawing.
    pub(crate) page: usize,
}

impl Ui {
    pub(crate) fn new() -> Self {
        Self {
            view: View::Flows,
            sorts: View::ALL.map(View::first_sort),
            cursors: View::ALL.map(|_| Cursor::default()),
            filters: View::ALL.map(|_| String::new()),
            is_typing: false,
            closer: None,
            is_help: false,
            shown: Vec::new(),
            page: 1,
        }
    }

    pub(crate) fn sort(&mut self) -> &mut Sort {
        &mut self.sorts[self.view as usize]
    }

    pub(crate) fn cursor(&mut self) -> &mut Cursor {
        &mut self.cursors[self.view as usize]
    }

    pub(crate) fn filter(&mut self) -> &mut String {
        &mut self.filters[self.view as usize]
    }

    /// Moves in the list, or in the text of what is looked at closely.
    pub(crate) fn go(&mut self, rows: isize) {
        if let Some(closer) = &mut self.closer {
            let rows = rows.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            closer.scrolled = closer.scrolled.saturating_add_signed(rows);
            return;
        }
        let shown = std::mem::take(&mut self.shown);
        self.cursor().go(&shown, rows);
        self.shown = shown;
    }
}
