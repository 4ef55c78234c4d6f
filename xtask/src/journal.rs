//! What a task has made on this machine, written down before it is made, so that any later run can undo it.

mod made;
mod undo;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

pub(crate) use made::{Made, Running};

/// Hands an outcome on, after undoing everything where it is an error.
pub(crate) fn undone_on_error<T>(result: Result<T>, undo: impl FnOnce() -> Result<bool>) -> Result<T> {
    result.inspect_err(|_| {
        if let Err(error) = undo() {
            eprintln!("{error:#}");
        }
    })
}

/// The journal of one task, in a folder that is all its own.
pub(crate) struct Journal {
    /// What the task is called on the command line.
    task: &'static str,
    folder: &'static str,
}

impl Journal {
    pub(crate) const fn new(task: &'static str, folder: &'static str) -> Self {
        Self { task, folder }
    }

    /// Notes that something is about to be made.
    pub(crate) fn note(&self, made: &Made) -> Result<()> {
        let path = self.path();
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        file.write_all(format!("{made}\n").as_bytes()).with_context(|| format!("write {}", path.display()))
    }

    /// Notes a process that was just started.
    pub(crate) fn note_process(&self, name: &str, id: u32) -> Result<()> {
        let running = Running::now(name, id).with_context(|| format!("{name} has ended at once"))?;
        self.note(&Made::Process(running))
    }

    /// Whether this is noted.
    pub(crate) fn has(&self, made: &Made) -> bool {
        self.read().contains(made)
    }

    /// The process of this name that was started last.
    pub(crate) fn last(&self, name: &str) -> Option<Running> {
        let processes = self.read().into_iter().filter_map(|made| match made {
            Made::Process(running) => Some(running),
            _ => None,
        });
        processes.rev().find(|running| running.name == name)
    }

    /// The same, where it still runs.
    pub(crate) fn running(&self, name: &str) -> Option<Running> {
        self.last(name).filter(Running::is_alive)
    }

    /// Undoes everything that is noted, the last first; true when there was something.
    pub(crate) fn undo(&self) -> Result<bool> {
        if !self.exists() {
            return Ok(false);
        }
        let failures = undo::all(&self.read(), Path::new(self.folder));
        if !failures.is_empty() {
            let (task, failures) = (self.task, failures.join("; "));
            bail!("the {task} is not wholly torn down, run `cargo xtask {task} down` again: {failures}");
        }
        fs::remove_dir_all(self.folder).with_context(|| format!("remove {}", self.folder))?;
        Ok(true)
    }

    /// Whether anything is noted.
    pub(crate) fn exists(&self) -> bool {
        self.path().exists()
    }

    fn read(&self) -> Vec<Made> {
        let text = fs::read_to_string(self.path()).unwrap_or_default();
        text.lines().filter_map(Made::parse).collect()
    }

    fn path(&self) -> PathBuf {
        Path::new(self.folder).join("journal")
    }
}
