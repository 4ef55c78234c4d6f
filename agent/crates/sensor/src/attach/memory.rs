//! Code and control that enter processes, and memory that becomes executable.

use agent_common::{HANDLER_MEMORY, Operation};

use super::{Hook, Probe, Rung, SYS_EXIT_HOOK};

pub(super) const PROBES: [Probe; 2] = [
    Probe {
        name: "memory",
        purpose: "ptrace, writes into other processes, files in memory",
        wanted: |options| options.families.memory,
        structs: &[],
        rungs: &[
            Rung {
                hook: "fexit/sys_{ptrace,process_vm_writev,memfd_create,userfaultfd}",
                programs: &[
                    ("memory_ptrace", Hook::Syscall("ptrace")),
                    ("memory_ptrace_compat", Hook::CompatSyscall("compat_sys_ptrace")),
                    ("memory_vm_writev", Hook::NewSyscall("process_vm_writev")),
                    ("memory_vm_writev_compat", Hook::CompatSyscall("sys_process_vm_writev")),
                    ("memory_memfd_create", Hook::NewSyscall("memfd_create")),
                    ("memory_memfd_create_compat", Hook::CompatSyscall("sys_memfd_create")),
                    ("memory_userfaultfd", Hook::NewSyscall("userfaultfd")),
                    ("memory_userfaultfd_compat", Hook::CompatSyscall("sys_userfaultfd")),
                ],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[(
                    "memory_syscall",
                    Hook::SysExit(
                        HANDLER_MEMORY,
                        &[
                            Operation::PTRACE,
                            Operation::VM_WRITEV,
                            Operation::MEMFD_CREATE,
                            Operation::USERFAULTFD,
                        ],
                    ),
                )],
            },
        ],
    },
    Probe {
        name: "memory-protection",
        purpose: "writable memory that becomes executable",
        wanted: |options| options.families.memory,
        structs: &["vm_area_struct"],
        rungs: &[
            Rung {
                hook: "lsm/file_mprotect",
                programs: &[("memory_mprotect_lsm", Hook::Lsm("file_mprotect"))],
            },
            Rung {
                hook: "fentry/security_file_mprotect",
                programs: &[("memory_mprotect_fentry", Hook::FEntry("security_file_mprotect"))],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[("memory_syscall", Hook::SysExit(HANDLER_MEMORY, &[Operation::MPROTECT]))],
            },
        ],
    },
];
