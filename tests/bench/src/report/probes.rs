//! Which hooks the agent had: what was measured depends on them.

use std::collections::BTreeMap;

use crate::cell::Cell;
use crate::probe::Probe;

/// A table with a line for each hook of a probe; nothing where no agent was measured.
pub(super) fn table(cells: &[Cell]) -> String {
    let mut subjects: BTreeMap<&Probe, Vec<&str>> = BTreeMap::new();
    for cell in cells {
        for probe in &cell.probes {
            let of_probe = subjects.entry(probe).or_default();
            if !of_probe.contains(&cell.subject.name()) {
                of_probe.push(cell.subject.name());
            }
        }
    }
    if subjects.is_empty() {
        return String::new();
    }
    let row = |(probe, subjects): (&Probe, Vec<&str>)| {
        let Probe { name, rung, hook } = probe;
        let hook = if hook.is_empty() { "refused by this kernel" } else { hook };
        format!("| {name} | {rung} | {hook} | {} |\n", subjects.join(", "))
    };
    let rows: String = subjects.into_iter().map(row).collect();
    format!("\n| probe | rung | hook | beside |\n|---|---|---|---|\n{rows}")
}
