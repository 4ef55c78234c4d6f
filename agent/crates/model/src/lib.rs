//! The words everything else speaks: processes, workloads, flows, verdicts and the records that leave the agent.
//!
//! Plain data. No IO, no clock, no threads; every other crate of the agent may import this one and
//! this one imports none of them.
#![forbid(unsafe_code)]

mod exec_id;
mod flow;
mod loss;
mod observation;
mod policy_ref;
mod process;
mod protocol;
mod record;
mod time;
mod verdict;
mod workload;

pub use exec_id::{ExecId, ParseExecIdError};
pub use flow::{CloseReason, Flow, FlowCounters, FlowEnd, Origin, Owner, OwnerUnknown, Side};
pub use loss::{KindCounters, RecordKind};
pub use observation::{Body, Exec, Exit, Fork, Observation};
pub use policy_ref::{Dialect, Direction, PolicyRef, RuleRef, Tier};
pub use process::{ExitStatus, Namespaces, Process, ProcessOrigin, ProcessState};
pub use protocol::{ParseProtocolError, Protocol};
pub use record::{
    EndpointView, FlowRecord, FlowStage, LossRecord, PodView, ProcessAction, ProcessRecord, ProcessView,
    Record, RecordBody,
};
pub use time::{Timebase, WallTime};
pub use verdict::{ExemptReason, Outcome, SideVerdict, UnknownReason, Verdict};
pub use workload::{ContainerPort, Labels, Namespace, Node, Peer, Pod};
