use crate::peer::Peer;

/// Makes a system call of this architecture.
pub(super) fn native(number: i64, arguments: [u64; 6]) -> i64 {
    let me = std::process::id();
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: what the test asks for. Addresses among the arguments are of the arena, of mappings that the test had
    // made, or meant to be bad; a call that harms this process harms the test that asked for it.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    if std::process::id() != me {
        // The child of a clone(2): its existence is all that was asked for.
        // SAFETY: ends this process without running what the parent's memory would have it run.
        unsafe { libc::_exit(0) };
    }
    if result == -1 { -i64::from(errno.unwrap_or_default()) } else { result }
}

/// Whether this kernel has the system calls of 32-bit programs. Tried in a process of its own, which ends by a signal
/// where it has not.
pub(crate) fn has_compat() -> bool {
    let mut peer = Peer::start("operate");
    // getpid(2)
    peer.ask("compat 20").parse::<u32>().is_ok_and(|pid| pid == peer.pid())
}

/// Makes a system call through the 32-bit interface; none on machines without one.
#[cfg(target_arch = "x86_64")]
pub(super) fn compat(number: u32, arguments: [u32; 6]) -> Option<i64> {
    let [a, b, c, d, e, f] = arguments.map(u64::from);
    let mut result = u64::from(number);
    // SAFETY: as in `native`. The interface takes its first and sixth arguments in registers that the compiler keeps
    // for itself (arch/x86/entry/entry_64_compat.S), so they are exchanged around the call; kernels clear r8 to r11.
    unsafe {
        std::arch::asm!(
            "push rbp",
            "mov rbp, r12",
            "xchg rbx, r13",
            "int 0x80",
            "xchg rbx, r13",
            "pop rbp",
            inout("rax") result,
            inout("r13") a => _,
            in("rcx") b,
            in("rdx") c,
            in("rsi") d,
            in("rdi") e,
            in("r12") f,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    Some(i64::from(result as u32 as i32))
}

/// As above.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn compat(_number: u32, _arguments: [u32; 6]) -> Option<i64> {
    None
}
