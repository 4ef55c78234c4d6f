//! Cgroup records.

use crate::Header;

/// Longest cgroup path carried, with its closing NUL, bytes; a power of two. A longer one is cut, and the agent looks
/// the cgroup up by itself.
pub const CGROUP_PATH_BYTES_MAX: usize = 1024;

/// Flag of [`CgroupRecord`]: the cgroup was removed; else it was made.
pub const CGROUP_REMOVED: u32 = 1;

/// A cgroup of the v2 hierarchy was made or removed. The header's process is the one that did it. The path below the
/// root of the hierarchy follows, without a closing NUL.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CgroupRecord {
    /// Who did it.
    pub header: Header,
    /// Id of the cgroup: the inode number of its directory.
    pub id: u64,
    /// `CGROUP_*` flags.
    pub flags: u32,
    /// Bytes of the path.
    pub path_bytes: u32,
}

const _: () = assert!(size_of::<CgroupRecord>() == 80);
