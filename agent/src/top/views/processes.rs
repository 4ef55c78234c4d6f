//! Programs, by their flows, bytes and starts. Each end of a flow counts for the program at that end.

use crate::top::state::{Program, State};
use crate::top::table::{Cell, Column, Row, RowId, Sort};
use crate::top::theme::Tone;

pub(super) const COLUMNS: &[Column] = &[
    Column::path("PROGRAM", 24, 0),
    Column::number("FLOWS", 7, 0),
    Column::number("BYTES", 6, 0),
    Column::number("SENT", 6, 1),
    Column::number("RECEIVED", 8, 1),
    Column::number("EXECS", 7, 0),
    Column::number("EXEC/S", 6, 0),
    Column::number("LAST", 6, 2),
];

pub(super) const FIRST_SORT: Sort = Sort { column: 2, descending: true };

pub(super) fn rows(state: &State, now_ns: i64) -> Vec<Row> {
    let row = |(name, program): (&String, &Program)| {
        let Program { traffic, execs, exec_rate } = program;
        let rate = exec_rate.per_second(now_ns);
        let tone = if name.starts_with('(') { Tone::Unknown } else { Tone::Plain };
        Row {
            id: RowId::Named(name.clone()),
            cells: vec![
                Cell::text(name).toned(tone),
                Cell::count(traffic.flows),
                Cell::bytes(traffic.sent + traffic.received),
                Cell::bytes(traffic.sent),
                Cell::bytes(traffic.received),
                Cell::count(*execs),
                Cell::number(if rate > 0.0 { format!("{rate:.1}") } else { String::new() }, rate),
                Cell::age(traffic.last_ns, now_ns),
            ],
            hidden: String::new(),
            is_dim: false,
            tie: (false, 0),
        }
    };
    state.programs.iter().map(row).collect()
}

pub(super) fn summary(state: &State, now_ns: i64) -> String {
    let evicted = super::evicted(state.programs.evicted());
    let rate = state.exec_rate.per_second(now_ns);
    format!("{} programs{evicted} · {rate:.1} execs/s in the last 10 s", state.programs.len())
}
