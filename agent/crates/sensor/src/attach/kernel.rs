//! Code that enters the kernel.

use agent_common::{HANDLER_KERNEL, Operation};

use super::{Hook, Probe, Rung, SYS_EXIT_HOOK};

pub(super) const PROBES: [Probe; 1] = [Probe {
    name: "kernel-code",
    purpose: "modules, BPF programs, other kernels, and observers of other tasks",
    wanted: |options| options.families.kernel,
    structs: &[],
    rungs: &[
        Rung {
            hook: "fexit/sys_{bpf,init_module,finit_module,delete_module,perf_event_open,kexec_load,kexec_file_load}",
            programs: &[
                ("kernel_bpf", Hook::Syscall("bpf")),
                ("kernel_bpf_compat", Hook::CompatSyscall("sys_bpf")),
                ("kernel_init_module", Hook::NewSyscall("init_module")),
                ("kernel_init_module_compat", Hook::CompatSyscall("sys_init_module")),
                ("kernel_finit_module", Hook::NewSyscall("finit_module")),
                ("kernel_finit_module_compat", Hook::CompatSyscall("sys_finit_module")),
                ("kernel_delete_module", Hook::NewSyscall("delete_module")),
                ("kernel_delete_module_compat", Hook::CompatSyscall("sys_delete_module")),
                ("kernel_perf_event_open", Hook::NewSyscall("perf_event_open")),
                ("kernel_perf_event_open_compat", Hook::CompatSyscall("sys_perf_event_open")),
                ("kernel_kexec_load", Hook::NewSyscall("kexec_load")),
                ("kernel_kexec_load_compat", Hook::CompatSyscall("compat_sys_kexec_load")),
                ("kernel_kexec_file_load", Hook::NewSyscall("kexec_file_load")),
                ("kernel_kexec_file_load_compat", Hook::CompatSyscall("sys_kexec_file_load")),
            ],
        },
        Rung {
            hook: SYS_EXIT_HOOK,
            programs: &[(
                "kernel_syscall",
                Hook::SysExit(
                    HANDLER_KERNEL,
                    &[
                        Operation::INIT_MODULE,
                        Operation::FINIT_MODULE,
                        Operation::DELETE_MODULE,
                        Operation::BPF,
                        Operation::PERF_EVENT_OPEN,
                        Operation::KEXEC_LOAD,
                        Operation::KEXEC_FILE_LOAD,
                    ],
                ),
            )],
        },
    ],
}];
