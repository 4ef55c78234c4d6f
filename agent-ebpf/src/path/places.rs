//! What the kernel's own structs say of where a name stands: in which folder, and in which mount.

use super::{forgotten, read};
use crate::settings::{PLACES_TOGETHER, offset};

/// A place in the tree of mounts.
#[derive(Clone, Copy)]
pub(crate) struct Location {
    /// The name.
    pub(crate) dentry: *const u8,
    /// The mount that it is seen through.
    pub(crate) vfsmount: *const u8,
}

impl Location {
    /// Nowhere: a root that no walk meets, and where a walk ends at once.
    pub(crate) const NONE: Self = Self { dentry: core::ptr::null(), vfsmount: core::ptr::null() };

    /// What a `struct path` says.
    #[inline(always)]
    pub(crate) fn of_path(path: *const u8) -> Self {
        // The two are all that it has (include/linux/path.h), in either order.
        let [first, second]: [*const u8; 2] = read(path, 0);
        if offset!(path_mnt) == 0 {
            Self { dentry: second, vfsmount: first }
        } else {
            Self { dentry: first, vfsmount: second }
        }
    }
}

/// Where dentries and mounts say their places. A probe read costs far more than the bytes that it reads, so what lies
/// together is read at once.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    together: bool,
    dentry: usize,
    mount: usize,
}

impl Places {
    /// Of this kernel: asked before a loop, whose every turn would else cost the verifier more.
    #[inline(always)]
    pub(crate) fn of_kernel() -> Self {
        let together = PLACES_TOGETHER.load() == 1;
        Self { together, dentry: offset!(dentry_parent), mount: offset!(mount_parent) }
    }

    /// The folder that a dentry is in, and where its name is.
    #[inline(always)]
    pub(crate) fn of_dentry(self, dentry: *const u8) -> (*const u8, *const u8) {
        if self.together {
            // Between the two is the hash of the name.
            let [parent, _, name] = read(dentry, self.dentry);
            return (parent, name);
        }
        (read(dentry, self.dentry), read(dentry, offset!(dentry_name)))
    }

    /// The mount whose member `mnt` a `struct vfsmount` is (fs/mount.h, real_mount()).
    #[inline(always)]
    pub(crate) fn of_vfsmount(self, vfsmount: *const u8) -> Mount {
        self.of_mount(vfsmount.wrapping_sub(offset!(mount_mnt)))
    }

    #[inline(always)]
    fn of_mount(self, at: *const u8) -> Mount {
        if self.together {
            let [parent, mountpoint, root] = read(at, self.mount);
            return Mount { at, parent, mountpoint, root };
        }
        let (parent, mountpoint) = (read(at, self.mount), read(at, offset!(mount_mountpoint)));
        Mount { at, parent, mountpoint, root: read(at, offset!(mount_mnt) + offset!(vfsmount_root)) }
    }
}

/// What a `struct mount` says of its place in the tree of mounts. A walk reads it once for each mount that it meets.
#[derive(Clone, Copy)]
pub(crate) struct Mount {
    /// Itself.
    pub(crate) at: *const u8,
    /// The one that it hangs in; itself where that is none, and null where it could not be read.
    parent: *const u8,
    mountpoint: *const u8,
    pub(crate) root: *const u8,
}

impl Mount {
    /// The same, of which the verifier knows nothing any more.
    #[inline(always)]
    pub(crate) fn forgotten(self, zero: usize) -> Self {
        let forget = |pointer: *const u8| forgotten(pointer as usize, zero) as *const u8;
        let Self { at, parent, mountpoint, root } = self;
        Self { at: forget(at), parent: forget(parent), mountpoint: forget(mountpoint), root: forget(root) }
    }

    /// Where it hangs: the name, and the mount of that; none for the root of the mount namespace.
    #[inline(always)]
    pub(crate) fn up(self, places: Places) -> Option<(*const u8, Self)> {
        if self.parent == self.at || self.parent.is_null() {
            return None;
        }
        Some((self.mountpoint, places.of_mount(self.parent)))
    }
}
