//! What leaves the agent: observations joined with who is who and with the verdict.
//!
//! The JSON form of these types is the event log's format; fields are only ever added.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use crate::{
    ApiAccessRecord, CapabilityView, ContainerView, CredentialsView, DnsRecord, Enrichment, EventRecord,
    ExecDetail, ExecId, ExitStatus, FileView, Finding, FlowRecord, KernelView, KindCounters, MemoryView,
    NamespaceView, Namespaces, Operation, Pod, PodUid, ProcessOrigin, RecordKind, SignalView, SocketView,
    StdioView, WallTime, WorkloadRef,
};

/// One line of the event log.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Record {
    /// When it happened.
    pub time: WallTime,
    /// The same, nanoseconds of CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// Cluster name, where one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Arc<str>>,
    /// Node name.
    pub node: Arc<str>,
    /// Whether it had to wait until it was known who it is about.
    #[serde(flatten)]
    pub enrichment: Option<Enrichment>,
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
    /// A name was asked for.
    Dns(Box<DnsRecord>),
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
    /// Something deserves attention.
    Finding(Box<Finding>),
    /// Somebody asked the agent's API.
    ApiAccess(Box<ApiAccessRecord>),
    /// Records were lost.
    Loss(Box<LossRecord>),
}

impl RecordBody {
    /// What a security event tells of; none for the other records.
    #[must_use]
    pub const fn operation(&self) -> Option<Operation> {
        Some(match self {
            Self::Process(_)
            | Self::Flow(_)
            | Self::Dns(_)
            | Self::Finding(_)
            | Self::ApiAccess(_)
            | Self::Loss(_) => return None,
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
    pub binary: Arc<str>,
    /// Argument vector, redacted.
    pub args: Arc<[String]>,
    /// Whether arguments were cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_truncated: bool,
    /// Working directory at exec.
    pub cwd: Arc<str>,
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
    /// Container it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Arc<ContainerView>>,
    /// systemd unit that it belongs to, outside of containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Arc<str>>,
}

/// A pod as records name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PodView {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Box<str>,
    /// `metadata.uid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<PodUid>,
    /// What it belongs to: its Deployment, StatefulSet, DaemonSet, CronJob, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadRef>,
    /// `spec.serviceAccountName`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<Arc<str>>,
}

impl PodView {
    /// A pod of which no more than its name is known.
    #[must_use]
    pub fn named(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            uid: None,
            workload: None,
            service_account: None,
        }
    }
}

impl From<&Pod> for PodView {
    fn from(pod: &Pod) -> Self {
        let Pod { name, uid, identity, ips: _, node: _ } = pod;
        Self {
            namespace: Arc::clone(&identity.namespace),
            name: name.clone(),
            uid: *uid,
            workload: identity.workload.clone(),
            service_account: identity.service_account.clone(),
        }
    }
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
