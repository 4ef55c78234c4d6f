//! Processes, those below them, and what all of them did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use watchfire_model::{ExecId, WallTime};

use crate::family::{Families, Family};
use crate::filter::Filter;

/// Most processes of one tree.
pub const TREE_PROCESSES_MAX: usize = 2000;
/// Most records that are kept of one process.
pub const PROCESS_RECORDS_MAX: usize = 1000;

/// Longest name of an object of Kubernetes, bytes.
const NAME_BYTES_MAX: usize = 253;

/// Where a tree begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TreeStart {
    /// At the process of this identity.
    ExecId(String),
    /// At every process that had this process id.
    Pid(u32),
    /// At the processes of this pod, NAMESPACE/NAME.
    Pod(String),
}

impl FromStr for TreeStart {
    type Err = String;

    fn from_str(of: &str) -> Result<Self, String> {
        let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_word = |part: &str| (1..=NAME_BYTES_MAX).contains(&part.len()) && part.bytes().all(is_of_word);
        if let Ok(pid) = of.parse() {
            return Ok(Self::Pid(pid));
        }
        if let Some((namespace, name)) = of.split_once('/')
            && is_word(namespace)
            && is_word(name)
        {
            return Ok(Self::Pod(of.to_owned()));
        }
        if of.parse::<ExecId>().is_ok() {
            return Ok(Self::ExecId(of.to_owned()));
        }
        Err("expected an exec_id such as 3f2a91bc-4242-567890, a process id, or NAMESPACE/POD".to_owned())
    }
}

impl fmt::Display for TreeStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExecId(exec_id) => write!(f, "exec_id {exec_id}"),
            Self::Pid(pid) => write!(f, "pid {pid}"),
            Self::Pod(pod) => write!(f, "pod {pod}"),
        }
    }
}

impl TreeStart {
    fn filter(&self) -> Filter {
        let text = match self {
            Self::ExecId(exec_id) => format!("process.exec_id = \"{exec_id}\""),
            Self::Pid(pid) => format!("process.pid = {pid}"),
            Self::Pod(pod) => format!("process.pod = \"{pod}\""),
        };
        Filter::parse(&text).expect("what a start is read of has no quotes")
    }
}

/// One process.
#[derive(Clone, Default, Debug)]
pub struct TreeProcess {
    /// As the latest record shows it.
    pub view: Value,
    /// Who started it, where known.
    pub parent: Option<String>,
    /// What it did, in the order of time.
    pub records: Vec<(WallTime, Value)>,
    /// Records beyond the limit.
    pub more: u64,
    /// Those that it started.
    pub children: BTreeSet<String>,
}

/// Trees of processes.
#[derive(Clone, Default, Debug)]
pub struct Forest {
    /// By identity.
    pub processes: BTreeMap<String, TreeProcess>,
    /// Those whose parents are not in the forest.
    pub roots: Vec<String>,
    /// Whether there were more processes than may be.
    pub is_cut: bool,
}

/// Collects the processes that are asked for, those below them, and what all of them did. `search` hands every record of
/// these tables that meets the filter to the closure.
pub fn gather<E>(
    start: &TreeStart,
    mut search: impl FnMut(Families, &Filter, &mut dyn FnMut(WallTime, Value)) -> Result<(), E>,
) -> Result<Forest, E> {
    let mut forest = Forest::default();
    let acting = Families::of(&[Family::Process, Family::Flow, Family::Dns, Family::Event, Family::Finding]);
    let mut found = BTreeSet::new();
    search(acting, &start.filter(), &mut |_, record| {
        found.insert(text(&record, "/process/exec_id").to_owned());
    })?;
    found.remove("");
    // Level by level: children of what was found before.
    let mut level = found.clone();
    while !level.is_empty() && found.len() <= TREE_PROCESSES_MAX {
        let mut children = BTreeSet::new();
        for filter in one_of("parent.exec_id", &level) {
            search(Families::of(&[Family::Process]), &filter, &mut |_, record| {
                children.insert(text(&record, "/process/exec_id").to_owned());
            })?;
        }
        level = children.difference(&found).cloned().collect();
        found.extend(level.iter().cloned());
    }
    forest.is_cut = found.len() > TREE_PROCESSES_MAX;
    let found: BTreeSet<String> = found.into_iter().take(TREE_PROCESSES_MAX).collect();
    if found.is_empty() {
        return Ok(forest);
    }
    for filter in one_of("process.exec_id", &found) {
        search(acting, &filter, &mut |time, record| forest.add(time, record))?;
    }
    forest.link();
    Ok(forest)
}

/// Values of one filter: ids have up to 60 bytes, and thousands of them are more than a filter may have.
const VALUES_MAX: usize = 250;

/// Filters that together are met by any of the values.
fn one_of(field: &str, values: &BTreeSet<String>) -> Vec<Filter> {
    let is_id = |value: &&String| value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let values: Vec<&str> = values.iter().filter(is_id).map(String::as_str).collect();
    let parts = values.chunks(VALUES_MAX).map(|part| format!("{field} in ({})", part.join(", ")));
    parts.map(|part| Filter::parse(&part).expect("digits and dashes are words of a filter")).collect()
}

fn text<'a>(record: &'a Value, pointer: &str) -> &'a str {
    record.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Forest {
    /// Takes in a record of a process.
    pub fn add(&mut self, time: WallTime, record: Value) {
        // A finding has the process in its example.
        let of_finding = text(&record, "/example/process/exec_id");
        let id = if record.get("process").is_some() { text(&record, "/process/exec_id") } else { of_finding };
        let process = self.processes.entry(id.to_owned()).or_default();
        if let Some(view) = record.get("process") {
            process.view = view.clone();
        }
        let parent = text(&record, "/parent/exec_id");
        if !parent.is_empty() {
            process.parent = Some(parent.to_owned());
        }
        if process.records.len() < PROCESS_RECORDS_MAX {
            process.records.push((time, record));
        } else {
            process.more += 1;
        }
    }

    /// Puts children under their parents.
    pub fn link(&mut self) {
        let parents: Vec<(String, Option<String>)> =
            self.processes.iter().map(|(id, process)| (id.clone(), process.parent.clone())).collect();
        for (id, parent) in parents {
            match parent.filter(|parent| *parent != id).and_then(|parent| self.processes.get_mut(&parent)) {
                Some(parent) => _ = parent.children.insert(id),
                None => self.roots.push(id),
            }
        }
        for process in self.processes.values_mut() {
            process.records.sort_by_key(|(time, _)| *time);
        }
        let first = |id: &String| self.processes[id].records.first().map(|(time, _)| *time);
        self.roots.sort_by_key(first);
    }
}
