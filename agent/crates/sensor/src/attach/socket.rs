//! Sockets other than TCP connections, signals, and sockets as standard streams.

use agent_common::{HANDLER_SOCKET, HANDLER_STDIO, Operation};

use super::{Hook, Probe, Rung, SYS_EXIT_HOOK};

/// What is asked for through io_uring is no system call, so the last rung has a program of its own for it.
const RING: (&str, Hook) = ("socket_ring", Hook::ExtraTpBtf("io_uring_submit_req"));

pub(super) const PROBES: [Probe; 4] = [
    Probe {
        name: "socket",
        purpose: "raw sockets, and sockets that wait for others",
        wanted: |options| options.families.socket,
        structs: &["socket", "sock"],
        rungs: &[
            Rung {
                hook: "lsm/socket_{create,bind,listen}",
                programs: &[
                    ("socket_create_lsm", Hook::Lsm("socket_create")),
                    ("socket_bind_lsm", Hook::Lsm("socket_bind")),
                    ("socket_listen_lsm", Hook::Lsm("socket_listen")),
                ],
            },
            Rung {
                hook: "fentry/security_socket_{create,bind,listen}",
                programs: &[
                    ("socket_create_fentry", Hook::FEntry("security_socket_create")),
                    ("socket_bind_fentry", Hook::FEntry("security_socket_bind")),
                    ("socket_listen_fentry", Hook::FEntry("security_socket_listen")),
                ],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[
                    (
                        "socket_syscall",
                        Hook::SysExit(
                            HANDLER_SOCKET,
                            &[Operation::SOCKET, Operation::BIND, Operation::LISTEN],
                        ),
                    ),
                    RING,
                ],
            },
        ],
    },
    Probe {
        name: "socket-connect",
        purpose: "connections to Unix sockets",
        wanted: |options| options.families.socket && options.unix_sockets,
        structs: &["socket", "sock"],
        rungs: &[
            Rung {
                hook: "lsm/socket_connect",
                programs: &[("socket_connect_lsm", Hook::Lsm("socket_connect"))],
            },
            Rung {
                hook: "fentry/security_socket_connect",
                programs: &[("socket_connect_fentry", Hook::FEntry("security_socket_connect"))],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[("socket_syscall", Hook::SysExit(HANDLER_SOCKET, &[Operation::CONNECT])), RING],
            },
        ],
    },
    Probe {
        name: "signal",
        purpose: "signals to other containers and to the agent",
        wanted: |options| options.families.signal,
        structs: &["kernel_siginfo"],
        rungs: &[Rung {
            hook: "tp_btf/signal_generate",
            programs: &[("signal_sent", Hook::TpBtf("signal_generate"))],
        }],
    },
    Probe {
        name: "stdio",
        purpose: "sockets in the place of standard input, output and error",
        wanted: |options| options.families.stdio,
        structs: &["socket", "sock"],
        rungs: &[
            Rung {
                hook: "fexit/sys_{dup,dup2,dup3,fcntl}",
                programs: &[
                    ("stdio_dup", Hook::Syscall("dup")),
                    ("stdio_dup_compat", Hook::CompatSyscall("sys_dup")),
                    ("stdio_dup2", Hook::NewSyscall("dup2")),
                    ("stdio_dup2_compat", Hook::CompatSyscall("sys_dup2")),
                    ("stdio_dup3", Hook::Syscall("dup3")),
                    ("stdio_dup3_compat", Hook::CompatSyscall("sys_dup3")),
                    ("stdio_fcntl", Hook::Syscall("fcntl")),
                    ("stdio_fcntl_compat", Hook::CompatSyscall("compat_sys_fcntl64")),
                    ("stdio_fcntl_compat_old", Hook::CompatSyscall("compat_sys_fcntl")),
                ],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[("stdio_syscall", Hook::SysExit(HANDLER_STDIO, &[Operation::DUP]))],
            },
        ],
    },
];
