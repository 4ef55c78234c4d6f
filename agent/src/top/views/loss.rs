//! What is missing: in the agent's records, between agent and screen, and on the screen itself.

use crate::top::format;
use crate::top::state::{Missing, State};
use crate::top::table::{Cell, Column, Row, RowId, Sort};
use crate::top::theme::Tone;

pub(super) const COLUMNS: &[Column] = &[
    Column::text("WHERE", 8, 0),
    Column::wide("WHAT", 16, 0),
    Column::wide("WHOSE", 12, 0),
    Column::number("LOST", 8, 0),
    Column::number("HELD BACK", 9, 0),
    Column::number("LAST", 6, 0),
    Column::number("FIRST", 6, 1),
];

pub(super) const FIRST_SORT: Sort = Sort { column: 3, descending: true };

pub(super) fn rows(state: &State, now_ns: i64) -> Vec<Row> {
    let kernel = state.losses.iter().map(|((kind, whose), missing)| {
        let Missing { lost, suppressed, first_ns, last_ns } = *missing;
        let mut row = row("kernel", kind, whose, lost, suppressed);
        row.cells.extend([Cell::age(last_ns, now_ns), Cell::age(first_ns, now_ns)]);
        row
    });
    let here = here(state).into_iter().filter(|(.., lost)| *lost > 0).map(|(place, what, lost)| {
        let mut row = row(place, what, "", lost, 0);
        row.cells.extend([Cell::text(""), Cell::text("")]);
        row
    });
    kernel.chain(here).collect()
}

pub(super) fn summary(state: &State) -> String {
    let sum =
        |count: fn(&Missing) -> u64| state.losses.iter().map(|(_, missing)| count(missing)).sum::<u64>();
    let (lost, held_back) = (sum(|missing| missing.lost), sum(|missing| missing.suppressed));
    let not_read = state.observer_lost;
    let not_kept = kept_no_longer(state);
    format!(
        "kernel: {lost} lost, {held_back} held back by rates · not read in time {not_read} · not kept {not_kept}"
    )
}

/// Whether anything but what this screen forgets by design is missing.
pub(super) fn is_any(state: &State) -> bool {
    state.losses.len() > 0 || state.observer_lost > 0 || state.unreadable > 0
}

fn kept_no_longer(state: &State) -> u64 {
    let kept = here(state).into_iter().filter(|(place, ..)| *place == "screen");
    kept.map(|(.., count)| count).sum()
}

/// What is missing on this side of the kernel.
fn here(state: &State) -> [(&'static str, &'static str, u64); 11] {
    [
        ("observer", "records not read in time", state.observer_lost),
        ("observer", "times the agent was gone", state.gaps),
        ("observer", "lines not understood", state.unreadable),
        ("screen", "flows evicted", state.flows.evicted()),
        ("screen", "talkers evicted", state.talkers.evicted()),
        ("screen", "verdicts evicted", state.verdicts.evicted()),
        ("screen", "programs evicted", state.programs.evicted()),
        ("screen", "drops evicted", state.drops.evicted()),
        ("screen", "losses evicted", state.losses.evicted()),
        ("screen", "addresses evicted", state.asked.evicted()),
        ("screen", "ancestors evicted", state.processes.forgotten()),
    ]
}

fn row(place: &str, what: &str, whose: &str, lost: u64, suppressed: u64) -> Row {
    Row {
        id: RowId::Named(format!("{place} {what} {whose}")),
        cells: vec![
            Cell::text(place),
            Cell::text(what),
            Cell::text(format::printable(whose)),
            Cell::count(lost).toned(if place == "screen" { Tone::Unknown } else { Tone::Bad }),
            Cell::count(suppressed).toned(Tone::Unknown),
        ],
        hidden: String::new(),
        is_dim: false,
        tie: (false, 0),
    }
}
