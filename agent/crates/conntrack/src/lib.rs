//! What the kernel's connection tracking made of a connection: the backend that a service's address led to.
//!
//! Asked over ctnetlink, one flow at a time, by a thread of its own: who asks never waits longer than
//! [`ANSWER_TIMEOUT`], and not at all while an answer is overdue.
#![forbid(unsafe_code)]

mod message;
mod namespace;
mod reader;
mod socket;
mod tracker;

pub use message::Tuple;
pub use namespace::NetworkNamespace;
pub use reader::{ConntrackError, REOPEN_INTERVAL, examine};
pub use tracker::{ANSWER_TIMEOUT, Conntrack, ConntrackCounters, FIRST_ANSWER_TIMEOUT};
