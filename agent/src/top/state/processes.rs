//! Who started whom, as far as the records told.

use std::collections::{BTreeMap, VecDeque};

use crate::top::record::Process;

/// Most processes of which the name and the parent are kept; the ones heard of first go first.
pub(crate) const PROCESSES_MAX: usize = 8192;

/// Most ancestors shown.
const ANCESTORS_MAX: usize = 8;

#[derive(Clone, Debug)]
struct Known {
    name: String,
    parent: Option<String>,
}

/// Processes by identity.
#[derive(Clone, Default, Debug)]
pub(crate) struct Processes {
    known: BTreeMap<String, Known>,
    order: VecDeque<String>,
    forgotten: u64,
}

impl Processes {
    pub(super) fn learn(&mut self, process: &Process, parent: Option<&Process>) {
        if let Some(parent) = parent {
            self.learn(parent, None);
        }
        let name = crate::top::format::process(process);
        let parent = parent.map(|parent| parent.exec_id.clone());
        if let Some(known) = self.known.get_mut(&process.exec_id) {
            known.name = name;
            known.parent = parent.or_else(|| known.parent.take());
            return;
        }
        if self.order.len() >= PROCESSES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.forgotten += 1;
        }
        self.order.push_back(process.exec_id.clone());
        self.known.insert(process.exec_id.clone(), Known { name, parent });
    }

    /// Names of those who started it, nearest first.
    pub(crate) fn ancestors(&self, exec_id: &str) -> Vec<&str> {
        let parent = |exec_id: &str| self.known.get(self.known.get(exec_id)?.parent.as_ref()?);
        let mut names = Vec::new();
        let mut at = exec_id;
        while let Some(known) = parent(at).filter(|_| names.len() < ANCESTORS_MAX) {
            names.push(known.name.as_str());
            let Some(next) = self.known.get(at).and_then(|known| known.parent.as_deref()) else { break };
            at = next;
        }
        names
    }

    /// How many had to go.
    pub(crate) const fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
