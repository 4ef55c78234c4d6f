//! Harness of the tests that run the real agent on a real kernel, here and in VMs.
//!
//! A test that cannot run on this machine is skipped by name, with its reason.
#![forbid(unsafe_code)]

mod agent;
mod certificate;
mod lines;
mod need;
pub mod policy;
mod running;
pub mod scraping;
mod suite;

pub use agent::{Agent, AgentCommand, PATIENCE, watchfire};
pub use certificate::{make_certificate, make_certificate_for};
pub use need::{Need, cgroup2_root};
pub use running::{
    FAMILIES, agent, ask_who, bare, command, has_argument, http_address, http_get, metric, metric_until,
    nonce, only, ready, until, who, who_until,
};
pub use suite::Suite;
