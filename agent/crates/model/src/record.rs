//! What leaves the agent: observations joined with who is who and with the verdict.
//!
//! The JSON form of these types is the event log's format; fields are only ever added.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::{
    CloseReason, ExecId, ExitStatus, FlowCounters, KindCounters, Namespaces, Origin, OwnerUnknown,
    ProcessOrigin, Protocol, RecordKind, Side, Verdict, WallTime,
};

/// One line of the event log.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Record {
    /// When it happened.
    pub time: WallTime,
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
    /// Records were lost.
    Loss(LossRecord),
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
}

/// A process as records show it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProcessView {
    /// Identity.
    pub exec_id: ExecId,
    /// Process id in the initial pid namespace.
    pub pid: u32,
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct LossRecord {
    /// Which kind of record.
    pub kind: RecordKind,
    /// How many were lost since the last loss record of this kind.
    pub lost: u64,
    /// Totals of the kind.
    pub counters: KindCounters,
}
