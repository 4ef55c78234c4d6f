//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::app::App;
use super::table::RowId;
use super::ui::{Closer, FILTER_CHARS_MAX};
use super::views::View;

/// What the screen does after a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    Draw,
    Quit,
    /// The key means nothing here.
    Nothing,
}

impl App {
    /// Does what a key says.
    pub(crate) fn key(&mut self, key: KeyEvent) -> After {
        if key.kind == KeyEventKind::Release {
            return After::Nothing;
        }
        // In raw mode the terminal makes no signal of it.
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { After::Quit } else { After::Nothing };
        }
        if self.ui.is_typing { self.type_filter(key.code) } else { self.command(key.code) }
    }

    fn type_filter(&mut self, code: KeyCode) -> After {
        let filter = self.ui.filter();
        match code {
            KeyCode::Char(c) if filter.chars().count() < FILTER_CHARS_MAX && !c.is_control() => {
                filter.push(c);
            }
            KeyCode::Backspace => drop(filter.pop()),
            KeyCode::Enter => self.ui.is_typing = false,
            KeyCode::Esc => {
                filter.clear();
                self.ui.is_typing = false;
            }
            _ => return After::Nothing,
        }
        After::Draw
    }

    fn command(&mut self, code: KeyCode) -> After {
        if std::mem::take(&mut self.ui.is_help) {
            return if code == KeyCode::Char('q') { After::Quit } else { After::Draw };
        }
        let page = self.ui.page.max(1).cast_signed();
        match code {
            KeyCode::Char('q') => return After::Quit,
            KeyCode::Char('?') => self.ui.is_help = true,
            KeyCode::Char(digit @ '1'..='6') => self.show(View::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab => self.show(View::ALL[(self.ui.view as usize + 1) % View::ALL.len()]),
            KeyCode::Char('p' | ' ') => self.pause(),
            KeyCode::Up | KeyCode::Char('k') => self.ui.go(-1),
            KeyCode::Down | KeyCode::Char('j') => self.ui.go(1),
            KeyCode::PageUp => self.ui.go(-page),
            KeyCode::PageDown => self.ui.go(page),
            KeyCode::Home => self.ui.go(isize::MIN),
            KeyCode::End => self.ui.go(isize::MAX),
            KeyCode::Esc if self.ui.closer.is_some() => self.look_closer(None),
            KeyCode::Esc => self.ui.filter().clear(),
            // The list alone is sorted, filtered and looked into.
            _ if self.ui.closer.is_some() => return After::Nothing,
            KeyCode::Char('/') => self.ui.is_typing = true,
            KeyCode::Char('s') => {
                let columns = self.ui.view.columns();
                let sort = self.ui.sort();
                sort.column = (sort.column + 1) % columns.len();
                sort.descending = columns[sort.column].is_number;
            }
            KeyCode::Char('S') => {
                let sort = self.ui.sort();
                sort.descending = !sort.descending;
            }
            KeyCode::Enter => self.enter(),
            _ => return After::Nothing,
        }
        After::Draw
    }

    fn show(&mut self, view: View) {
        self.look_closer(None);
        self.ui.view = view;
    }

    /// Looks into a flow; of other rows, at their flows.
    fn enter(&mut self) {
        let shown = std::mem::take(&mut self.ui.shown);
        match self.ui.cursor().selected(&shown).cloned() {
            Some(RowId::Flow(key)) => self.look_closer(Some(Closer { key, scrolled: 0 })),
            Some(RowId::Named(text)) if self.ui.view != View::Loss => {
                self.show(View::Flows);
                *self.ui.filter() = text;
            }
            Some(RowId::Named(_)) | None => {}
        }
        self.ui.shown = shown;
    }

    fn look_closer(&mut self, closer: Option<Closer>) {
        // A flow that is looked at is kept, however many come.
        self.live.flows.pin(closer.as_ref().map(|closer| closer.key.clone()));
        self.ui.closer = closer;
    }
}
