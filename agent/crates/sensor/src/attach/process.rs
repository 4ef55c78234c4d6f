//! Process life, cgroups and TCP connections: always watched.

use super::{Hook, Probe, Rung};
use crate::options::Options;

/// The probe without which records say nothing of programs.
pub(crate) const PROCESS_EXEC: &str = "process-exec";
/// The probe without which connections have no process.
pub(crate) const SOCKET_OWNER: &str = "socket-owner";

const ALWAYS: fn(&Options) -> bool = |_| true;

/// Owners are written to sockets before connections are reported.
pub(super) const PROBES: [Probe; 7] = [
    Probe {
        name: "process-fork",
        purpose: "new processes",
        wanted: ALWAYS,
        structs: &[],
        rungs: &[Rung {
            hook: "tp_btf/task_newtask",
            programs: &[("process_fork", Hook::TpBtf("task_newtask"))],
        }],
    },
    Probe {
        name: PROCESS_EXEC,
        purpose: "program execution",
        wanted: ALWAYS,
        structs: &[],
        rungs: &[Rung {
            hook: "tp_btf/sched_process_exec",
            programs: &[("process_exec", Hook::TpBtf("sched_process_exec"))],
        }],
    },
    Probe {
        name: "process-exit",
        purpose: "the end of processes",
        wanted: ALWAYS,
        structs: &[],
        rungs: &[Rung {
            hook: "tp_btf/sched_process_exit",
            programs: &[("process_exit", Hook::TpBtf("sched_process_exit"))],
        }],
    },
    Probe {
        name: "cgroup",
        purpose: "new cgroups at once (they are looked up when first met)",
        wanted: ALWAYS,
        structs: &[],
        rungs: &[Rung {
            hook: "tp_btf/cgroup_{mkdir,rmdir}",
            programs: &[
                ("cgroup_made", Hook::TpBtf("cgroup_mkdir")),
                ("cgroup_removed", Hook::TpBtf("cgroup_rmdir")),
            ],
        }],
    },
    Probe {
        name: SOCKET_OWNER,
        purpose: "the process that opens a connection",
        wanted: ALWAYS,
        structs: &[],
        rungs: &[Rung {
            hook: "cgroup/sock_create + cgroup/connect{4,6}",
            programs: &[
                ("socket_create", Hook::Cgroup),
                ("socket_connect4", Hook::Cgroup),
                ("socket_connect6", Hook::Cgroup),
            ],
        }],
    },
    Probe {
        name: "listen-owner",
        purpose: "the process that listens, where another one made the socket",
        wanted: ALWAYS,
        structs: &[],
        rungs: &[
            Rung { hook: "lsm/socket_listen", programs: &[("listen_lsm", Hook::Lsm("socket_listen"))] },
            Rung {
                hook: "fentry/security_socket_listen",
                programs: &[("listen_fentry", Hook::FEntry("security_socket_listen"))],
            },
            Rung {
                hook: "cgroup/post_bind{4,6}",
                programs: &[("listen_bind4", Hook::Cgroup), ("listen_bind6", Hook::Cgroup)],
            },
        ],
    },
    Probe {
        name: "tcp",
        purpose: "TCP connections",
        wanted: ALWAYS,
        structs: &[],
        rungs: &[Rung { hook: "sock_ops", programs: &[("tcp_events", Hook::Cgroup)] }],
    },
];
