//! The table.

use crate::cell::Cell;
use crate::machine::Machine;
use crate::peer::Note;
use crate::profile::Profile;
use crate::trial::Finding;

/// All cells as Markdown.
pub(super) fn markdown(machine: &Machine, profile: Profile, cells: &[Cell], trials: &[Finding]) -> String {
    let mut text = format!(
        "{} on Linux {}, {} processors ({}), {} GiB; load {} before the first run; profile {}, {} groups of four runs.\n\n",
        env!("CARGO_PKG_VERSION"),
        machine.kernel,
        machine.processors,
        machine.processor,
        machine.memory_bytes >> 30,
        machine.load,
        match profile {
            Profile::Quick => "quick",
            Profile::Full => "full",
        },
        profile.groups(),
    );
    if !cells.is_empty() {
        text.push_str(
            "| one operation | alone | beside | time, with its 95 % interval | p | expected | told | suppressed | \
             dropped | by outputs | unexplained | CPU s per million told | wakeups a second | peak RSS | maps |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        text.extend(cells.iter().map(row));
    }
    if !trials.is_empty() {
        text.push_str(
            "\n| trial | what | a second | expected | told | suppressed | dropped | by outputs | unexplained | \
             CPU s per million told |\n|---|---|---|---|---|---|---|---|---|---|\n",
        );
        text.extend(trials.iter().map(|found| finding(found) + "\n"));
    }
    text
}

/// The peers and their versions, and what is left out.
pub(super) fn notes(profile: Profile, peers: &[Note]) -> String {
    let lines: String = peers.iter().map(|note| format!("* {}: {}\n", note.peer, note.what)).collect();
    if peers.is_empty() {
        return lines;
    }
    format!("\nPeers, {} groups of four runs each:\n\n{lines}", profile.peer_groups())
}

/// A line of a trial.
pub(crate) fn finding(found: &Finding) -> String {
    let Finding { trial, what, each_second, account, usage } = found;
    let per_million = usage.filter(|_| account.told > 0).map_or_else(
        || "-".to_owned(),
        |usage| format!("{:.2}", usage.cpu_ns as f64 / 1e9 / account.told as f64 * 1e6),
    );
    format!(
        "| {} | {what} | {each_second:.0} | {} | {} | {} | {} | {} | {} | {per_million} |",
        trial.name(),
        account.expected,
        account.told,
        account.suppressed,
        account.dropped,
        account.sinks_dropped,
        account.unexplained(),
    )
}

fn row(cell: &Cell) -> String {
    let (summary, account, usage) = (cell.summary, cell.account, cell.usage);
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    format!(
        "| {} | {} | {} | ×{:.3} ({:.3} to {:.3}) | {:.3} | {} | {} | {} | {} | {} | {} | {} | {:.0} | {} | {} |\n",
        cell.workload.operation(),
        duration(cell.alone_ns),
        cell.subject.name(),
        summary.median,
        summary.low,
        summary.high,
        summary.p,
        account.expected,
        account.told,
        account.suppressed,
        account.dropped,
        account.sinks_dropped,
        account.unexplained(),
        cell.cpu_seconds_per_million().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2}")),
        cell.wakeups_per_second(),
        mib(usage.rss_peak_bytes),
        mib(usage.map_bytes),
    )
}

/// One cell in a line, while others are still measured.
pub(crate) fn line(cell: &Cell) -> String {
    format!(
        "{:>8} beside {:<14} {:>9} alone, ×{:.3} ({:.3} to {:.3}), told {} of {}, dropped {}        ",
        cell.workload.name(),
        cell.subject.name(),
        duration(cell.alone_ns),
        cell.summary.median,
        cell.summary.low,
        cell.summary.high,
        cell.account.told,
        cell.account.expected,
        cell.account.dropped,
    )
}

fn duration(nanoseconds: f64) -> String {
    if nanoseconds < 10_000.0 {
        format!("{nanoseconds:.0} ns")
    } else {
        format!("{:.1} µs", nanoseconds / 1000.0)
    }
}
