//! The whole screen: the views' names, a line on the view, the view, and what keys do.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use crate::top::app::{App, Link};
use crate::top::format;
use crate::top::table;
use crate::top::theme::Tone;

use super::{View, closer, help, loss};

/// Lines around the view.
const LINES_AROUND: u16 = 3;

/// Draws everything.
pub(crate) fn draw(app: &mut App, area: Rect, buffer: &mut Buffer) {
    if area.height <= LINES_AROUND || area.width < 20 {
        buffer.set_stringn(area.x, area.y, "too small", usize::from(area.width), app.theme.style(Tone::Bad));
        return;
    }
    let line = |y: u16| Rect { y, height: 1, ..area };
    let body = Rect { y: area.y + 2, height: area.height - LINES_AROUND, ..area };
    tabs(app, line(area.y), buffer);
    if app.ui.is_help {
        app.ui.shown.clear();
        help::draw(app.theme, body, buffer);
    } else if app.ui.closer.is_some() {
        app.ui.page = usize::from(body.height);
        closer::draw(app, body, buffer);
    } else {
        list(app, body, buffer);
    }
    second_line(app, line(area.y + 1), buffer);
    last_line(app, line(area.bottom() - 1), buffer);
}

fn list(app: &mut App, area: Rect, buffer: &mut Buffer) {
    let view = app.ui.view;
    let filter = app.ui.filter().clone();
    let (state, now_ns) = app.shown();
    let mut rows = view.rows(state, now_ns);
    let sort = *app.ui.sort();
    table::arrange(&mut rows, &filter, sort);
    let shown: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
    let height = usize::from(area.height - 1);
    app.ui.page = height;
    let position = app.ui.cursor().settle(&shown, height);
    app.ui.shown = shown;
    if rows.is_empty() {
        let text = if filter.is_empty() { "nothing yet" } else { "nothing has this text" };
        let style = app.theme.style(Tone::Dim);
        buffer.set_stringn(area.x + 1, area.y + 2, text, usize::from(area.width - 1), style);
    }
    table::draw((view.columns(), &rows), position, sort, app.theme, (area, buffer));
}

fn tabs(app: &App, area: Rect, buffer: &mut Buffer) {
    let theme = app.theme;
    let mut spans = Vec::new();
    for (i, view) in View::ALL.into_iter().enumerate() {
        let alarms = view == View::Loss && loss::is_any(app.shown().0);
        let tone = if alarms { Tone::Bad } else { Tone::Plain };
        let style = if view == app.ui.view {
            theme.style(if alarms { tone } else { Tone::Accent }).add_modifier(Modifier::REVERSED)
        } else {
            theme.style(tone)
        };
        let alarm = if alarms { "!" } else { "" };
        spans.push(Span::styled(format!(" {} {}{alarm} ", i + 1, view.name()), style));
    }
    Line::from(spans).render(area, buffer);
    let (text, tone) = match (&app.link, app.is_paused()) {
        (_, true) => ("paused", Tone::Unknown),
        (Link::Connected, false) => ("live", Tone::Good),
        (Link::Broken { .. }, false) => ("no agent", Tone::Bad),
    };
    let status = Line::from(Span::styled(text, theme.style(tone))).right_aligned();
    let width = (text.len() as u16).min(area.width);
    status.render(Rect { x: area.right() - width, width, ..area }, buffer);
}

fn second_line(app: &mut App, area: Rect, buffer: &mut Buffer) {
    let theme = app.theme;
    if let Link::Broken { why, again_ns } = &app.link {
        let wait = format::age(app.now_ns(), *again_ns);
        let text = format::printable(&format!("the agent is gone, trying again in {wait}: {why}"));
        Line::styled(text, theme.style(Tone::Bad)).render(area, buffer);
        return;
    }
    if app.ui.is_help {
        return Line::styled("keys", theme.style(Tone::Heading)).render(area, buffer);
    }
    let sort = *app.ui.sort();
    let (state, now_ns) = app.shown();
    let summary = app.ui.view.summary(state, now_ns);
    // A flow that is looked at has a line of its own below.
    let by = if app.ui.closer.is_some() {
        String::new()
    } else {
        let way = if sort.descending { "↓" } else { "↑" };
        format!(" · by {}{way}", app.ui.view.columns()[sort.column].name.trim_start_matches("→ "))
    };
    Line::styled(format!("{summary}{by}"), theme.style(Tone::Plain)).render(area, buffer);
}

fn last_line(app: &App, area: Rect, buffer: &mut Buffer) {
    let ui = &app.ui;
    let (key, filter) = (app.theme.style(Tone::Accent), format::printable(&ui.filters[ui.view as usize]));
    let plain = app.theme.style(Tone::Plain);
    let keys: &[(&str, &str)] = if ui.is_typing {
        &[("Enter", "keep"), ("Esc", "clear")]
    } else if ui.is_help {
        &[("any key", "back"), ("q", "quit")]
    } else if ui.closer.is_some() {
        &[("Esc", "back"), ("↑↓", "scroll"), ("p", "pause"), ("?", "help"), ("q", "quit")]
    } else {
        &[
            ("/", "filter"),
            ("s", "sort"),
            ("S", "turn"),
            ("Enter", "closer"),
            ("p", "pause"),
            ("?", "help"),
            ("q", "quit"),
        ]
    };
    let mut spans = Vec::new();
    if ui.is_typing {
        spans.push(Span::styled(format!("/{filter}▏ "), app.theme.style(Tone::Unknown)));
    } else if !filter.is_empty() && ui.closer.is_none() {
        spans.push(Span::styled(format!("/{filter}  "), app.theme.style(Tone::Unknown)));
    }
    for (name, does) in keys {
        spans.extend([Span::styled(*name, key), Span::styled(format!(" {does}  "), plain)]);
    }
    Line::from(spans).render(area, buffer);
}
