//! The kernel boundary: BTF offsets, the attach ladder, the ring and its loss account.
//!
//! The only crate of the agent that names aya.

mod account;
mod attach;
mod btf;
mod cgroup_members;
mod cgroup_root;
mod decode;
mod doctor;
mod drop_reasons;
mod filter;
mod filter_maps;
mod flow_maps;
mod frozen;
mod gaps;
mod host;
mod kernel;
mod late;
mod links;
mod objects;
mod offsets;
mod options;
mod pin;
mod plan;
mod procfs;
mod reader;
mod self_test;
mod sensor;
mod sockets;
mod status;
mod sweep;
mod syscalls;
mod wire_maps;

pub use cgroup_root::{CgroupRoot, NoCgroupRoot};
pub use doctor::{Diagnosis, Fact, Health, diagnose};
pub use filter::FilterError;
pub use host::{Host, HostError, boot_ns, timebase};
pub use kernel::LoadError;
pub use late::LateRoot;
pub use options::{
    FILTER_COMPONENT_BYTES_MAX, FILTER_INODES_MAX, FILTER_PATHS_MAX, Families, FileFilter, Flows, Options,
    RATE_DEFAULT, RING_BYTES_DEFAULT, RING_BYTES_RANGE, Rate, UPDATE_INTERVAL_SECONDS_DEFAULT,
};
pub use pin::{Detached, PinError, detach};
pub use self_test::{SELF_TEST_ARGUMENT, SelfTestError};
pub use sensor::{Sensor, StartError, start};
pub use status::{ProbeStatus, ProgramStatistics, RefusedRung, slowing_probes};
pub use sweep::SweepCounts;
