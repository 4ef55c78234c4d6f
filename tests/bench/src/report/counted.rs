//! The table of instructions.

use super::table::{account, or_none, ratio};
use crate::cell::Cell;

/// A table with a line for each cell.
pub(super) fn cells(cells: &[Cell]) -> String {
    let rows: String = cells.iter().map(row).collect();
    format!(
        "By the clocks of the work's own processes: what they do, the kernel for them, kernel programs on the way, \
         and interrupts meanwhile. The subject's own are its process's.\n\n\
         | one operation | alone | beside | with it, and of both halves | more | expected | told | suppressed | dropped | \
         by outputs | unexplained | the subject's own for a record told | with what the work took more |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n{rows}"
    )
}

fn row(cell: &Cell) -> String {
    let whole = |instructions: f64| format!("{instructions:.0}");
    format!(
        "| {} | {:.0} | {} | {} | {:+.1} | {} | {} | {} |\n",
        cell.workload.operation(),
        cell.alone,
        cell.subject.name(),
        ratio(cell),
        cell.alone * (cell.summary.median - 1.0),
        account(cell.account),
        or_none(cell.own_for_a_record(), whole),
        or_none(cell.all_for_a_record(), whole),
    )
}
