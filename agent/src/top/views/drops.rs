//! Packets that the kernel threw away, and attempts that failed.

use crate::top::state::{Dropping, State};
use crate::top::table::{Cell, Column, Row, RowId, Sort};
use crate::top::theme::Tone;

pub(super) const COLUMNS: &[Column] = &[
    Column::text("WHAT", 7, 0),
    Column::wide("REASON", 16, 0),
    Column::wide("MEANT FOR", 22, 0),
    Column::number("COUNT", 7, 0),
    Column::number("LAST", 6, 0),
    Column::path("PROGRAM", 12, 1),
];

pub(super) const FIRST_SORT: Sort = Sort { column: 3, descending: true };

pub(super) fn rows(state: &State, now_ns: i64) -> Vec<Row> {
    let row = |((what, reason, place), dropping): (&(&'static str, String, String), &Dropping)| Row {
        id: RowId::Named(place.clone()),
        cells: vec![
            Cell::text(*what).toned(Tone::Bad),
            Cell::text(reason),
            Cell::text(place),
            Cell::count(dropping.count),
            Cell::age(dropping.last_ns, now_ns),
            Cell::text(&dropping.program),
        ],
        hidden: String::new(),
        is_dim: false,
        tie: (false, 0),
    };
    state.drops.iter().map(row).collect()
}

pub(super) fn summary(state: &State) -> String {
    let count = |name: &str| -> u64 {
        let of = state.drops.iter().filter(|((what, ..), _)| *what == name);
        of.map(|(_, dropping)| dropping.count).sum()
    };
    let evicted = super::evicted(state.drops.evicted());
    format!("{} packets dropped · {} attempts failed{evicted}", count("dropped"), count("failed"))
}
