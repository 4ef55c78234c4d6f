//! What was measured, for people and for programs.

mod counted;
mod plot;
mod probes;
mod table;
mod timed;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::calibration::Calibration;
use crate::cell::Cell;
use crate::machine::Machine;
use crate::peer::Note;
use crate::profile::{Profile, Unit};
use crate::trial::Finding;

pub(crate) use self::table::line;
pub(crate) use self::timed::finding as finding_line;

/// Everything of one run; the JSON file is this.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Version and commit of the agent.
    pub(crate) agent: String,
    /// What a nanosecond of all figures stands for.
    pub(crate) unit: Unit,
    pub(crate) profile: Profile,
    pub(crate) machine: Machine,
    /// How it is known that the clock counts instructions.
    pub(crate) calibration: Option<Calibration>,
    /// What was not measured, and why.
    pub(crate) left_out: Vec<(&'static str, &'static str)>,
    /// The peers, and which are left out.
    pub(crate) peers: Vec<Note>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) trials: Vec<Finding>,
}

impl Report {
    /// Writes a table, a JSON file, and a plot for each workload into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let text = table::markdown(self);
        fs::write(folder.join("bench.md"), &text)?;
        fs::write(folder.join("bench.json"), serde_json::to_vec_pretty(self)?)?;
        for of_workload in self.cells.chunk_by(|one, other| one.workload == other.workload) {
            plot::write(&folder.join(format!("{}.svg", of_workload[0].workload.name())), of_workload)?;
        }
        println!("{text}");
        println!("written to {}", folder.display());
        Ok(())
    }
}
