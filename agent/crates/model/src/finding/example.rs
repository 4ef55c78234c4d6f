//! One of the things that a finding stands for.

use std::sync::Arc;

use std::net::SocketAddr;

use serde::Serialize;

use crate::{ExecId, PodView};

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
    pub binary: Arc<str>,
    /// Pod it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodView>,
}
