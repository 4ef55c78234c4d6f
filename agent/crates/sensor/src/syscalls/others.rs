//! Namespaces, code into the kernel and into processes, sockets, and standard streams.

use agent_common::{
    HANDLER_KERNEL, HANDLER_MEMORY, HANDLER_NAMESPACE, HANDLER_SOCKET, HANDLER_STDIO, Operation, Syscall,
};

use super::{ABSENT, Row, entry};

#[cfg(target_arch = "x86_64")]
const DUP2: i64 = libc::SYS_dup2;
#[cfg(not(target_arch = "x86_64"))]
const DUP2: i64 = ABSENT;

pub(super) fn rows() -> Vec<Row> {
    let row = |handler, operation, native, compat| Row { native, compat, entry: entry(operation, handler) };
    let namespace = |operation, native, compat| row(HANDLER_NAMESPACE, operation, native, compat);
    let kernel = |operation, native, compat| row(HANDLER_KERNEL, operation, native, compat);
    let memory = |operation, native, compat| row(HANDLER_MEMORY, operation, native, compat);
    let socket = |operation, native, compat| row(HANDLER_SOCKET, operation, native, compat);
    let stdio = |native, compat| row(HANDLER_STDIO, Operation::DUP, native, compat);
    // All socket calls in one; the program finds out which.
    let socketcall = Syscall { how: 1, ..entry(Operation::SOCKET, HANDLER_SOCKET) };
    // The program finds out whether it copies.
    let fcntl = Syscall { how: 1, ..entry(Operation::DUP, HANDLER_STDIO) };
    vec![
        namespace(Operation::UNSHARE, libc::SYS_unshare, 310),
        namespace(Operation::SETNS, libc::SYS_setns, 346),
        namespace(Operation::MOUNT, libc::SYS_mount, 21),
        namespace(Operation::UMOUNT, libc::SYS_umount2, 52),
        namespace(Operation::PIVOT_ROOT, libc::SYS_pivot_root, 217),
        namespace(Operation::CHROOT, libc::SYS_chroot, 61),
        namespace(Operation::MOVE_MOUNT, libc::SYS_move_mount, 429),
        kernel(Operation::INIT_MODULE, libc::SYS_init_module, 128),
        kernel(Operation::FINIT_MODULE, libc::SYS_finit_module, 350),
        kernel(Operation::DELETE_MODULE, libc::SYS_delete_module, 129),
        kernel(Operation::BPF, libc::SYS_bpf, 357),
        kernel(Operation::PERF_EVENT_OPEN, libc::SYS_perf_event_open, 336),
        kernel(Operation::KEXEC_LOAD, libc::SYS_kexec_load, 283),
        kernel(Operation::KEXEC_FILE_LOAD, libc::SYS_kexec_file_load, ABSENT),
        memory(Operation::PTRACE, libc::SYS_ptrace, 26),
        memory(Operation::VM_WRITEV, libc::SYS_process_vm_writev, 348),
        memory(Operation::MEMFD_CREATE, libc::SYS_memfd_create, 356),
        memory(Operation::MPROTECT, libc::SYS_mprotect, 125),
        memory(Operation::MPROTECT, libc::SYS_pkey_mprotect, 380),
        memory(Operation::USERFAULTFD, libc::SYS_userfaultfd, 374),
        socket(Operation::SOCKET, libc::SYS_socket, 359),
        socket(Operation::BIND, libc::SYS_bind, 361),
        socket(Operation::LISTEN, libc::SYS_listen, 363),
        socket(Operation::CONNECT, libc::SYS_connect, 362),
        Row { native: ABSENT, compat: 102, entry: socketcall },
        stdio(libc::SYS_dup, 41),
        stdio(DUP2, 63),
        stdio(libc::SYS_dup3, 330),
        Row { native: libc::SYS_fcntl, compat: 221, entry: fcntl },
        Row { native: ABSENT, compat: 55, entry: fcntl },
    ]
}
