//! System calls by their numbers here and in the 32-bit interface of x86 (arch/x86/entry/syscalls/syscall_32.tbl).

/// A system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// None where this architecture has none.
    pub(crate) native: Option<i64>,
    /// None where there is no 32-bit one, or tests have no use for it.
    pub(crate) compat: Option<u32>,
}

macro_rules! calls {
    ($($name:ident $text:literal $number:expr, $compat:expr;)+) => {
        $(pub(crate) const $name: Call = Call { name: $text, native: Some($number), compat: $compat };)+
    };
}

/// Calls that only architectures of before 2012 have.
macro_rules! old_calls {
    ($($name:ident $text:literal $number:ident, $compat:expr;)+) => { $(
        #[cfg(target_arch = "x86_64")]
        pub(crate) const $name: Call = Call { name: $text, native: Some(libc::$number), compat: $compat };
        #[cfg(not(target_arch = "x86_64"))]
        pub(crate) const $name: Call = Call { name: $text, native: None, compat: None };
    )+ };
}

old_calls! {
    OPEN "open" SYS_open, Some(5);
    CREAT "creat" SYS_creat, Some(8);
    UNLINK "unlink" SYS_unlink, Some(10);
    RMDIR "rmdir" SYS_rmdir, Some(40);
    MKDIR "mkdir" SYS_mkdir, Some(39);
    RENAME "rename" SYS_rename, Some(38);
    RENAMEAT "renameat" SYS_renameat, Some(302);
    LINK "link" SYS_link, Some(9);
    SYMLINK "symlink" SYS_symlink, Some(83);
    CHMOD "chmod" SYS_chmod, Some(15);
    CHOWN "chown" SYS_chown, Some(212);
    LCHOWN "lchown" SYS_lchown, Some(198);
    DUP2 "dup2" SYS_dup2, Some(63);
}

calls! {
    OPENAT "openat" libc::SYS_openat, Some(295);
    OPENAT2 "openat2" libc::SYS_openat2, Some(437);
    UNLINKAT "unlinkat" libc::SYS_unlinkat, Some(301);
    MKDIRAT "mkdirat" libc::SYS_mkdirat, Some(296);
    RENAMEAT2 "renameat2" libc::SYS_renameat2, Some(353);
    LINKAT "linkat" libc::SYS_linkat, Some(303);
    SYMLINKAT "symlinkat" libc::SYS_symlinkat, Some(304);
    FCHMOD "fchmod" libc::SYS_fchmod, Some(94);
    FCHMODAT "fchmodat" libc::SYS_fchmodat, Some(306);
    // One number everywhere.
    FCHMODAT2 "fchmodat2" 452, Some(452);
    FCHOWN "fchown" libc::SYS_fchown, Some(207);
    FCHOWNAT "fchownat" libc::SYS_fchownat, Some(298);
    SETXATTR "setxattr" libc::SYS_setxattr, Some(226);
    LSETXATTR "lsetxattr" libc::SYS_lsetxattr, Some(227);
    FSETXATTR "fsetxattr" libc::SYS_fsetxattr, Some(228);
    TRUNCATE "truncate" libc::SYS_truncate, Some(92);
    FTRUNCATE "ftruncate" libc::SYS_ftruncate, Some(93);
    MMAP "mmap" libc::SYS_mmap, Some(192);
    CLOSE "close" libc::SYS_close, Some(6);
    CHDIR "chdir" libc::SYS_chdir, Some(12);

    SETUID "setuid" libc::SYS_setuid, Some(213);
    SETREUID "setreuid" libc::SYS_setreuid, Some(203);
    SETRESUID "setresuid" libc::SYS_setresuid, Some(208);
    SETFSUID "setfsuid" libc::SYS_setfsuid, Some(215);
    SETGID "setgid" libc::SYS_setgid, Some(214);
    SETREGID "setregid" libc::SYS_setregid, Some(204);
    SETRESGID "setresgid" libc::SYS_setresgid, Some(210);
    SETGROUPS "setgroups" libc::SYS_setgroups, Some(206);
    CAPSET "capset" libc::SYS_capset, Some(185);

    CLONE "clone" libc::SYS_clone, Some(120);
    UNSHARE "unshare" libc::SYS_unshare, Some(310);
    SETNS "setns" libc::SYS_setns, Some(346);
    MOUNT "mount" libc::SYS_mount, Some(21);
    UMOUNT2 "umount2" libc::SYS_umount2, Some(52);
    PIVOT_ROOT "pivot_root" libc::SYS_pivot_root, Some(217);
    CHROOT "chroot" libc::SYS_chroot, Some(61);
    FSOPEN "fsopen" libc::SYS_fsopen, Some(430);
    FSCONFIG "fsconfig" libc::SYS_fsconfig, Some(431);
    FSMOUNT "fsmount" libc::SYS_fsmount, Some(432);
    MOVE_MOUNT "move_mount" libc::SYS_move_mount, Some(429);

    INIT_MODULE "init_module" libc::SYS_init_module, Some(128);
    FINIT_MODULE "finit_module" libc::SYS_finit_module, Some(350);
    DELETE_MODULE "delete_module" libc::SYS_delete_module, Some(129);
    BPF "bpf" libc::SYS_bpf, Some(357);
    PERF_EVENT_OPEN "perf_event_open" libc::SYS_perf_event_open, Some(336);
    KEXEC_LOAD "kexec_load" libc::SYS_kexec_load, Some(283);

    PTRACE "ptrace" libc::SYS_ptrace, Some(26);
    WAIT4 "wait4" libc::SYS_wait4, Some(114);
    VM_WRITEV "process_vm_writev" libc::SYS_process_vm_writev, Some(348);
    VM_READV "process_vm_readv" libc::SYS_process_vm_readv, Some(347);
    MEMFD_CREATE "memfd_create" libc::SYS_memfd_create, Some(356);
    MPROTECT "mprotect" libc::SYS_mprotect, Some(125);
    PKEY_MPROTECT "pkey_mprotect" libc::SYS_pkey_mprotect, Some(380);
    USERFAULTFD "userfaultfd" libc::SYS_userfaultfd, Some(374);

    SOCKET "socket" libc::SYS_socket, Some(359);
    BIND "bind" libc::SYS_bind, Some(361);
    CONNECT "connect" libc::SYS_connect, Some(362);
    LISTEN "listen" libc::SYS_listen, Some(363);

    KILL "kill" libc::SYS_kill, Some(37);
    TKILL "tkill" libc::SYS_tkill, Some(238);
    TGKILL "tgkill" libc::SYS_tgkill, Some(270);
    RT_SIGQUEUEINFO "rt_sigqueueinfo" libc::SYS_rt_sigqueueinfo, Some(178);
    PIDFD_OPEN "pidfd_open" libc::SYS_pidfd_open, Some(434);
    PIDFD_SEND_SIGNAL "pidfd_send_signal" libc::SYS_pidfd_send_signal, Some(424);

    DUP "dup" libc::SYS_dup, Some(41);
    DUP3 "dup3" libc::SYS_dup3, Some(330);
    FCNTL "fcntl" libc::SYS_fcntl, Some(221);
    IOCTL "ioctl" libc::SYS_ioctl, Some(54);
    SETSID "setsid" libc::SYS_setsid, Some(66);
    EXECVE "execve" libc::SYS_execve, None;
}

/// socketcall(2): before 4.3, the only way of 32-bit programs to sockets.
pub(crate) const SOCKETCALL: Call = Call { name: "socketcall", native: None, compat: Some(102) };
