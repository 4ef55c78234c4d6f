//! What is read out of the agent's records. What an older agent does not tell has its default.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer};
use watchfire_model::Protocol;

/// One line of the observe socket.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Flow(Box<FlowLine>),
    Dns(Box<DnsLine>),
    Process(Box<ProcessLine>),
    Finding(Box<FindingLine>),
    Loss(Box<LossLine>),
    /// The agent threw away what this screen was too slow to read.
    ObserverLoss(u64),
    /// A record that nothing here is made of.
    Other,
}

impl Line {
    /// Reads a line. The type is looked at first, so that no record is read into a tree.
    pub(crate) fn parse(line: &str) -> serde_json::Result<Self> {
        let Tagged { record_type, lost } = serde_json::from_str(line)?;
        Ok(match record_type.as_str() {
            "flow" => Self::Flow(serde_json::from_str(line)?),
            "dns" => Self::Dns(serde_json::from_str(line)?),
            "process" => Self::Process(serde_json::from_str(line)?),
            "finding" => Self::Finding(serde_json::from_str(line)?),
            "loss" => Self::Loss(serde_json::from_str(line)?),
            "observer-loss" => Self::ObserverLoss(lost),
            _ => Self::Other,
        })
    }
}

#[derive(Deserialize)]
struct Tagged {
    #[serde(rename = "type")]
    record_type: String,
    #[serde(default)]
    lost: u64,
}

/// Which moment of a flow a record tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    Open,
    Close,
    Failed,
    Found,
    Update,
    Dropped,
    VerdictChanged,
    #[serde(other)]
    Other,
}

impl Stage {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Failed => "failed",
            Self::Found => "found",
            Self::Update => "update",
            Self::Dropped => "dropped",
            Self::VerdictChanged => "verdict-changed",
            Self::Other => "other",
        }
    }
}

/// Which end of a flow the observed socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    Client,
    Server,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FlowLine {
    #[serde(deserialize_with = "wall_ns")]
    pub(crate) time: i64,
    pub(crate) boot_ns: u64,
    pub(crate) stage: Stage,
    pub(crate) cookie: u64,
    pub(crate) protocol: Protocol,
    pub(crate) icmp: Option<Icmp>,
    #[serde(default)]
    pub(crate) community_id: String,
    pub(crate) side: Side,
    #[serde(default)]
    pub(crate) direction_guessed: bool,
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    pub(crate) process: Option<Process>,
    pub(crate) process_unknown: Option<String>,
    #[serde(default)]
    pub(crate) netns: u32,
    #[serde(default)]
    pub(crate) origin: String,
    #[serde(deserialize_with = "wall_ns")]
    pub(crate) opened: i64,
    pub(crate) verdict: Verdict,
    #[serde(default)]
    pub(crate) because: String,
    /// What policies say by now, where that changed since the flow began.
    pub(crate) verdict_now: Option<VerdictNow>,
    pub(crate) close_reason: Option<String>,
    pub(crate) duration_ns: Option<u64>,
    pub(crate) handshake_us: Option<u64>,
    pub(crate) counters: Option<Counters>,
    pub(crate) tls: Option<Tls>,
    #[serde(default)]
    pub(crate) plaintext: bool,
    pub(crate) drop: Option<Dropped>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct VerdictNow {
    verdict: Verdict,
    #[serde(default)]
    because: String,
}

impl FlowLine {
    /// Lets what policies say by now stand for what they said at the start.
    pub(crate) fn take_verdict_now(&mut self) {
        if let Some(VerdictNow { verdict, because }) = self.verdict_now.take() {
            (self.verdict, self.because) = (verdict, because);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
pub(crate) struct Icmp {
    #[serde(rename = "type")]
    pub(crate) icmp_type: u8,
    pub(crate) code: u8,
    pub(crate) id: u16,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) pod: Option<Pod>,
    #[serde(default)]
    pub(crate) kind: String,
    pub(crate) detail: Option<String>,
    #[serde(default)]
    pub(crate) names: Vec<String>,
    pub(crate) service: Option<Pod>,
    pub(crate) backend: Option<Backend>,
}

/// A pod, or anything else that has a namespace and a name.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Backend {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) by: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Process {
    pub(crate) exec_id: String,
    pub(crate) pid: u32,
    #[serde(default)]
    pub(crate) binary: String,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) cwd: String,
    #[serde(default)]
    pub(crate) uid: u32,
    #[serde(default)]
    pub(crate) cgroup_id: u64,
    pub(crate) cgroup: Option<String>,
    pub(crate) pod: Option<Pod>,
}

#[derive(Clone, Copy, Default, Debug, Deserialize)]
pub(crate) struct Counters {
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) segments_sent: Option<u64>,
    pub(crate) segments_received: Option<u64>,
    pub(crate) retransmits: Option<u64>,
    pub(crate) srtt_us: Option<u64>,
    pub(crate) min_rtt_us: Option<u64>,
    pub(crate) datagrams_sent: Option<u64>,
    pub(crate) datagrams_received: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tls {
    pub(crate) sni: Option<String>,
    #[serde(default)]
    pub(crate) alpn: Vec<String>,
    #[serde(default)]
    pub(crate) versions: Vec<String>,
    pub(crate) ja4: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dropped {
    pub(crate) reason: String,
    pub(crate) packets: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) outcome: String,
    pub(crate) egress: Half,
    pub(crate) ingress: Half,
}

/// The verdict of one direction.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Half {
    pub(crate) verdict: String,
    pub(crate) rule: Option<Rule>,
    #[serde(default)]
    pub(crate) isolating: Vec<Policy>,
    pub(crate) reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Rule {
    pub(crate) direction: String,
    pub(crate) policy: Policy,
    pub(crate) rule: u32,
    pub(crate) peer: Option<u32>,
    pub(crate) port: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Policy {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DnsLine {
    #[serde(deserialize_with = "wall_ns")]
    pub(crate) time: i64,
    pub(crate) boot_ns: u64,
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    pub(crate) protocol: Protocol,
    pub(crate) process: Option<Process>,
    pub(crate) query: String,
    pub(crate) query_type: String,
    pub(crate) rcode: Option<String>,
    #[serde(default)]
    pub(crate) answers: Vec<DnsAnswer>,
    pub(crate) latency_us: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DnsAnswer {
    pub(crate) ttl: u32,
    pub(crate) data: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ProcessLine {
    #[serde(deserialize_with = "wall_ns")]
    pub(crate) time: i64,
    pub(crate) boot_ns: u64,
    pub(crate) action: String,
    pub(crate) process: Process,
    pub(crate) parent: Option<Process>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LossLine {
    pub(crate) boot_ns: u64,
    pub(crate) kind: String,
    pub(crate) cgroup_id: Option<u64>,
    pub(crate) cgroup: Option<String>,
    pub(crate) pod: Option<Pod>,
    pub(crate) lost: u64,
    pub(crate) suppressed: u64,
    #[serde(deserialize_with = "wall_ns")]
    pub(crate) first: i64,
    #[serde(deserialize_with = "wall_ns")]
    pub(crate) last: i64,
}

/// A finding, as far as it is counted.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FindingLine {
    #[serde(deserialize_with = "wall_ns")]
    pub(crate) time: i64,
    pub(crate) boot_ns: u64,
    pub(crate) state: String,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) count_new: u64,
}

/// RFC 3339 as nanoseconds since the Unix epoch.
fn wall_ns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    i64::try_from(time.as_nanosecond()).map_err(serde::de::Error::custom)
}
