//! Pods, nodes and addresses, by what they send and receive. A flow whose both ends are seen here counts once.

use crate::top::state::{State, TALKERS_MAX};
use crate::top::table::{Cell, Column, Row, RowId, Sort};

pub(super) const COLUMNS: &[Column] = &[
    Column::wide("POD OR ADDRESS", 24, 0),
    Column::number("FLOWS", 7, 0),
    Column::number("BYTES", 6, 0),
    Column::number("SENT", 6, 0),
    Column::number("RECEIVED", 8, 0),
    Column::number("LAST", 6, 1),
    Column::wide("SERVICE, NAMES", 16, 2),
];

pub(super) const FIRST_SORT: Sort = Sort { column: 2, descending: true };

pub(super) fn rows(state: &State, now_ns: i64) -> Vec<Row> {
    let row = |(name, traffic): (&String, &crate::top::state::Traffic)| Row {
        id: RowId::Named(name.clone()),
        cells: vec![
            Cell::text(name),
            Cell::count(traffic.flows),
            Cell::bytes(traffic.sent + traffic.received),
            Cell::bytes(traffic.sent),
            Cell::bytes(traffic.received),
            Cell::age(traffic.last_ns, now_ns),
            Cell::text(&traffic.note),
        ],
        hidden: String::new(),
        is_dim: false,
        tie: (false, 0),
    };
    state.talkers.iter().map(row).collect()
}

pub(super) fn summary(state: &State) -> String {
    let evicted = super::evicted(state.talkers.evicted());
    format!("{} talkers, at most {TALKERS_MAX} kept{evicted}", state.talkers.len())
}
