//! The BPF filesystem.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::{fs, io};

/// `BPF_FS_MAGIC` of include/uapi/linux/magic.h.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
/// `BPF_OBJ_GET` of include/uapi/linux/bpf.h.
const BPF_OBJ_GET: i32 = 7;
/// Where it is mounted by custom.
pub(super) const CUSTOMARY: &str = "/sys/fs/bpf";

/// Whether `path`, or the nearest folder above it that there is, lies on a BPF filesystem.
pub(super) fn is_on_bpf(path: &Path) -> bool {
    let there = path.ancestors().find(|folder| fs::symlink_metadata(folder).is_ok());
    there.is_some_and(|folder| filesystem(folder) == Some(BPF_FS_MAGIC))
}

fn filesystem(path: &Path) -> Option<u64> {
    let path = text(path).ok()?;
    let mut facts = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: a text with its end, and room for the answer, of which zeroes are a valid value.
    let facts = unsafe {
        if libc::statfs(path.as_ptr(), facts.as_mut_ptr()) != 0 {
            return None;
        }
        facts.assume_init()
    };
    Some(facts.f_type.cast_unsigned())
}

/// Mounts one at the customary place.
pub(super) fn mount() -> io::Result<()> {
    let place = text(Path::new(CUSTOMARY))?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let options = c"mode=0700";
    // SAFETY: texts with their ends.
    let result = unsafe {
        libc::mount(c"bpf".as_ptr(), place.as_ptr(), c"bpf".as_ptr(), flags, options.as_ptr().cast())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opens what is pinned, whatever it is.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    /// The part of `union bpf_attr` for this command.
    #[repr(C)]
    struct Attributes {
        path: u64,
        fd: u32,
        flags: u32,
    }
    let path = text(path)?;
    let attributes = Attributes { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: as many bytes as said, which name a text with its end; a descriptor that is not negative is ours alone.
    unsafe {
        let size = size_of::<Attributes>();
        let fd = libc::syscall(libc::SYS_bpf, BPF_OBJ_GET, &raw const attributes, size);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd as i32)) }
    }
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(Into::into)
}
