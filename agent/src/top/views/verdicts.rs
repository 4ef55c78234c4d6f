//! Flows by what policy intent says of them, and by the rule, policy or reason that decides.

use crate::top::state::State;
use crate::top::table::{Cell, Column, Row, RowId, Sort};
use crate::top::theme::of_outcome;

pub(super) const COLUMNS: &[Column] = &[
    Column::text("VERDICT", 11, 0),
    Column::number("FLOWS", 7, 0),
    Column::number("→BYTES", 6, 0),
    Column::number("←BYTES", 6, 0),
    Column::number("LAST", 6, 0),
    Column::wide("BECAUSE", 20, 0),
];

pub(super) const FIRST_SORT: Sort = Sort { column: 1, descending: true };

pub(super) fn rows(state: &State, now_ns: i64) -> Vec<Row> {
    let row = |((outcome, because), traffic): (&(String, String), &crate::top::state::Traffic)| Row {
        id: RowId::Named(if because.is_empty() { outcome.clone() } else { because.clone() }),
        cells: vec![
            Cell::text(outcome).toned(of_outcome(outcome)),
            Cell::count(traffic.flows),
            Cell::bytes(traffic.sent),
            Cell::bytes(traffic.received),
            Cell::age(traffic.last_ns, now_ns),
            Cell::text(because),
        ],
        hidden: String::new(),
        is_dim: false,
        tie: (false, 0),
    };
    state.verdicts.iter().map(row).collect()
}

/// How many flows have each outcome.
pub(super) fn summary(state: &State) -> String {
    let count = |name: &str| -> u64 {
        let of = state.verdicts.iter().filter(|((outcome, _), _)| outcome == name);
        of.map(|(_, traffic)| traffic.flows).sum()
    };
    let outcomes = ["allowed", "denied", "not-covered", "unknown"];
    let counts = outcomes.map(|outcome| format!("{outcome} {}", count(outcome)));
    let evicted = super::evicted(state.verdicts.evicted());
    format!("flows: {}{evicted}{}", counts.join(" · "), findings(state))
}

/// ` · findings: 2 policy-violation (500)`, where there are any: how many, and what they stand for.
fn findings(state: &State) -> String {
    let mut kinds: Vec<_> = state.findings.iter().collect();
    kinds.sort_unstable_by_key(|(kind, _)| (*kind).clone());
    let told =
        kinds.into_iter().map(|(kind, found)| format!("{} {kind} ({})", found.findings, found.occurrences));
    let told = told.collect::<Vec<_>>().join(", ");
    if told.is_empty() { told } else { format!(" · findings: {told}") }
}
