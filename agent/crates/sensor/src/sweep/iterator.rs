//! The kernel's iterators: over the socket map, which visits each socket that has a state, in every network namespace, and over
//! open files. Each gives what the program writes. aya makes none over a map.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// `enum bpf_cmd` and `enum bpf_attach_type` of include/uapi/linux/bpf.h.
const BPF_LINK_CREATE: i32 = 28;
/// See [`BPF_LINK_CREATE`].
const BPF_ITER_CREATE: i32 = 33;
/// See [`BPF_LINK_CREATE`].
const BPF_TRACE_ITER: u32 = 28;

/// Makes an iterator of a program, tied to the map that it is to visit where it is one over a map.
pub(crate) fn link(program: BorrowedFd<'_>, map: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    /// The part of `union bpf_attr` for this command.
    #[repr(C)]
    struct Attributes {
        program: u32,
        target: u32,
        attach_type: u32,
        flags: u32,
        /// A `union bpf_iter_link_info`, whose part for maps is a descriptor.
        info: u64,
        info_bytes: u32,
        reserved: u32,
    }
    let info = map.map_or(0, |map| map.as_raw_fd().cast_unsigned());
    let attributes = Attributes {
        program: program.as_raw_fd().cast_unsigned(),
        target: 0,
        attach_type: BPF_TRACE_ITER,
        flags: 0,
        info: if map.is_some() { (&raw const info) as u64 } else { 0 },
        info_bytes: if map.is_some() { size_of_val(&info) as u32 } else { 0 },
        reserved: 0,
    };
    // SAFETY: a whole attribute, which names as many bytes as it says.
    unsafe { bpf(BPF_LINK_CREATE, &attributes) }
}

/// Begins a round; reading it makes it go on.
pub(super) fn begin(link: &OwnedFd) -> io::Result<File> {
    /// The part of `union bpf_attr` for this command.
    #[repr(C)]
    struct Attributes {
        link: u32,
        flags: u32,
    }
    let attributes = Attributes { link: link.as_raw_fd().cast_unsigned(), flags: 0 };
    // SAFETY: a whole attribute without pointers.
    unsafe { bpf(BPF_ITER_CREATE, &attributes) }.map(File::from)
}

/// # Safety
/// `attributes` is what the command takes, and a success is a new descriptor.
unsafe fn bpf<T>(command: i32, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: as promised; a descriptor that is not negative is ours alone.
    unsafe {
        let fd = libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>());
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd as i32)) }
    }
}
