//! Curves for people and for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::cold_start::{self, Start};
use super::curve::{Curve, Spread};
use super::point::Sample;
use super::{ROUNDS, plot};
use crate::machine::Machine;

/// The JSON file.
#[derive(Serialize)]
struct Results<'a> {
    machine: &'a Machine,
    starts: &'a [Start],
    curves: &'a [Curve],
}

/// Writes a table, a JSON file and a plot for each curve into a folder.
pub(super) fn write(
    folder: &Path,
    machine: &Machine,
    starts: Option<&Vec<Start>>,
    curves: &[Curve],
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let starts = starts.map(Vec::as_slice).unwrap_or_default();
    let text = markdown(machine, starts, curves);
    fs::write(folder.join("scale.md"), &text)?;
    fs::write(folder.join("scale.json"), serde_json::to_vec_pretty(&Results { machine, starts, curves })?)?;
    for curve in curves {
        plot::write(&folder.join(format!("scale-{}.svg", curve.dimension.name())), curve)?;
    }
    println!("{text}");
    println!("written to {}", folder.display());
    Ok(())
}

fn markdown(machine: &Machine, starts: &[Start], curves: &[Curve]) -> String {
    let Machine { kernel, processor, processors, memory_bytes, load } = machine;
    let mut text = format!(
        "{} on Linux {kernel}, {processors} processors ({processor}), {} GiB; load {load} before the first run; medians of {ROUNDS} \
         with the lowest and highest.\n",
        env!("CARGO_PKG_VERSION"),
        memory_bytes >> 30,
    );
    if !starts.is_empty() {
        let happened = shown(cold_start::spread(starts, |start| start.happened_ms), 0);
        let told = shown(cold_start::spread(starts, |start| start.told_ms), 0);
        _ = write!(
            text,
            "\n{} starts, milliseconds until the first event that was told happened: {happened}; until it stood in the log: {told}\n",
            starts.len()
        );
    }
    if !curves.is_empty() {
        text.push_str(
            "\n| what | so many | ready after, ms | CPU until then, ms | resident, MiB | records of the work | CPU s per million | \
             of kernel programs | idle, % of a CPU | lost by the log | series | CPU of one change, ms |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
    }
    for curve in curves {
        table(&mut text, curve);
    }
    for curve in curves {
        conclusion(&mut text, curve);
    }
    text
}

/// A value of a sample, and the digits that are shown of it.
type Column = (fn(&Sample) -> f64, usize);

fn table(text: &mut String, curve: &Curve) {
    let columns: [Column; 9] = [
        (|sample| sample.ready_ns as f64 / 1e6, 0),
        (|sample| sample.ready_cpu_ns as f64 / 1e6, 0),
        (|sample| sample.resident_bytes as f64 / f64::from(1 << 20), 1),
        (|sample| sample.records as f64, 0),
        (Sample::cpu_each_million, 2),
        (Sample::programs_each_million, 2),
        (|sample| sample.idle_share * 100.0, 2),
        (|sample| sample.lost_by_log as f64, 0),
        (|sample| sample.series as f64, 0),
    ];
    for (size, samples) in &curve.points {
        _ = write!(text, "| {} | {size} |", curve.dimension.name());
        for (value, digits) in columns {
            _ = write!(text, " {} |", shown(Spread::of(samples.iter().map(value)), digits));
        }
        let changes: Vec<f64> =
            samples.iter().filter_map(|sample| sample.change_ns).map(|change| change as f64 / 1e6).collect();
        let change =
            if changes.is_empty() { "-".to_owned() } else { shown(Spread::of(changes.into_iter()), 1) };
        _ = writeln!(text, " {change} |");
    }
}

fn conclusion(text: &mut String, curve: &Curve) {
    let slope = curve.slope(|sample| sample.resident_bytes as f64).unwrap_or_default();
    let ready = curve.slope(|sample| sample.ready_cpu_ns as f64).unwrap_or_default();
    let ratio = curve.ratio(Sample::cpu_each_million).unwrap_or_default();
    _ = writeln!(
        text,
        "\n{}: {slope:.0} bytes and {:.1} µs of start for each {}; CPU of an event ×{ratio:.2} at a hundred times as many",
        curve.dimension.name(),
        ready / 1e3,
        curve.dimension.unit(),
    );
}

fn shown(spread: Spread, digits: usize) -> String {
    let Spread { median, low, high } = spread;
    format!("{median:.digits$} ({low:.digits$} to {high:.digits$})")
}
