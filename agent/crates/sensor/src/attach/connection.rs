//! What `sock_ops` does not tell of TCP connections: how those go that do not end, and the end of those that are older.

use super::{Hook, Probe, Rung};

/// The probe for connections that go on.
pub(crate) const TCP_UPDATES: &str = "tcp-updates";
/// The program of its first rung.
pub(crate) const TCP_SWEEP: &str = "tcp_sweep";
/// That of its second one.
pub(crate) const TCP_SWEEP_FILES: &str = "tcp_sweep_files";

pub(super) const PROBES: [Probe; 2] = [
    Probe {
        name: "tcp-older",
        purpose: "the end of TCP connections older than the agent",
        wanted: |_| true,
        structs: &["sock", "inet_sock", "tcp_sock"],
        rungs: &[Rung {
            hook: "tp_btf/inet_sock_set_state",
            programs: &[("tcp_older_end", Hook::TpBtf("inet_sock_set_state"))],
        }],
    },
    Probe {
        name: TCP_UPDATES,
        purpose: "how TCP connections go that do not end",
        wanted: |options| options.update_interval_seconds > 0,
        structs: &["sock", "inet_sock", "tcp_sock"],
        rungs: &[
            Rung {
                hook: "iter/bpf_sk_storage_map",
                programs: &[(TCP_SWEEP, Hook::IterateMap("bpf_sk_storage_map", "SOCKETS"))],
            },
            Rung { hook: "iter/task_file", programs: &[(TCP_SWEEP_FILES, Hook::Iterate("task_file"))] },
            // No program at all: the agent borrows the sockets of every process, and asks each.
            Rung { hook: "pidfd_getfd + TCP_INFO", programs: &[] },
        ],
    },
];
