//! Namespaces and mounts.

use agent_common::{HANDLER_NAMESPACE, Operation};

use super::{Hook, Probe, Rung, SYS_EXIT_HOOK};

pub(super) const PROBES: [Probe; 1] = [Probe {
    name: "namespace",
    purpose: "namespaces and mounts that are changed",
    wanted: |options| options.families.namespace,
    structs: &[],
    rungs: &[
        Rung {
            hook: "fexit/sys_{unshare,setns,mount,umount,pivot_root,chroot,move_mount}",
            programs: &[
                ("namespace_unshare", Hook::Syscall("unshare")),
                ("namespace_unshare_compat", Hook::CompatSyscall("sys_unshare")),
                ("namespace_setns", Hook::Syscall("setns")),
                ("namespace_setns_compat", Hook::CompatSyscall("sys_setns")),
                ("namespace_mount", Hook::Syscall("mount")),
                ("namespace_mount_compat", Hook::CompatSyscall("sys_mount")),
                ("namespace_umount", Hook::Syscall("umount")),
                ("namespace_umount_compat", Hook::CompatSyscall("sys_umount")),
                ("namespace_pivot_root", Hook::Syscall("pivot_root")),
                ("namespace_pivot_root_compat", Hook::CompatSyscall("sys_pivot_root")),
                ("namespace_chroot", Hook::Syscall("chroot")),
                ("namespace_chroot_compat", Hook::CompatSyscall("sys_chroot")),
                ("namespace_move_mount", Hook::NewSyscall("move_mount")),
                ("namespace_move_mount_compat", Hook::CompatSyscall("sys_move_mount")),
            ],
        },
        Rung {
            hook: SYS_EXIT_HOOK,
            programs: &[(
                "namespace_syscall",
                Hook::SysExit(
                    HANDLER_NAMESPACE,
                    &[
                        Operation::UNSHARE,
                        Operation::SETNS,
                        Operation::MOUNT,
                        Operation::UMOUNT,
                        Operation::PIVOT_ROOT,
                        Operation::CHROOT,
                        Operation::MOVE_MOUNT,
                    ],
                ),
            )],
        },
    ],
}];
