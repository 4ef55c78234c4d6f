//! What was asked of DNS, and answered.

use std::borrow::Cow;

use serde::Serialize;

use crate::{EndpointView, OwnerUnknown, ProcessView, Protocol};

/// A DNS query with its answer, or without one.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DnsRecord {
    /// Who asked.
    pub client: EndpointView,
    /// Who was asked.
    pub server: EndpointView,
    /// UDP or TCP.
    pub protocol: Protocol,
    /// The process that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessView>,
    /// Why that process is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_unknown: Option<OwnerUnknown>,
    /// Network namespace inode, 0 where not known.
    pub netns: u32,
    /// Message id.
    pub id: u16,
    /// Name asked for, without its last dot; `.` for the root.
    pub query: String,
    /// Type asked for, as `A`.
    pub query_type: Cow<'static, str>,
    /// How it was answered, as `NOERROR` or `NXDOMAIN`; absent where no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<Cow<'static, str>>,
    /// The answer section.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<DnsAnswer>,
    /// From query to answer, microseconds; absent where only one of the two was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// The server cut the answer (TC), or it was longer than what was copied of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// One resource record of an answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DnsAnswer {
    /// Owner name.
    pub name: String,
    /// Type, as `A`.
    #[serde(rename = "type")]
    pub record_type: Cow<'static, str>,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// Address or target name; absent for types that are not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}
