//! Flows as they leave the agent: joined with who stands at the ends, and with the verdict.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::{
    CloseReason, FlowCounters, FlowDrop, Icmp, Judgement, Origin, OwnerUnknown, PodView, ProcessView,
    Protocol, Side, Verdict, WallTime,
};

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
    /// Goes on: totals so far.
    Update,
    /// The kernel threw packets of it away.
    Dropped,
    /// Goes on: other policies came into force, and by them its verdict is another.
    VerdictChanged,
}

impl FlowStage {
    /// All stages, for metric families that exist from the start.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::Close,
        Self::Failed,
        Self::Found,
        Self::Update,
        Self::Dropped,
        Self::VerdictChanged,
    ];

    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Failed => "failed",
            Self::Found => "found",
            Self::Update => "update",
            Self::Dropped => "dropped",
            Self::VerdictChanged => "verdict-changed",
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
    /// What an ICMP flow asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
    /// Community ID, version 1, seed 0: joins with what Zeek and Suricata tell of the same flow.
    pub community_id: String,
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
    /// What policy intent says: by the policies of its start, and in a record of a change by those that came.
    pub verdict: Verdict,
    /// The deciding rule, policy or reason in one phrase.
    pub because: String,
    /// By what it was judged.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// How it ended, at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<CloseReason>,
    /// How long it lasted, nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<u64>,
    /// From the attempt to the establishment, microseconds; of client sockets that were seen to connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_us: Option<u64>,
    /// Totals, at its end and in updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<FlowCounters>,
    /// What the client said to open TLS, once it was seen: in updates and at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Arc<TlsView>>,
    /// The server's port is one for TLS, and what the client sent did not open TLS.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plaintext: bool,
    /// What the kernel threw away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<FlowDrop>,
}

/// What a TLS client offers in its `ClientHello` (RFC 8446, section 4.1.2).
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct TlsView {
    /// Server name (RFC 6066, section 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Application protocols, in the client's order (RFC 7301).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// Versions offered, as `TLS 1.3`, in the client's order.
    pub versions: Vec<Cow<'static, str>>,
    /// JA4 fingerprint; absent where the message was not seen whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja4: Option<String>,
    /// The message was longer than what was copied of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
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
    pub detail: Option<Arc<str>>,
    /// Whether an API server of the cluster answers at this address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub api_server: bool,
    /// Names that lately stood for this address in an answer of DNS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Arc<str>>,
    /// The service that has this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceView>,
    /// Who the service's address led to, and how that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendView>,
}

/// A service as records name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ServiceView {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

/// Who a service's address led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct BackendView {
    /// Address and port of the backend; absent where it is not known which of several it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// `conntrack`: the kernel's own translation; `endpoints`: the only one of the service; `unresolved`.
    pub by: &'static str,
}

impl BackendView {
    /// The kernel's own translation.
    pub const CONNTRACK: &'static str = "conntrack";
    /// The only endpoint of the service.
    pub const ENDPOINTS: &'static str = "endpoints";
    /// Not known.
    pub const UNRESOLVED: &'static str = "unresolved";
    /// All values of `by`, for metric families that exist from the start.
    pub const BY: [&'static str; 3] = [Self::CONNTRACK, Self::ENDPOINTS, Self::UNRESOLVED];
}
