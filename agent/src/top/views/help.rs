//! What the keys do.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::top::theme::{Theme, Tone};

const KEYS: [(&str, &str); 16] = [
    ("1 … 6, Tab", "flows, talkers, verdicts, processes, drops, loss"),
    ("↑ ↓ k j", "select a row"),
    ("PgUp PgDn", "a page up or down; Home, End: the first, the last"),
    ("Enter", "look closer at a flow; of other rows, at their flows"),
    ("Esc", "back; or no filter any more"),
    ("/", "show only what has a text in any column; Enter keeps it"),
    ("s", "sort by the next column"),
    ("S", "sort the other way round"),
    ("p, space", "pause: the screen stands still, what comes is taken in"),
    ("?", "this"),
    ("q, Ctrl-C", "quit"),
    ("", ""),
    ("→ ←", "from client to server, and back"),
    ("RATE", "bytes a second both ways, between the last two records with totals"),
    ("?server", "who opened the flow is guessed"),
    ("STATE", "live, or how the flow ended; unsure: the agent went away"),
];

pub(super) fn draw(theme: Theme, area: Rect, buffer: &mut Buffer) {
    for (y, (key, does)) in (area.y + 1..area.bottom()).zip(KEYS) {
        let room = usize::from(area.width.saturating_sub(1));
        buffer.set_stringn(area.x + 1, y, format!("{key:<11}"), room, theme.style(Tone::Accent));
        buffer.set_stringn(area.x + 13, y, does, room.saturating_sub(12), theme.style(Tone::Plain));
    }
}
