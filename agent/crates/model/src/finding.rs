//! What deserves somebody's attention, rolled up: one finding stands for everything that is alike.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::{
    Direction, ExecId, Outcome, PodView, PolicyRef, Protocol, RuleRef, ServiceView, WallTime, WorkloadRef,
};

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Flows that policy intent denies.
    PolicyViolation,
    /// Flows about which no policy says anything.
    UncoveredFlow,
    /// Flows in plaintext where policy requires mutual TLS.
    PlaintextWhereMtlsRequired,
    /// Open flows of which policy says something else since it was changed.
    VerdictChanged,
    /// Flows of which policies that are candidates would have policy say something else.
    CandidateDifference,
}

impl FindingKind {
    /// All kinds, for metric families that exist from the start.
    pub const ALL: [Self; 5] = [
        Self::PolicyViolation,
        Self::UncoveredFlow,
        Self::PlaintextWhereMtlsRequired,
        Self::VerdictChanged,
        Self::CandidateDifference,
    ];

    /// The name used in records, metrics and filters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PolicyViolation => "policy-violation",
            Self::UncoveredFlow => "uncovered-flow",
            Self::PlaintextWhereMtlsRequired => "plaintext-where-mtls-required",
            Self::VerdictChanged => "verdict-changed",
            Self::CandidateDifference => "candidate-difference",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much attention a finding deserves, from little to much.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked at some time.
    Low,
    /// To be looked at.
    Medium,
    /// To be looked at soon.
    High,
}

impl Severity {
    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Which of the records of one finding this is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingState {
    /// The first.
    New,
    /// It goes on.
    Ongoing,
    /// The last: nothing more of it has come for a while, or the agent ends.
    Ended,
}

impl FindingState {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ongoing => "ongoing",
            Self::Ended => "ended",
        }
    }
}

/// A finding as it stands. Its records have one `id`; counts are totals since the first of them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    /// The same for all that is alike, on every node and after a restart: 16 hexadecimal digits.
    pub id: String,
    /// What it is about.
    pub kind: FindingKind,
    /// How much attention it deserves.
    pub severity: Severity,
    /// Which of its records this is.
    pub state: FindingState,
    /// What happened, to be read without the other fields.
    pub title: String,
    /// Why, in one phrase: the rule, the policies, or what differs.
    pub reason: String,
    /// Who did it, or whose flows they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Party>,
    /// To whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Party>,
    /// Protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Port of the destination, where the protocol has ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What policy says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Box<PolicyFacts>>,
    /// How often it happened so far; of findings about flows their number. A connection of which both ends are on this
    /// node is one.
    pub count: u64,
    /// How often since the finding's record before this one.
    pub count_new: u64,
    /// How many of them were attempts at a connection that never was established.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Payload, both ways, of those of its flows that have ended so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When it happened first.
    pub first: WallTime,
    /// When it happened last.
    pub last: WallTime,
    /// The first of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Box<FindingExample>>,
    /// It stands for everything of its kind that had no room as a finding of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overflow: bool,
}

impl Finding {
    /// The namespace whose policies it is about, or that it happened in: that of the pod which policy selects, else that
    /// of either end. Empty where neither has one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        let (source, destination) = (self.source.as_ref(), self.destination.as_ref());
        let ends = match self.policy.as_ref().and_then(|policy| policy.direction) {
            Some(Direction::Egress) => [source, destination],
            Some(Direction::Ingress) | None => [destination, source],
        };
        ends.into_iter().flatten().find_map(|party| party.namespace.as_deref()).unwrap_or_default()
    }
}

/// One side of a finding: never an address of a pod, which comes and goes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct Party {
    /// What it is.
    pub kind: PartyKind,
    /// Namespace of workloads, pods and services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Arc<str>>,
    /// What pods belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadRef>,
    /// Name of the pod, service or node; of addresses outside the cluster the range that they are counted under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
}

/// What a side of a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartyKind {
    /// All pods of one Deployment, StatefulSet, …
    Workload,
    /// A pod that belongs to nothing.
    Pod,
    /// A service of which it is not known who answered for it.
    Service,
    /// A node.
    Node,
    /// Addresses outside of the cluster.
    World,
    /// Somebody of the cluster, not known who.
    Unresolved,
}

impl PartyKind {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Pod => "pod",
            Self::Service => "service",
            Self::Node => "node",
            Self::World => "world",
            Self::Unresolved => "unresolved",
        }
    }
}

impl Party {
    /// Who has no more than a name.
    #[must_use]
    pub const fn named(kind: PartyKind, name: Option<Arc<str>>) -> Self {
        Self { kind, namespace: None, workload: None, name }
    }
}

impl From<&PodView> for Party {
    fn from(pod: &PodView) -> Self {
        let namespace = Some(Arc::clone(&pod.namespace));
        match &pod.workload {
            Some(workload) => {
                Self { kind: PartyKind::Workload, namespace, workload: Some(workload.clone()), name: None }
            }
            None => Self { kind: PartyKind::Pod, namespace, workload: None, name: Some((&*pod.name).into()) },
        }
    }
}

impl From<&ServiceView> for Party {
    fn from(service: &ServiceView) -> Self {
        let (namespace, name) = (Some(Arc::clone(&service.namespace)), Some(Arc::clone(&service.name)));
        Self { kind: PartyKind::Service, namespace, workload: None, name }
    }
}

impl fmt::Display for Party {
    /// `shop/Deployment/api`, `shop/db`, `node node-1`, `world 203.0.113.0/24`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, workload, name } = self;
        if !matches!(kind, PartyKind::Workload | PartyKind::Pod) {
            f.write_str(kind.as_str())?;
            if namespace.is_some() || name.is_some() {
                f.write_str(" ")?;
            }
        }
        if let Some(namespace) = namespace {
            write!(f, "{namespace}/")?;
        }
        match (workload, name) {
            (Some(WorkloadRef { kind, name }), _) => write!(f, "{kind}/{name}"),
            (None, Some(name)) => f.write_str(name),
            (None, None) => Ok(()),
        }
    }
}

/// What policy says of the flows of a finding.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct PolicyFacts {
    /// The direction that decides: seen from the pod that policy selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What policy said before; of candidates, what the policies in force say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Outcome>,
    /// What policy says; of candidates, what it would say with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What would become of flows if the candidates were in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<CandidateEffect>,
    /// The rule that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RulePlace>,
    /// Every policy that isolates the pod in this direction, where no rule decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub isolating: Vec<Arc<PolicyRef>>,
    /// Those of the candidates that make the difference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Arc<PolicyRef>>,
    /// The rule that came nearest to allowing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<NearestRule>,
    /// What denies it in the other direction as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also: Option<String>,
    /// The policies that were in force, by the number of their change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

/// What would become of a flow if the candidates were in force.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateEffect {
    /// It would be denied and is not now.
    WouldBreak,
    /// It would not be denied and is now.
    WouldOpen,
    /// It would be allowed by a rule and is not covered now.
    WouldCover,
    /// It would not be covered and is allowed by a rule now.
    WouldUncover,
}

impl CandidateEffect {
    /// All effects, for metric families that exist from the start.
    pub const ALL: [Self; 4] = [Self::WouldBreak, Self::WouldOpen, Self::WouldCover, Self::WouldUncover];

    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WouldBreak => "would-break",
            Self::WouldOpen => "would-open",
            Self::WouldCover => "would-cover",
            Self::WouldUncover => "would-uncover",
        }
    }
}

/// A rule by the place where it stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct RulePlace {
    /// The object.
    pub policy: Arc<PolicyRef>,
    /// The place in the object, as `spec.ingress[0] from[1] ports[0]`.
    pub path: String,
}

impl From<&RuleRef> for RulePlace {
    fn from(rule: &RuleRef) -> Self {
        Self { policy: Arc::clone(&rule.policy), path: rule.path() }
    }
}

/// A rule that almost allowed something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NearestRule {
    /// The rule.
    #[serde(flatten)]
    pub rule: RulePlace,
    /// What fits and what does not, as `port but not peer`.
    pub differs: String,
}

/// One of the things that a finding stands for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FindingExample {
    /// Cookie of the socket, as in the flow's own records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// Community ID of the flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub community_id: Option<String>,
    /// Address and port of who opened the flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<SocketAddr>,
    /// Address and port that it went to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<SocketAddr>,
    /// The process at the observed end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<FindingProcess>,
}

/// A process as findings name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FindingProcess {
    /// Identity.
    pub exec_id: ExecId,
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Executable path.
    pub binary: String,
    /// Pod it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodView>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_named_by_what_stays() {
        let mut pod = PodView::named("shop", "api-7d9f-x");
        assert_eq!(Party::from(&pod).to_string(), "shop/api-7d9f-x");
        pod.workload = Some(WorkloadRef { kind: "Deployment".into(), name: "api".into() });
        assert_eq!(Party::from(&pod).to_string(), "shop/Deployment/api");
        let service = ServiceView { namespace: "shop".into(), name: "db".into() };
        assert_eq!(Party::from(&service).to_string(), "service shop/db");
        assert_eq!(Party::named(PartyKind::Node, Some("a".into())).to_string(), "node a");
        assert_eq!(Party::named(PartyKind::Unresolved, None).to_string(), "unresolved");
    }
}
