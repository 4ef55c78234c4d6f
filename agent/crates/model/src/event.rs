//! Security events: what the records of all their kinds have in common.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    Ancestors, CapabilityEvent, CredentialsEvent, ExecId, FileEvent, KernelEvent, MemoryEvent,
    NamespaceEvent, Namespaces, Operation, PodView, ProcessView, SignalEvent, SocketEvent, StdioEvent,
    errno_name,
};

/// A process did something that matters to security.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Who.
    pub process: ExecId,
    /// Real user id at that moment.
    pub uid: u32,
    /// Effective user id at that moment.
    pub euid: u32,
    /// Real group id at that moment.
    pub gid: u32,
    /// Cgroup v2 id at that moment.
    pub cgroup_id: u64,
    /// Namespaces at that moment.
    pub namespaces: Namespaces,
    /// What.
    pub operation: Operation,
    /// What the call returned, 0 or more, or a negated errno; none where the hook stands before its end.
    pub result: Option<i32>,
    /// How it was asked for, where not by a plain system call.
    pub interface: Option<Interface>,
    /// A text did not fit and was cut.
    pub truncated: bool,
    /// A text could not be read from the caller's memory.
    pub unreadable: bool,
    /// The rest, by kind.
    pub detail: Detail,
}

/// A way into the kernel other than the plain system call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    /// io_uring.
    IoUring,
    /// The system calls of 32-bit programs.
    Compat,
}

/// What an event tells beside who and what, by kind.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is named as its record kind is")]
pub enum Detail {
    Credentials(CredentialsEvent),
    Capability(CapabilityEvent),
    File(FileEvent),
    Namespace(NamespaceEvent),
    Kernel(KernelEvent),
    Memory(MemoryEvent),
    Socket(SocketEvent),
    Signal(SignalEvent),
    Stdio(StdioEvent),
}

/// An event as records show it; `D` is what its kind adds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct EventRecord<D> {
    /// What was done.
    pub operation: Operation,
    /// What the call returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<i32>,
    /// Name of the error, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// How it was asked for, where not by a plain system call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
    /// A text did not fit and was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// A text could not be read from the caller's memory.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
    /// What its kind adds.
    #[serde(flatten)]
    pub detail: D,
    /// Who did it, with the credentials, cgroup and namespaces of that moment.
    pub process: ProcessView,
    /// Who forked it, who forked that one, and so on, nearest first; at most [`ANCESTORS_MAX`](crate::ANCESTORS_MAX).
    pub ancestors: Ancestors,
}

impl<D> EventRecord<D> {
    /// The record of an event with what its kind adds.
    #[must_use]
    pub fn new(event: &EventFacts, process: ProcessView, ancestors: Ancestors, detail: D) -> Self {
        let EventFacts { operation, result, interface, truncated, unreadable } = *event;
        let error = result.and_then(i32::checked_neg).and_then(errno_name);
        Self { operation, result, error, interface, truncated, unreadable, detail, process, ancestors }
    }
}

/// What an event tells of the call, whatever its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in Event")]
pub struct EventFacts {
    pub operation: Operation,
    pub result: Option<i32>,
    pub interface: Option<Interface>,
    pub truncated: bool,
    pub unreadable: bool,
}

/// The process that something was done to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TargetView {
    /// Identity, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_id: Option<ExecId>,
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Executable path, where the process is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<Arc<str>>,
    /// Cgroup v2 id, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_id: Option<u64>,
    /// Pod it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodView>,
}
