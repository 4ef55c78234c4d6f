//! The kernel boundary: BTF offsets, the attach ladder, the ring and its loss account.
//!
//! The only crate of the agent that names aya.

mod account;
mod attach;
mod btf;
mod cgroup_members;
mod decode;
mod doctor;
mod host;
mod kernel;
mod offsets;
mod procfs;
mod reader;
mod self_test;
mod sensor;
mod sockets;
mod status;

pub use doctor::{Diagnosis, Fact, Health, diagnose};
pub use host::{Host, HostError, NoCgroupRoot};
pub use kernel::LoadError;
pub use self_test::{SELF_TEST_ARGUMENT, SelfTestError};
pub use sensor::{Options, RING_BYTES_DEFAULT, RING_BYTES_RANGE, Sensor, StartError, start};
pub use status::{ProbeStatus, RefusedRung};
