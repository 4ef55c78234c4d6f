//! The ancestors of processes that did something lately.

use std::collections::HashMap;

use watchfire_inventory::Processes;
use watchfire_model::{ANCESTORS_MAX, AncestorView, Ancestors, ExecId, Process};

/// Processes whose ancestors are kept.
const LINEAGES_MAX: usize = 1024;

/// Ancestors, as long as nothing in the process table changes who they are.
#[derive(Debug, Default)]
pub(super) struct Lineages {
    known: HashMap<ExecId, Ancestors>,
    generation: u64,
}

impl Lineages {
    /// Those of a process.
    pub(super) fn of(&mut self, id: ExecId, processes: &Processes) -> Ancestors {
        if self.generation != processes.generation() || self.known.len() >= LINEAGES_MAX {
            self.generation = processes.generation();
            self.known.clear();
        }
        let new = || Ancestors::new(ancestors(id, processes));
        self.known.entry(id).or_insert_with(new).clone()
    }
}

/// The nearest ancestors of a process.
pub(super) fn ancestors(id: ExecId, processes: &Processes) -> Vec<AncestorView> {
    let view = |process: &Process| AncestorView {
        exec_id: process.exec_id,
        pid: process.exec_id.pid,
        binary: process.binary.clone(),
    };
    processes.ancestry(id).take(ANCESTORS_MAX).map(view).collect()
}
