//! What the lab has made on this machine, written down before it is made, so that any later run can undo it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::plan::FOLDER;
use crate::packages;
use crate::process::{self, wait_until};
use crate::setup;

const UNDO_LIMIT: Duration = Duration::from_secs(10);

/// Something that exists on the machine because of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A cgroup folder.
    Cgroup(PathBuf),
    /// A network namespace, with every device in it.
    Namespace(String),
    /// A process, with its start time: ids are used again.
    Process(u32, u64),
}

/// Notes that something is about to be made.
pub(crate) fn note(made: &Made) -> Result<()> {
    let path = path();
    let mut file = OpenOptions::new().append(true).create(true).open(&path);
    let line = match made {
        Made::Cgroup(path) => format!("cgroup {}\n", path.display()),
        Made::Namespace(name) => format!("namespace {name}\n"),
        Made::Process(id, started) => format!("process {id} {started}\n"),
    };
    file.as_mut()
        .map_err(|error| std::io::Error::new(error.kind(), error.to_string()))
        .and_then(|file| file.write_all(line.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}

/// Notes a process that was just started.
pub(crate) fn note_process(id: u32) -> Result<()> {
    let started = started(id).with_context(|| format!("process {id} has ended at once"))?;
    note(&Made::Process(id, started))
}

/// Undoes everything that is noted, the last first; true when there was something.
pub(crate) fn undo() -> Result<bool> {
    let Ok(text) = fs::read_to_string(path()) else { return Ok(false) };
    let made: Vec<Made> = text.lines().filter_map(parse).collect();
    let mut failures = Vec::new();
    // Processes first, and all of them: one that lives keeps cgroups and namespaces alive.
    for step in made.iter().rev() {
        if let Err(error) = stop(step) {
            failures.push(format!("{error:#}"));
        }
    }
    for step in made.iter().rev() {
        if let Err(error) = remove(step) {
            failures.push(format!("{error:#}"));
        }
    }
    if !failures.is_empty() {
        bail!("the lab is not wholly torn down, run `cargo xtask lab down` again: {}", failures.join("; "));
    }
    fs::remove_dir_all(FOLDER).with_context(|| format!("remove {FOLDER}"))?;
    Ok(true)
}

fn path() -> PathBuf {
    Path::new(FOLDER).join("journal")
}

fn parse(line: &str) -> Option<Made> {
    let (kind, rest) = line.split_once(' ')?;
    match kind {
        "cgroup" => Some(Made::Cgroup(rest.into())),
        "namespace" => Some(Made::Namespace(rest.to_owned())),
        "process" => {
            let (id, started) = rest.split_once(' ')?;
            Some(Made::Process(id.parse().ok()?, started.parse().ok()?))
        }
        _ => None,
    }
}

fn stop(made: &Made) -> Result<()> {
    match made {
        Made::Process(id, start) if started(*id) == Some(*start) => {
            process::run_quietly(Command::new("/bin/sh").args(["-c", &format!("kill -TERM {id}")]))?;
            wait_until(UNDO_LIMIT, || (started(*id) != Some(*start)).then_some(()))
                .with_context(|| format!("process {id} does not end"))
        }
        // cgroup.kill (Linux 5.14) reaches every cgroup below, so it is for the lab's own leaves alone.
        Made::Cgroup(path) if !has_folders(path) && path.join("cgroup.kill").exists() => {
            fs::write(path.join("cgroup.kill"), "1").with_context(|| format!("empty {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn remove(made: &Made) -> Result<()> {
    match made {
        Made::Cgroup(path) => {
            // What somebody else has put into it since keeps it: then it is no longer the lab's to remove.
            let gone = || (!path.exists() || has_folders(path) || fs::remove_dir(path).is_ok()).then_some(());
            wait_until(UNDO_LIMIT, gone).with_context(|| format!("{} is still in use", path.display()))
        }
        Made::Namespace(name) if Path::new("/run/netns").join(name).exists() => {
            process::run_quietly(Command::new(setup::tool(&packages::IP)?).args(["netns", "delete", name]))
        }
        _ => Ok(()),
    }
}

fn has_folders(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|entries| entries.flatten().any(|entry| entry.path().is_dir()))
}

/// When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); `None` once it has ended.
fn started(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in field 2 may contain anything; what follows its closing bracket does not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // A zombie has ended.
    if *fields.first()? == "Z" { None } else { fields.get(19)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_back() {
        assert_eq!(parse("cgroup /c/kubepods x"), Some(Made::Cgroup("/c/kubepods x".into())));
        assert_eq!(parse("namespace wf-lab-db"), Some(Made::Namespace("wf-lab-db".to_owned())));
        assert_eq!(parse("process 12 345"), Some(Made::Process(12, 345)));
        assert_eq!(parse("something else"), None);
    }

    #[test]
    fn a_running_process_has_a_start_and_an_ended_one_has_none() {
        assert!(started(std::process::id()).is_some());
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(started(child.id()), None);
    }
}
