//! What was measured, for people and for programs.

mod plot;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::cell::Cell;
use crate::machine::Machine;
use crate::peer::Note;
use crate::profile::Profile;
use crate::trial::Finding;

pub(crate) use self::table::{finding as finding_line, line};

/// The JSON file.
#[derive(Serialize)]
struct Results<'a> {
    profile: Profile,
    machine: &'a Machine,
    cells: &'a [Cell],
    trials: &'a [Finding],
    peers: &'a [Note],
}

/// Writes a table, a JSON file, and a plot for each workload into a folder.
pub(crate) fn write(
    folder: &Path,
    machine: &Machine,
    profile: Profile,
    cells: &[Cell],
    trials: &[Finding],
    peers: &[Note],
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let mut text = table::markdown(machine, profile, cells, trials);
    text.push_str(&table::notes(profile, peers));
    fs::write(folder.join("bench.md"), &text)?;
    fs::write(
        folder.join("bench.json"),
        serde_json::to_vec_pretty(&Results { profile, machine, cells, trials, peers })?,
    )?;
    for of_workload in cells.chunk_by(|one, other| one.workload == other.workload) {
        plot::write(&folder.join(format!("{}.svg", of_workload[0].workload.name())), of_workload)?;
    }
    println!("{text}");
    println!("written to {}", folder.display());
    Ok(())
}
