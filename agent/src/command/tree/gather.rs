//! Processes and what they did, out of the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use serde_json::Value;
use watchfire_ledger::{Families, Family, Filter, Search};
use watchfire_model::WallTime;

use crate::command::events::PlaceArgs;
use crate::command::observe::field::text;

/// Most processes of one tree.
pub(super) const TREE_PROCESSES_MAX: usize = 2000;
/// Most records that are kept of one process.
pub(super) const PROCESS_RECORDS_MAX: usize = 1000;

/// Where a tree begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Start {
    ExecId(String),
    Pid(u32),
    Pod(String),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(of: &str) -> Result<Self, String> {
        let is_word =
            |part: &str| !part.is_empty() && !part.contains(|char: char| char.is_whitespace() || char == '"');
        if let Ok(pid) = of.parse() {
            return Ok(Self::Pid(pid));
        }
        if let Some((namespace, name)) = of.split_once('/')
            && is_word(namespace)
            && is_word(name)
        {
            return Ok(Self::Pod(of.to_owned()));
        }
        if of.split('-').count() == 3 && of.chars().all(|char| char.is_ascii_hexdigit() || char == '-') {
            return Ok(Self::ExecId(of.to_owned()));
        }
        Err("expected an exec_id such as 3f2a91bc-4242-567890, a process id, or NAMESPACE/POD".to_owned())
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExecId(exec_id) => write!(f, "exec_id {exec_id}"),
            Self::Pid(pid) => write!(f, "pid {pid}"),
            Self::Pod(pod) => write!(f, "pod {pod}"),
        }
    }
}

impl Start {
    fn filter(&self) -> String {
        match self {
            Self::ExecId(exec_id) => format!("process.exec_id = \"{exec_id}\""),
            Self::Pid(pid) => format!("process.pid = {pid}"),
            Self::Pod(pod) => format!("process.pod = \"{pod}\""),
        }
    }
}

/// One process.
#[derive(Clone, Default, Debug)]
pub(super) struct Process {
    /// As the latest record shows it.
    pub(super) view: Value,
    pub(super) parent: Option<String>,
    /// What it did, in the order of time.
    pub(super) records: Vec<(WallTime, Value)>,
    /// Records beyond the limit.
    pub(super) more: u64,
    pub(super) children: BTreeSet<String>,
}

/// Trees of processes.
#[derive(Clone, Default, Debug)]
pub(super) struct Forest {
    pub(super) processes: BTreeMap<String, Process>,
    /// Those whose parents are not in the forest.
    pub(super) roots: Vec<String>,
    /// Whether there were more processes than may be.
    pub(super) is_cut: bool,
}

/// Collects the processes that are asked for, those below them, and what all of them did.
pub(super) fn gather(start: &Start, place: &PlaceArgs) -> Result<Forest> {
    let mut forest = Forest::default();
    let acting = Families::of(&[Family::Process, Family::Flow, Family::Dns, Family::Event, Family::Finding]);
    let mut found = BTreeSet::new();
    each(place, acting, &start.filter(), |_, record| {
        found.insert(text(&record, "/process/exec_id").to_owned());
    })?;
    found.remove("");
    // Level by level: children of what was found before.
    let mut level = found.clone();
    while !level.is_empty() && found.len() <= TREE_PROCESSES_MAX {
        let mut children = BTreeSet::new();
        each(place, Families::of(&[Family::Process]), &one_of("parent.exec_id", &level), |_, record| {
            children.insert(text(&record, "/process/exec_id").to_owned());
        })?;
        level = children.difference(&found).cloned().collect();
        found.extend(level.iter().cloned());
    }
    forest.is_cut = found.len() > TREE_PROCESSES_MAX;
    let found: BTreeSet<String> = found.into_iter().take(TREE_PROCESSES_MAX).collect();
    if found.is_empty() {
        return Ok(forest);
    }
    each(place, acting, &one_of("process.exec_id", &found), |time, record| forest.add(time, record))?;
    forest.link();
    Ok(forest)
}

fn one_of(field: &str, values: &BTreeSet<String>) -> String {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    format!("{field} in ({})", values.join(", "))
}

fn each(
    place: &PlaceArgs,
    families: Families,
    filter: &str,
    mut take: impl FnMut(WallTime, Value),
) -> Result<()> {
    // Thousands of ids are longer than a filter that people write may be.
    let parts: Vec<String> = split(filter);
    for part in parts {
        let filter = Filter::parse(&part).context("the ledger names a process strangely")?;
        for found in Search::open(&place.dir, place.query(families, filter)?)? {
            let found = found?;
            take(found.time, serde_json::from_slice(&found.line).unwrap_or(Value::Null));
        }
    }
    Ok(())
}

/// Cuts a list of values into filters that are short enough.
fn split(filter: &str) -> Vec<String> {
    let Some((field, values)) = filter.split_once(" in (") else { return vec![filter.to_owned()] };
    let values: Vec<&str> = values.trim_end_matches(')').split(", ").collect();
    values.chunks(VALUES_MAX).map(|values| format!("{field} in ({})", values.join(", "))).collect()
}

/// Values of one filter: ids have up to 60 bytes.
const VALUES_MAX: usize = 250;

impl Forest {
    pub(super) fn add(&mut self, time: WallTime, record: Value) {
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
    pub(super) fn link(&mut self) {
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
