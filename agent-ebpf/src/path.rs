//! Paths: the dentry chain from a file up to the root of the process.

use core::mem::MaybeUninit;

use agent_common::{NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_COMPONENTS_MAX};
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str};

use crate::maps::SCRATCH_BYTES;
use crate::settings::offset;

/// Largest position at which a name may be written: the verifier wants it as a mask.
const POSITION_MASK: usize = SCRATCH_BYTES / 2 - 1;

/// Keeps a position within the scratch buffer, in a way that the compiler cannot take away as needless.
#[inline(always)]
pub(crate) fn bounded(position: usize) -> usize {
    let mut position = position;
    // SAFETY: one AND on a register.
    unsafe { core::arch::asm!("{0} &= {1}", inout(reg) position, const POSITION_MASK) };
    position
}

/// Reads a pointer-sized kernel value; null where the address is bad. One path through the program, not two: the
/// helper itself clears what it could not read.
#[inline(always)]
fn read(base: *const u8, offset: usize) -> *const u8 {
    let mut value = MaybeUninit::<*const u8>::uninit();
    // SAFETY: a probe read: a bad address yields an error, not a fault, and the value is written in either case.
    unsafe {
        let size = size_of::<*const u8>() as u32;
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size, base.add(offset).cast());
        value.assume_init()
    }
}

/// Appends the components of `path` to `buffer` at `start`, from the file upwards, each closed by NUL, and
/// returns the position after them. The walk stops at the process's root, crosses mount points, and gives up at
/// [`PATH_COMPONENTS_MAX`] components or [`PATH_BYTES_MAX`] bytes.
#[inline(always)]
pub(crate) fn append(buffer: *mut u8, start: usize, path: *const u8, root: *const u8) -> usize {
    let mut dentry = read(path, offset!(path_dentry));
    let mut vfsmount = read(path, offset!(path_mnt));
    let root_dentry = read(root, offset!(path_dentry));
    let root_vfsmount = read(root, offset!(path_mnt));
    let limit = bounded(start + PATH_BYTES_MAX - NAME_BYTES_MAX);
    let mut end = start;
    for _ in 0..PATH_COMPONENTS_MAX {
        // Also makes every turn look alike to the verifier, which then needs to follow only one.
        end = bounded(end);
        if dentry == root_dentry && vfsmount == root_vfsmount {
            break;
        }
        if dentry == read(vfsmount, offset!(vfsmount_root)) {
            // SAFETY: `struct vfsmount` is the member `mnt` of `struct mount` (fs/mount.h, real_mount()).
            let mount = unsafe { vfsmount.sub(offset!(mount_mnt)) };
            let parent = read(mount, offset!(mount_parent));
            if parent == mount {
                break;
            }
            dentry = read(mount, offset!(mount_mountpoint));
            // SAFETY: as above, the other way round.
            vfsmount = unsafe { parent.add(offset!(mount_mnt)) };
            continue;
        }
        let parent = read(dentry, offset!(dentry_parent));
        if parent.is_null() || end > limit {
            break;
        }
        let name = read(dentry, offset!(dentry_name));
        // SAFETY: the position was masked to the lower half of the buffer, a name is far shorter than the upper half.
        let written =
            unsafe { bpf_probe_read_kernel_str(buffer.add(end).cast(), NAME_BYTES_MAX as u32, name.cast()) };
        if written <= 0 {
            break;
        }
        end += written as usize;
        // A file that was never in a folder, such as one of memfd_create(2): its name is all there is.
        if parent == dentry {
            break;
        }
        dentry = parent;
    }
    bounded(end)
}
