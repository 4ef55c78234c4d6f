//! What filters look at, read out of a line without the rest of it.

use std::net::SocketAddr;

use serde::Deserialize;
use watchfire_model::WallTime;

use super::Ends;

/// What all records have.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) time: WallTime,
    #[serde(rename = "type")]
    record_type: String,
}

impl Head {
    pub(super) fn is_flow_or_dns(&self) -> bool {
        matches!(self.record_type.as_str(), "flow" | "dns")
    }
}

/// What flow and DNS records have.
#[derive(Deserialize)]
pub(super) struct Facts {
    #[serde(rename = "type")]
    pub(super) record_type: String,
    pub(super) stage: Option<String>,
    pub(super) protocol: String,
    client: End,
    server: End,
    pub(super) process: Option<Process>,
    pub(super) verdict: Option<Verdict>,
    pub(super) close_reason: Option<String>,
    pub(super) drop: Option<Drop>,
    pub(super) tls: Option<Tls>,
    pub(super) query: Option<String>,
    pub(super) rcode: Option<String>,
}

impl Facts {
    pub(super) fn ends(&self, ends: Ends) -> impl Iterator<Item = &End> {
        let client = (ends != Ends::Server).then_some(&self.client);
        let server = (ends != Ends::Client).then_some(&self.server);
        client.into_iter().chain(server)
    }
}

#[derive(Deserialize)]
pub(super) struct End {
    address: SocketAddr,
    pub(super) pod: Option<Named>,
    #[serde(default)]
    pub(super) names: Vec<String>,
    pub(super) service: Option<Named>,
    backend: Option<Backend>,
}

impl End {
    /// The address that was used, and the one that it led to.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let backend = self.backend.as_ref().and_then(|backend| backend.address);
        [Some(self.address), backend].into_iter().flatten()
    }
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) namespace: String,
    pub(super) name: String,
}

#[derive(Deserialize)]
struct Backend {
    address: Option<SocketAddr>,
}

#[derive(Deserialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    #[serde(default)]
    pub(super) binary: String,
    #[serde(default)]
    pub(super) args: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Verdict {
    pub(super) outcome: String,
}

#[derive(Deserialize)]
pub(super) struct Drop {
    pub(super) reason: String,
}

#[derive(Deserialize)]
pub(super) struct Tls {
    pub(super) sni: Option<String>,
}
