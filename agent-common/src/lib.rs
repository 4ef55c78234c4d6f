//! The wire between the kernel programs and the agent: fixed-layout records, in host byte order.
//!
//! Every record begins with a [`Header`] of 64 bytes that says its kind, its exact size and who acted. Types are
//! `repr(C)` with explicit padding; there is no `bool` and no `enum` on the wire, only codes with named values.
#![no_std]

mod cgroup;
mod counters;
mod credentials;
mod datagram;
mod drop;
mod endpoint;
mod event;
mod file;
mod filter;
mod header;
mod kernel;
mod memory;
mod namespace;
mod offsets;
mod payload;
mod process;
mod signal;
mod socket;
mod tcp;

pub use cgroup::{CGROUP_PATH_BYTES_MAX, CGROUP_REMOVED, CgroupRecord};
pub use counters::{KindCount, Ledger, LedgerEntry, Loss, LossKey};
pub use credentials::{CREDENTIALS_OLD_KNOWN, CapabilityRecord, CredentialSet, CredentialsRecord};
pub use datagram::{
    DATAGRAM_CLIENT, DATAGRAM_FLOWS_MAX, DATAGRAM_GUESSED, DATAGRAM_RELEASED, DatagramRecord, DatagramState,
    FlowKey,
};
pub use drop::{DROP_REASONS_MAX, DROPS_MAX, DropKey, DropRecord, DropState, TCP_FLAG_ACK, TCP_FLAG_SYN};
pub use endpoint::{SocketRecord, StdioRecord};
pub use event::{
    EVENT_COMPAT, EVENT_IO_URING, EVENT_RESULT_KNOWN, EVENT_TRUNCATED, EVENT_UNREADABLE, EventHead,
    Operation, TEXT_BYTES_MAX,
};
pub use file::{
    FILE_BY_INODE, FILE_LENGTH_UNKNOWN, FILE_OTHER_TEXT, FILE_PATH_IN_FILESYSTEM, FILE_PATH_TEXT, FileRecord,
};
pub use filter::{
    FILTER_NAME_BYTES_MAX, FILTER_NAMED, FILTER_NODES_MAX, FILTER_READ, FILTER_WILDCARD, FILTER_WRITE,
    FilterKey, FilterNode, FilterRoot, HANDLER_CREDENTIALS, HANDLER_FILE, HANDLER_FILE_TEXT, HANDLER_KERNEL,
    HANDLER_MEMORY, HANDLER_NAMESPACE, HANDLER_SOCKET, HANDLER_STDIO, HANDLERS, InodeKey, NO_ARGUMENT,
    SYSCALL_NUMBERS, Syscall,
};
pub use header::{Header, KIND_COUNT, Kind, WIRE_VERSION};
pub use kernel::{KERNEL_NAME_IS_PATH, KernelRecord};
pub use memory::{MEMORY_WAS_WRITABLE, MEMORY_WRITABLE_UNKNOWN, MemoryRecord};
pub use namespace::NamespaceRecord;
pub use offsets::{KernelField, Offsets, UNKNOWN_OFFSET};
pub use payload::{
    CLIENT_HELLO_SEGMENTS_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_CLIENT_HELLO, PAYLOAD_CLIENT_HELLO_MORE,
    PAYLOAD_DNS, PAYLOAD_SMALL_BYTES_MAX, PAYLOAD_STREAM_BYTES_MAX, PayloadRecord,
};
pub use process::{
    ARGS_BYTES_MAX, ENV_BYTES_MAX, EXEC_ARGS_TRUNCATED, EXEC_ARGS_UNREADABLE, EXEC_ENV_TRUNCATED,
    EXEC_ENV_UNREADABLE, EXEC_OVERLAY, EXEC_SECURE, EXEC_UNLINKED, EXEC_UPPER_LAYER, ExecRecord, ExitRecord,
    ForkRecord, NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_COMPONENTS_MAX,
};
pub use signal::SignalRecord;
pub use socket::{
    CONNECTION_FOUND, HAD_DATAGRAMS, OWNER_BEFORE_START, OWNER_KNOWN, SERVES_DATAGRAMS, SocketState,
};
pub use tcp::{FLAG_CLIENT, FLAG_FIN_ACKED, FLAG_FIN_RECEIVED, FLAG_GUESSED, TCP_NO_ERROR_KNOWN, TcpRecord};
