//! Tables of times.

use super::table::{account, or_none, ratio};
use crate::cell::Cell;
use crate::trial::Finding;

/// A table with a line for each cell.
pub(super) fn cells(cells: &[Cell]) -> String {
    let rows: String = cells.iter().map(row).collect();
    format!(
        "| one operation | alone | beside | time, with its 95 % interval | p | expected | told | suppressed | \
         dropped | by outputs | unexplained | CPU s per million told | with what the work took longer | \
         latency p50 | p99 | wakeups a second | peak RSS | maps |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n{rows}"
    )
}

fn row(cell: &Cell) -> String {
    let usage = cell.usage;
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    // Nanoseconds for one are milliseconds for a million.
    let per_million = |nanoseconds: f64| format!("{:.2}", nanoseconds / 1000.0);
    let milliseconds = |seconds: f64| format!("{:.1} ms", seconds * 1000.0);
    format!(
        "| {} | {} | {} | {} | {:.3} | {} | {} | {} | {} | {} | {:.0} | {} | {} |\n",
        cell.workload.operation(),
        duration(cell.alone),
        cell.subject.name(),
        ratio(cell),
        cell.summary.p,
        account(cell.account),
        or_none(cell.own_for_a_record(), per_million),
        or_none(cell.all_for_a_record(), per_million),
        or_none(cell.latency.map(|latency| latency.p50_seconds), milliseconds),
        or_none(cell.latency.map(|latency| latency.p99_seconds), milliseconds),
        cell.wakeups_per_second(),
        mib(usage.rss_peak_bytes),
        mib(usage.map_bytes),
    )
}

/// A table with a line for each finding.
pub(super) fn trials(trials: &[Finding]) -> String {
    let rows: String = trials.iter().map(|found| finding(found) + "\n").collect();
    format!(
        "\n| trial | what | a second | expected | told | suppressed | dropped | by outputs | unexplained | \
         CPU s per million told |\n|---|---|---|---|---|---|---|---|---|---|\n{rows}"
    )
}

/// A line of a trial.
pub(crate) fn finding(found: &Finding) -> String {
    let Finding { trial, what, each_second, account: told, usage } = found;
    let seconds =
        usage.filter(|_| told.told > 0).map(|usage| usage.cpu_ns as f64 / 1000.0 / told.told as f64);
    let per_million = or_none(seconds, |seconds| format!("{seconds:.2}"));
    format!("| {} | {what} | {each_second:.0} | {} | {per_million} |", trial.name(), account(*told))
}

/// In a unit that fits.
pub(super) fn duration(nanoseconds: f64) -> String {
    if nanoseconds < 10_000.0 {
        format!("{nanoseconds:.0} ns")
    } else {
        format!("{:.1} µs", nanoseconds / 1000.0)
    }
}
