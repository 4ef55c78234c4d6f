//! The words everything else speaks: processes, workloads, flows, verdicts and the records that leave the agent.
//!
//! Plain data. No IO, no clock, no threads; every other crate of the agent may import this one and
//! this one imports none of them.
#![forbid(unsafe_code)]

mod ancestors;
mod api_access;
mod capability;
mod container;
mod credentials;
mod device;
mod dns_record;
mod endpoint;
mod enrichment;
mod errno;
mod event;
mod exec_detail;
mod exec_id;
mod file;
mod finding;
mod flags;
mod flow;
mod flow_record;
mod judgement;
mod kernel;
mod loss;
mod memory;
mod namespace;
mod observation;
mod operation;
mod pod;
mod policy_ref;
mod process;
mod protocol;
mod record;
mod signal;
mod time;
mod verdict;
mod workload;

pub use ancestors::{ANCESTORS_MAX, AncestorView, Ancestors};
pub use api_access::{ApiAccessRecord, ApiAnswer, ApiCaller, ApiRequest};
pub use capability::{CapabilityEvent, CapabilityView, capability_name, capability_names, capability_number};
pub use container::ContainerView;
pub use credentials::{CredentialSet, CredentialSetView, CredentialsEvent, CredentialsView};
pub use device::Device;
pub use dns_record::{DnsAnswer, DnsRecord};
pub use endpoint::{SocketEvent, SocketView, StdioEvent, StdioView};
pub use enrichment::{Enrichment, EnrichmentOutcome, Missing};
pub use errno::errno_name;
pub use event::{Detail, Event, EventFacts, EventRecord, Interface, TargetView};
pub use exec_detail::ExecDetail;
pub use exec_id::{ExecId, ParseExecIdError};
pub use file::{FileEvent, FileView};
pub use finding::{
    CandidateEffect, Finding, FindingExample, FindingKind, FindingProcess, FindingState, NearestRule, Party,
    PartyKind, PolicyFacts, RulePlace, Severity,
};
pub use flags::clone_flag_names;
pub use flow::{
    CloseReason, Flow, FlowCounters, FlowDrop, FlowEnd, Icmp, Origin, Owner, OwnerUnknown, Packets, Payload,
    PayloadKind, Side,
};
pub use flow_record::{BackendView, EndpointView, FlowRecord, FlowStage, ServiceView, TlsView};
pub use judgement::{Judgement, MeshView, MeshWord, VerdictAt};
pub use kernel::{KernelEvent, KernelView, NumberName};
pub use loss::{KindCounters, RecordKind};
pub use memory::{MemoryEvent, MemoryView};
pub use namespace::{NamespaceEvent, NamespaceView};
pub use observation::{BinaryFile, Body, Exec, Exit, Fork, Gap, Observation};
pub use operation::Operation;
pub use pod::{Identity, Pod, PodIps, PodUid, WorkloadRef};
pub use policy_ref::{Dialect, Direction, PolicyRef, RuleDetail, RuleRef, Tier};
pub use process::{ExitStatus, Namespaces, Process, ProcessOrigin, ProcessState};
pub use protocol::{ParseProtocolError, Protocol};
pub use record::{LossRecord, PodView, ProcessAction, ProcessRecord, ProcessView, Record, RecordBody};
pub use signal::{SignalEvent, SignalView, signal_name};
pub use time::{ParseWallTimeError, Timebase, WallTime};
pub use verdict::{ExemptReason, Outcome, SideVerdict, UnknownReason, Verdict};
pub use workload::{ContainerPort, Labels, Namespace, Node, Peer};
