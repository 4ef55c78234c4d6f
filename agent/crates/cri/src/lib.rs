//! Containers and pods of the node, as the container runtime tells them over its CRI socket: without any Kubernetes API,
//! and before the first process of a container does anything that matters.
//!
//! One task on tokio owns the connection. It lists everything at the start, after each reconnect and now and then;
//! between the lists it is asked for single containers ([`Cri::lookup`]) when the kernel tells of a new cgroup. Whatever
//! the runtime does (hang, restart, answer garbage), nobody waits for it: look-ups are queued or refused, and changes
//! come through a bounded channel.
#![forbid(unsafe_code)]

mod client;
mod connection;
mod convert;
mod cri;
mod error;
mod events;
#[cfg(test)]
mod fake;
mod info;
mod known;
mod limits;
mod list;
mod lookup;
mod options;
mod proto;
mod session;
mod state;
mod stop;
#[cfg(test)]
mod tests;
mod worker;

pub use cri::Cri;
pub use error::CriError;
pub use limits::{
    CONTAINERS_MAX, IDENTIFIER_BYTES_MAX, INFO_BYTES_MAX, LABELS_MAX, LIST_TIMEOUT, LOOKUPS_QUEUED_MAX,
    MOUNTS_MAX, POD_ADDRESSES_MAX, REQUEST_TIMEOUT, REQUESTS_IN_FLIGHT_MAX, RESPONSE_BYTES_MAX,
    RESYNC_INTERVAL, TEXT_BYTES_MAX,
};
pub use options::{CriOptions, SOCKETS};
pub use state::{CriCounters, CriState, RuntimeVersion};
