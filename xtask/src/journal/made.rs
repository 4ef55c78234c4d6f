use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process::{self, wait_until};

/// How long a process has to end by a signal.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Something that exists on the machine, or is otherwise than it was, because of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A cgroup folder; others may use what lies above it.
    Cgroup(PathBuf),
    /// Folders of this name in every cgroup hierarchy, with all that is below them.
    CgroupTree(String),
    /// A network device, with the ports of a bridge.
    Device(String),
    /// A folder outside the task's own, which others may use since; it goes when nothing is left in it.
    Folder(PathBuf),
    /// A network namespace, with every device in it.
    Namespace(String),
    /// A process.
    Process(Running),
    /// A kernel setting below /proc/sys, with the value that it had.
    Setting(PathBuf, String),
    /// A table of nftables: family and name.
    Table(String, String),
}

/// A process that was started under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) id: u32,
    /// When it started: ids are used again.
    started: u64,
}

impl Running {
    /// The process that now has this id.
    pub(crate) fn now(name: &str, id: u32) -> Option<Self> {
        Some(Self { name: name.to_owned(), id, started: started(id)? })
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        started(self.id) == Some(self.started)
    }

    /// Ends it, if it has not ended, by these signals in turn.
    pub(crate) fn end(&self, signals: &[&str]) -> Result<()> {
        for signal in signals {
            if !self.is_alive() {
                return Ok(());
            }
            let script = format!("kill -{signal} {}", self.id);
            // It may have ended in between.
            let _ = process::run_quietly(Command::new("/bin/sh").args(["-c", &script]));
            let _: Option<()> = wait_until(END_LIMIT, || (!self.is_alive()).then_some(()));
        }
        ensure!(!self.is_alive(), "{} (process {}) does not end", self.name, self.id);
        Ok(())
    }
}

impl Made {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let pair = || rest.split_once(' ');
        Some(match kind {
            "cgroup" => Self::Cgroup(rest.into()),
            "cgroup-tree" => Self::CgroupTree(rest.to_owned()),
            "device" => Self::Device(rest.to_owned()),
            "folder" => Self::Folder(rest.into()),
            "namespace" => Self::Namespace(rest.to_owned()),
            "process" => {
                let (id, rest) = pair()?;
                let (started, name) = rest.split_once(' ')?;
                let (id, started) = (id.parse().ok()?, started.parse().ok()?);
                Self::Process(Running { name: name.to_owned(), id, started })
            }
            "setting" => pair().map(|(path, value)| Self::Setting(path.into(), value.to_owned()))?,
            "table" => pair().map(|(family, name)| Self::Table(family.to_owned(), name.to_owned()))?,
            _ => return None,
        })
    }
}

/// One line of the journal.
impl fmt::Display for Made {
    fn fmt(&self, line: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cgroup(path) => write!(line, "cgroup {}", path.display()),
            Self::CgroupTree(name) => write!(line, "cgroup-tree {name}"),
            Self::Device(name) => write!(line, "device {name}"),
            Self::Folder(path) => write!(line, "folder {}", path.display()),
            Self::Namespace(name) => write!(line, "namespace {name}"),
            Self::Process(Running { name, id, started }) => write!(line, "process {id} {started} {name}"),
            Self::Setting(path, value) => write!(line, "setting {} {value}", path.display()),
            Self::Table(family, name) => write!(line, "table {family} {name}"),
        }
    }
}

/// When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); `None` once it has ended.
fn started(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in field 2 may contain anything; what follows its closing bracket does not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // A zombie has ended, once its other threads have: until then its files and sockets are open.
    let (state, threads) = (fields.first()?, fields.get(17)?);
    if *state == "Z" && *threads <= "1" { None } else { fields.get(19)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_back() {
        let process = Running { name: "kube proxy".to_owned(), id: 12, started: 345 };
        for made in [
            Made::Cgroup("/c/kubepods x".into()),
            Made::CgroupTree("watchfire".to_owned()),
            Made::Device("br0".to_owned()),
            Made::Folder("/var/lib/cni".into()),
            Made::Namespace("wf-lab-db".to_owned()),
            Made::Process(process),
            Made::Setting("/proc/sys/a/b".into(), "4 4 1".to_owned()),
            Made::Table("ip".to_owned(), "kube-proxy".to_owned()),
        ] {
            assert_eq!(Made::parse(&made.to_string()), Some(made));
        }
        assert_eq!(Made::parse("something else"), None);
        assert_eq!(Made::parse("process 12 345"), None, "cut by a full disk");
    }

    #[test]
    fn a_running_process_is_alive_and_an_ended_one_is_not() {
        let me = Running::now("me", std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!Running { started: me.started + 1, ..me }.is_alive());
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(Running::now("child", child.id()), None);
    }
}
