//! Calls that reserve memory. For them the kernel asks whether the caller has `CAP_SYS_ADMIN`, who may have a little more
//! (mm/util.c, `__vm_enough_memory()`); the tracepoint of capabilities shows that as a use of it.

/// A bit for each number below 512.
type Bits = [u64; 8];

/// Native numbers.
const NATIVE: &[i64] = &[
    libc::SYS_write,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_brk,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_mremap,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_sendfile,
    libc::SYS_clone,
    libc::SYS_execve,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_remap_file_pages,
    libc::SYS_splice,
    libc::SYS_fallocate,
    libc::SYS_pwritev,
    libc::SYS_memfd_create,
    libc::SYS_execveat,
    libc::SYS_copy_file_range,
    libc::SYS_pwritev2,
    libc::SYS_clone3,
];

/// Native numbers that only the older architectures have.
#[cfg(target_arch = "x86_64")]
const NATIVE_OLD: &[i64] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const NATIVE_OLD: &[i64] = &[];

/// Numbers of the 32-bit interface of x86, in the order of their names: brk, clone, clone3, copy_file_range, execve, execveat,
/// fallocate, fork, ftruncate, ftruncate64, ipc, memfd_create, mmap, mmap2, mprotect, mremap, pwrite64, pwritev, pwritev2,
/// remap_file_pages, sendfile, sendfile64, shmat, shmget, splice, truncate, truncate64, vfork, write, writev.
const COMPAT: &[i64] = &[
    45, 120, 435, 377, 11, 358, 324, 2, 93, 194, 117, 356, 90, 192, 125, 163, 181, 334, 379, 257, 187, 239,
    397, 395, 313, 92, 193, 190, 4, 146,
];

fn bits(numbers: impl Iterator<Item = i64>) -> Bits {
    let mut bits = [0; 8];
    for number in numbers {
        bits[number as usize / 64] |= 1 << (number % 64);
    }
    bits
}

pub(crate) fn reserving() -> Bits {
    bits(NATIVE.iter().chain(NATIVE_OLD).copied())
}

pub(crate) fn reserving_compat() -> Bits {
    if cfg!(target_arch = "x86_64") { bits(COMPAT.iter().copied()) } else { reserving() }
}
