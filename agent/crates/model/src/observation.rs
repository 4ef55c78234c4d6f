//! What the sensor hands on: kernel records in the agent's own terms, not yet joined with anything.

use crate::{
    Device, Event, ExecId, ExitStatus, Flow, FlowCounters, FlowDrop, FlowEnd, KindCounters, Namespaces,
    Payload, RecordKind,
};

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
    /// How a flow goes that has not ended: totals so far.
    FlowUpdate(Flow, FlowCounters),
    /// The kernel threw packets of a flow away.
    FlowDropped(Flow, FlowDrop),
    /// A flow carried something that can be read.
    Payload(Box<Payload>),
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
    /// A process did something that matters to security.
    Event(Box<Event>),
    /// Records were lost since the last such note.
    Gap(Gap),
}

/// Records of one kind, and of one cgroup where that is known, that were lost since the last note of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Which kind.
    pub kind: RecordKind,
    /// Whose, where it can be told.
    pub cgroup_id: Option<u64>,
    /// How many found no room in a ring.
    pub lost: u64,
    /// How many were over the cgroup's rate.
    pub suppressed: u64,
    /// The first of them, nanoseconds of CLOCK_BOOTTIME.
    pub first_boot_ns: u64,
    /// The last of them, nanoseconds of CLOCK_BOOTTIME.
    pub last_boot_ns: u64,
    /// Totals of the kind at the time of the note.
    pub counters: KindCounters,
}

/// A new process, still with the image of its parent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fork {
    /// The child.
    pub child: ExecId,
    /// The process that forked it.
    pub parent: ExecId,
    /// Process id in its own pid namespace; 0 where not known.
    pub ns_pid: u32,
    /// `CLONE_*` flags.
    pub clone_flags: u64,
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
    /// Whether arguments could not be read.
    pub args_unreadable: bool,
    /// Environment, where it was asked for: `NAME=value`.
    pub env: Vec<String>,
    /// Whether the environment was cut at the record limit.
    pub env_truncated: bool,
    /// Whether the environment could not be read.
    pub env_unreadable: bool,
    /// Working directory.
    pub cwd: String,
    /// Process id in its own pid namespace; 0 where not known.
    pub ns_pid: u32,
    /// The executable as the filesystem knows it.
    pub file: BinaryFile,
    /// Absolute path of the script that was asked for, where the executable is its interpreter.
    pub script: Option<String>,
    /// The interpreter as the script's first line names it.
    pub interpreter: Option<String>,
    /// Controlling terminal.
    pub tty: Device,
    /// Whether the kernel raised privileges: setuid, setgid or file capabilities.
    pub secure: bool,
    /// Effective capabilities of the new image.
    pub effective: u64,
    /// Permitted capabilities of the new image.
    pub permitted: u64,
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Cgroup v2 id.
    pub cgroup_id: u64,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Found running at start, not seen to begin.
    pub before_start: bool,
}

/// An executable as its filesystem knows it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BinaryFile {
    /// Inode number; 0 where not known.
    pub inode: u64,
    /// Device of the filesystem.
    pub device: Device,
    /// Mode with its type bits; 0 where not known.
    pub mode: u32,
    /// Owner.
    pub owner: u32,
    /// Group.
    pub group: u32,
    /// It has no name in any folder: memfd_create(2), or it was removed.
    pub unlinked: bool,
    /// Whether it lies in the upper layer of its overlay filesystem, so it did not come with the image; none where it
    /// lies in no overlay.
    pub drift: Option<bool>,
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
