//! What the sensor hands on: kernel records in the agent's own terms, not yet joined with anything.

use crate::{ExecId, ExitStatus, Flow, FlowEnd, KindCounters, Namespaces, RecordKind};

/// A record with the moment of its making.
#[derive(Clone, PartialEq, Debug)]
pub struct Observation {
    /// Nanoseconds of CLOCK_BOOTTIME when the kernel made it.
    pub boot_ns: u64,
    /// What happened.
    pub body: Body,
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// A process was forked.
    Fork(Fork),
    /// A process replaced its image, or was found running at start.
    Exec(Box<Exec>),
    /// A process ended.
    Exit(Exit),
    /// A connection was established.
    FlowOpen(Flow),
    /// A connection, or an attempt at one, ended.
    FlowClose(Flow, FlowEnd),
    /// A cgroup was made, with its path below the root of the hierarchy.
    CgroupMade {
        /// Cgroup v2 id.
        id: u64,
        /// Begins with a slash; empty where it was too long to be carried.
        path: String,
    },
    /// A cgroup was removed.
    CgroupRemoved {
        /// Cgroup v2 id.
        id: u64,
    },
    /// Records of a kind were lost since the last such note.
    Gap {
        /// Which kind.
        kind: RecordKind,
        /// How many since the last note.
        lost: u64,
        /// Totals at the time of the note.
        counters: KindCounters,
    },
}

/// A new process, still with the image of its parent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fork {
    /// The child.
    pub child: ExecId,
    /// The process that forked it.
    pub parent: ExecId,
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Real group id.
    pub gid: u32,
    /// Cgroup v2 id.
    pub cgroup_id: u64,
    /// Namespaces.
    pub namespaces: Namespaces,
}

/// A process with a (new) image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exec {
    /// The process.
    pub process: ExecId,
    /// Its parent, where there is one in sight.
    pub parent: Option<ExecId>,
    /// Absolute path of the executable in its mount namespace.
    pub binary: String,
    /// Argument vector.
    pub args: Vec<String>,
    /// Whether arguments were cut at the record limit.
    pub args_truncated: bool,
    /// Working directory.
    pub cwd: String,
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Real group id.
    pub gid: u32,
    /// Cgroup v2 id.
    pub cgroup_id: u64,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Found running at start, not seen to begin.
    pub before_start: bool,
}

/// The end of a process: of its last thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// The process.
    pub process: ExecId,
    /// How it ended.
    pub status: ExitStatus,
    /// Real user id at its end.
    pub uid: u32,
    /// Effective user id at its end.
    pub euid: u32,
    /// Real group id at its end.
    pub gid: u32,
    /// Cgroup v2 id at its end.
    pub cgroup_id: u64,
}
