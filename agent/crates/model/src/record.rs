//! What leaves the agent: observations joined with who is who and with the verdict.
//!
//! The JSON form of these types is the event log's format; fields are only ever added.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::{
    CapabilityView, CloseReason, CredentialsView, EventRecord, ExecDetail, ExecId, ExitStatus, FileView,
    FlowCounters, KernelView, KindCounters, MemoryView, NamespaceView, Namespaces, Operation, Origin,
    OwnerUnknown, ProcessOrigin, Protocol, RecordKind, Side, SignalView, SocketView, StdioView, Verdict,
    WallTime,
};

/// One line of the event log.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Record {
    /// When it happened.
    pub time: WallTime,
    /// The same, nanoseconds of CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// Node name.
    pub node: Arc<str>,
    /// What happened.
    #[serde(flatten)]
    pub body: RecordBody,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum RecordBody {
    /// A process started, changed its image or ended.
    Process(Box<ProcessRecord>),
    /// A connection opened, ended or failed.
    Flow(Box<FlowRecord>),
    /// Users, groups or capability sets changed.
    Credentials(Box<EventRecord<CredentialsView>>),
    /// A capability of the watched set was asked for.
    Capability(Box<EventRecord<CapabilityView>>),
    /// Something was done to a file.
    File(Box<EventRecord<FileView>>),
    /// Namespaces or mounts were changed.
    Namespace(Box<EventRecord<NamespaceView>>),
    /// Code or an observer entered the kernel.
    Kernel(Box<EventRecord<KernelView>>),
    /// Code or control entered a process.
    Memory(Box<EventRecord<MemoryView>>),
    /// A socket was made, bound, put to listen or connected.
    Socket(Box<EventRecord<SocketView>>),
    /// A signal went to another container, or to the agent.
    Signal(Box<EventRecord<SignalView>>),
    /// A socket became standard input, output or error.
    Stdio(Box<EventRecord<StdioView>>),
    /// Records were lost.
    Loss(Box<LossRecord>),
}

impl RecordBody {
    /// What a security event tells of; none for the other records.
    #[must_use]
    pub const fn operation(&self) -> Option<Operation> {
        Some(match self {
            Self::Process(_) | Self::Flow(_) | Self::Loss(_) => return None,
            Self::Credentials(event) => event.operation,
            Self::Capability(event) => event.operation,
            Self::File(event) => event.operation,
            Self::Namespace(event) => event.operation,
            Self::Kernel(event) => event.operation,
            Self::Memory(event) => event.operation,
            Self::Socket(event) => event.operation,
            Self::Signal(event) => event.operation,
            Self::Stdio(event) => event.operation,
        })
    }
}

/// What a process did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessAction {
    /// Forked.
    Fork,
    /// Replaced its image.
    Exec,
    /// Ended.
    Exit,
    /// Was running when the agent started.
    Found,
}

/// A process record.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProcessRecord {
    /// What it did.
    pub action: ProcessAction,
    /// The process.
    pub process: ProcessView,
    /// Its parent, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ProcessView>,
    /// How it ended, for exits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitStatus>,
    /// How it was made, for forks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clone_flags: Option<Vec<Cow<'static, str>>>,
    /// What is told of a new image alone.
    #[serde(flatten)]
    pub exec: Option<ExecDetail>,
}

/// A process as records show it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProcessView {
    /// Identity.
    pub exec_id: ExecId,
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Process id in its own pid namespace, where known.
    #[serde(skip_serializing_if = "is_zero")]
    pub ns_pid: u32,
    /// Executable path.
    pub binary: String,
    /// Argument vector, redacted.
    pub args: Vec<String>,
    /// Whether arguments were cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_truncated: bool,
    /// Working directory at exec.
    pub cwd: String,
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Real group id.
    pub gid: u32,
    /// Cgroup v2 id.
    pub cgroup_id: u64,
    /// Cgroup path below the v2 root, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Arc<str>>,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// How it came to be known.
    pub origin: ProcessOrigin,
    /// Pod it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodView>,
}

/// A pod as records name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PodView {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `metadata.uid`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// Which moment of a connection a record tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowStage {
    /// Established.
    Open,
    /// Ended after having been established.
    Close,
    /// Never established.
    Failed,
    /// Was established when the agent started.
    Found,
}

impl FlowStage {
    /// All stages, for metric families that exist from the start.
    pub const ALL: [Self; 4] = [Self::Open, Self::Close, Self::Failed, Self::Found];

    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Failed => "failed",
            Self::Found => "found",
        }
    }
}

/// A flow record.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FlowRecord {
    /// Which moment.
    pub stage: FlowStage,
    /// Socket cookie: joins the records of one socket.
    pub cookie: u64,
    /// Protocol.
    pub protocol: Protocol,
    /// Which end was observed.
    pub side: Side,
    /// Whether who opened it was inferred.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub direction_guessed: bool,
    /// Initiator.
    pub client: EndpointView,
    /// Responder.
    pub server: EndpointView,
    /// Process at the observed end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessView>,
    /// Why that process is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_unknown: Option<OwnerUnknown>,
    /// Network namespace inode, 0 where not known.
    pub netns: u32,
    /// Seen to begin, or older than the agent.
    pub origin: Origin,
    /// When it was opened.
    pub opened: WallTime,
    /// What policy intent says.
    pub verdict: Verdict,
    /// The deciding rule, policy or reason in one phrase.
    pub because: String,
    /// How it ended, at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<CloseReason>,
    /// How long it lasted, nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<u64>,
    /// Totals, at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<FlowCounters>,
}

/// One end of a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EndpointView {
    /// Address and port.
    pub address: SocketAddr,
    /// Pod, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodView>,
    /// `pod`, `node`, `world` or `unresolved`.
    pub kind: &'static str,
    /// Node name for nodes, reason for unresolved ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A gap in the stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LossRecord {
    /// Which kind of record.
    pub kind: RecordKind,
    /// Cgroup v2 id of those whose records they were, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_id: Option<u64>,
    /// Its path below the v2 root, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Arc<str>>,
    /// Its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodView>,
    /// How many found no room in a ring.
    pub lost: u64,
    /// How many were over the cgroup's rate.
    pub suppressed: u64,
    /// When the first of them was lost.
    pub first: WallTime,
    /// When the last of them was lost.
    pub last: WallTime,
    /// Totals of the kind.
    pub counters: KindCounters,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
