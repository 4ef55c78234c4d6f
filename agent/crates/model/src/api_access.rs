//! Requests to the agent's own HTTP API.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

/// One request to the API with what it was answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ApiAccessRecord {
    /// Who asked.
    pub caller: ApiCaller,
    /// For what.
    pub request: ApiRequest,
    /// What was answered.
    pub answer: ApiAnswer,
}

/// Who asked: a process on this node over the unix socket, or a client over TCP.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct ApiCaller {
    /// User id of the process (`SO_PEERCRED`, unix(7)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Its process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Address of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Name that the client's token stands for; none where it was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
}

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ApiRequest {
    /// Method.
    pub method: String,
    /// Path, as it was sent.
    pub path: String,
    /// Query, as it was sent, without the question mark.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// Whether path or query are longer than is told here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// What was answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ApiAnswer {
    /// Status (RFC 9110, 15).
    pub status: u16,
    /// Records in the answer.
    pub records: u64,
    /// Bytes of its content.
    pub bytes: u64,
    /// From the head of the request to the last byte of the answer, nanoseconds.
    pub duration_ns: u64,
    /// Whether the client went away, or was cut off, before the end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}
