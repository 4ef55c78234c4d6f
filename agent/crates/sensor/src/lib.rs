//! The kernel boundary: BTF offsets, the attach ladder, the ring and its loss account.
//!
//! The only crate of the agent that names aya.
mod host;
mod status;

pub use host::{Host, HostError};
pub use status::{ProbeStatus, RefusedRung};
