//! Rows with columns: sorted, filtered, and drawn as wide as the terminal is.

use std::cmp::Ordering;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use super::format::printable;
use super::state::FlowKey;
use super::theme::{Theme, Tone};

/// Cells between two columns.
const GAP: u16 = 1;

/// A column of a view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// Narrowest that it is of use, cells.
    pub(crate) width: u16,
    /// Numbers stand to the right, and are sorted from the greatest.
    pub(crate) is_number: bool,
    /// Takes of what room is left.
    pub(crate) grows: bool,
    /// Of a text that is too long its end is shown, as of paths.
    pub(crate) keeps_end: bool,
    /// Where not all have room, those with the highest rank are left out.
    pub(crate) rank: u8,
}

impl Column {
    pub(crate) const fn text(name: &'static str, width: u16, rank: u8) -> Self {
        Self { name, width, is_number: false, grows: false, keeps_end: false, rank }
    }

    pub(crate) const fn wide(name: &'static str, width: u16, rank: u8) -> Self {
        Self { name, width, is_number: false, grows: true, keeps_end: false, rank }
    }

    pub(crate) const fn path(name: &'static str, width: u16, rank: u8) -> Self {
        Self { name, width, is_number: false, grows: true, keeps_end: true, rank }
    }

    pub(crate) const fn number(name: &'static str, width: u16, rank: u8) -> Self {
        Self { name, width, is_number: true, grows: false, keeps_end: false, rank }
    }
}

/// What stands in one column of a row.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// What the column is sorted by, where that is not the text.
    number: Option<f64>,
    tone: Tone,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), number: None, tone: Tone::Plain }
    }

    pub(crate) fn number(text: impl Into<String>, number: f64) -> Self {
        Self { text: text.into(), number: Some(number), tone: Tone::Plain }
    }

    /// A count; nothing stands for 0.
    pub(crate) fn count(count: u64) -> Self {
        let text = if count == 0 { String::new() } else { count.to_string() };
        Self::number(text, count as f64)
    }

    pub(crate) fn bytes(bytes: u64) -> Self {
        Self::number(super::format::bytes(bytes), bytes as f64)
    }

    /// How long ago; the oldest first when sorted from the greatest.
    pub(crate) fn age(from_ns: i64, now_ns: i64) -> Self {
        Self::number(super::format::age(from_ns, now_ns), now_ns.saturating_sub(from_ns) as f64)
    }

    pub(crate) const fn toned(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// What a row stays known by when others come and go.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum RowId {
    Flow(FlowKey),
    /// The text that finds the flows of the row.
    Named(String),
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: RowId,
    pub(crate) cells: Vec<Cell>,
    /// What a filter finds beside the cells.
    pub(crate) hidden: String,
    /// Is past: drawn so.
    pub(crate) is_dim: bool,
    /// Among rows of which the column says the same the greatest stands first.
    pub(crate) tie: (bool, i64),
}

/// By which column, and which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sort {
    pub(crate) column: usize,
    pub(crate) descending: bool,
}

/// Leaves the rows that have the text in any column, in order.
pub(crate) fn arrange(rows: &mut Vec<Row>, filter: &str, sort: Sort) {
    let needle = filter.to_lowercase();
    if !needle.is_empty() {
        let has = |text: &str| text.to_lowercase().contains(&needle);
        rows.retain(|row| has(&row.hidden) || row.cells.iter().any(|cell| has(&cell.text)));
    }
    rows.sort_by(|a, b| {
        let (left, right) = (&a.cells[sort.column], &b.cells[sort.column]);
        let order = match (left.number, right.number) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            (None, None) => left.text.cmp(&right.text),
            // What has no number is less than any.
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
        };
        let order = if sort.descending { order.reverse() } else { order };
        order.then(b.tie.cmp(&a.tie)).then_with(|| a.id.cmp(&b.id))
    });
}

/// Draws names of columns and rows from `top` on; `selected` counts among all rows.
pub(crate) fn draw(
    (columns, rows): (&[Column], &[Row]),
    (top, selected): (usize, usize),
    sort: Sort,
    theme: Theme,
    (area, buffer): (Rect, &mut Buffer),
) {
    let widths = widths(columns, rows, area.width);
    let places = places(&widths, area);
    for (i, (column, place)) in columns.iter().zip(&places).enumerate() {
        let Some((x, width)) = *place else { continue };
        let arrow = match (i == sort.column, sort.descending) {
            (true, true) => "↓",
            (true, false) => "↑",
            (false, _) => "",
        };
        let style = theme.style(if i == sort.column { Tone::Accent } else { Tone::Heading });
        // The arrow stands in any case, over the name's last letter if need be.
        let room = usize::from(width) - arrow.chars().count();
        let name: String = column.name.chars().take(room).collect();
        put(buffer, (x, area.y, width), &format!("{name}{arrow}"), column, style);
    }
    for (i, row) in rows.iter().enumerate().skip(top).take(usize::from(area.height.saturating_sub(1))) {
        let y = area.y + 1 + (i - top) as u16;
        for ((cell, column), place) in row.cells.iter().zip(columns).zip(&places) {
            let Some((x, width)) = *place else { continue };
            let tone = if row.is_dim { Tone::Dim } else { cell.tone };
            put(buffer, (x, y, width), &printable(&cell.text), column, theme.style(tone));
        }
        if i == selected {
            let line = Rect { y, height: 1, ..area };
            buffer.set_style(line, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

/// Where each column begins and how wide it is; none for those without room.
fn places(widths: &[Option<u16>], area: Rect) -> Vec<Option<(u16, u16)>> {
    let mut x = area.x;
    let place = |width: &Option<u16>| {
        let width = (*width)?;
        let place = (x, width);
        x += width + GAP;
        Some(place)
    };
    widths.iter().map(place).collect()
}

/// Widths of the columns that have room, by rank; what is left goes to those that grow, as far as their texts need it.
fn widths(columns: &[Column], rows: &[Row], total: u16) -> Vec<Option<u16>> {
    let mut order: Vec<_> = (0..columns.len()).collect();
    order.sort_by_key(|&i| columns[i].rank);
    let mut widths = vec![None; columns.len()];
    let mut left = total + GAP;
    for i in order {
        let needed = columns[i].width + GAP;
        // Not a narrower one of a higher rank instead: which columns stand depends on the width alone.
        if needed > left {
            break;
        }
        left -= needed;
        widths[i] = Some(columns[i].width);
    }
    let longest =
        |i: usize| rows.iter().map(|row| row.cells[i].text.chars().count()).max().unwrap_or(0) as u16;
    let mut wanting: Vec<_> = (0..columns.len())
        .filter_map(|i| {
            let width = widths[i].filter(|_| columns[i].grows)?;
            Some((i, longest(i).saturating_sub(width)))
        })
        .filter(|(_, wanted)| *wanted > 0)
        .collect();
    while left > 0 && !wanting.is_empty() {
        for (i, wanted) in &mut wanting {
            if left > 0 && *wanted > 0 {
                *wanted -= 1;
                left -= 1;
                widths[*i] = widths[*i].map(|width| width + 1);
            }
        }
        wanting.retain(|(_, wanted)| *wanted > 0);
    }
    widths
}

/// Puts a text into its place; where it is too long, `…` stands for the rest.
fn put(buffer: &mut Buffer, (x, y, width): (u16, u16, u16), text: &str, column: &Column, style: Style) {
    let room = usize::from(width);
    let mut length = Span::raw(text).width();
    if length <= room {
        let x = if column.is_number { x + (room - length) as u16 } else { x };
        buffer.set_stringn(x, y, text, room, style);
    } else if column.keeps_end {
        let mut rest = text.chars();
        while length >= room && rest.next().is_some() {
            length = Span::raw(rest.as_str()).width();
        }
        let (x, _) = buffer.set_stringn(x, y, "…", 1, style);
        buffer.set_stringn(x, y, rest.as_str(), room.saturating_sub(1), style);
    } else {
        let (x, _) = buffer.set_stringn(x, y, text, room.saturating_sub(1), style);
        buffer.set_stringn(x, y, "…", 1, style);
    }
}
