//! The report as Markdown: what all tables have in common.

use super::{Report, counted, probes, timed};
use crate::cell::Cell;
use crate::profile::Unit;

/// All of it.
pub(super) fn markdown(report: &Report) -> String {
    let Report { agent, unit, profile, machine, calibration, left_out, peers, cells, trials } = report;
    let mut text = format!(
        "{agent}, on Linux {}, {} processors ({}), {} GiB; load {} before the first run; profile {}, {} of four runs.\n\n",
        machine.kernel,
        machine.processors,
        machine.processor,
        machine.memory_bytes >> 30,
        machine.load,
        profile.name(),
        match profile.groups() {
            1 => "one group".to_owned(),
            groups => format!("{groups} groups"),
        },
    );
    if let Some(calibration) = calibration {
        text.push_str(&format!(
            "Figures are instructions: a program of {} of them measured as {} ({:+.3} %).\n\n",
            calibration.instructions,
            calibration.measured,
            calibration.off() * 100.0
        ));
    }
    match unit {
        _ if cells.is_empty() => {}
        Unit::Nanosecond => text.push_str(&timed::cells(cells)),
        Unit::Instruction => text.push_str(&counted::cells(cells)),
    }
    if !trials.is_empty() {
        text.push_str(&timed::trials(trials));
    }
    text.push_str(&probes::table(cells));
    for (what, reason) in left_out {
        text.push_str(&format!("\nLeft out: {what}, because {reason}.\n"));
    }
    if !peers.is_empty() {
        text.push_str(&format!("\nPeers, {} groups of four runs each:\n\n", profile.peer_groups()));
        text.extend(peers.iter().map(|note| format!("* {}: {}\n", note.peer, note.what)));
    }
    text
}

/// Ratio and interval.
pub(super) fn ratio(cell: &Cell) -> String {
    let summary = cell.summary;
    let digits = match cell.unit {
        Unit::Nanosecond => 3,
        Unit::Instruction => 4,
    };
    format!("×{:.digits$} ({:.digits$} to {:.digits$})", summary.median, summary.low, summary.high)
}

/// What became of what was to be told, in six columns.
pub(super) fn account(account: crate::account::Account) -> String {
    format!(
        "{} | {} | {} | {} | {} | {}",
        account.expected,
        account.told,
        account.suppressed,
        account.dropped,
        account.sinks_dropped,
        account.unexplained(),
    )
}

/// A figure, or that there is none.
pub(super) fn or_none(figure: Option<f64>, show: impl Fn(f64) -> String) -> String {
    figure.map_or_else(|| "-".to_owned(), show)
}

/// One cell in a line, while others are still measured.
pub(crate) fn line(cell: &Cell) -> String {
    let alone = match cell.unit {
        Unit::Nanosecond => timed::duration(cell.alone),
        Unit::Instruction => format!("{:.0} instructions", cell.alone),
    };
    format!(
        "{:>8} beside {:<14} {alone:>9} alone, {}, told {} of {}, dropped {}        ",
        cell.workload.name(),
        cell.subject.name(),
        ratio(cell),
        cell.account.told,
        cell.account.expected,
        cell.account.dropped,
    )
}
