//! The wire between the kernel programs and the agent: fixed-layout records, in host byte order.
//!
//! Every record begins with a [`Header`] of 64 bytes that says its kind, its exact size and who acted. Types are
//! `repr(C)` with explicit padding; there is no `bool` and no `enum` on the wire, only codes with named values.
#![no_std]

mod cgroup;
mod counters;
mod header;
mod offsets;
mod process;
mod socket;
mod tcp;

pub use cgroup::{CGROUP_PATH_BYTES_MAX, CGROUP_REMOVED, CgroupRecord};
pub use counters::KindCount;
pub use header::{Header, KIND_COUNT, Kind, WIRE_VERSION};
pub use offsets::{KernelField, Offsets, UNKNOWN_OFFSET};
pub use process::{
    ARGS_BYTES_MAX, EXEC_ARGS_TRUNCATED, ExecRecord, ExitRecord, ForkRecord, NAME_BYTES_MAX, PATH_BYTES_MAX,
    PATH_COMPONENTS_MAX,
};
pub use socket::{OWNER_BEFORE_START, OWNER_KNOWN, SocketState};
pub use tcp::{FLAG_CLIENT, FLAG_FIN_ACKED, FLAG_FIN_RECEIVED, TCP_NO_ERROR_KNOWN, TcpRecord};
