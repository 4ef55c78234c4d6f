//! Paths: the dentry chain from a file up to the root of the process.

use agent_common::{NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_COMPONENTS_MAX};
use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;

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

/// Reads a pointer-sized kernel value.
#[inline(always)]
fn read(base: *const u8, offset: usize) -> *const u8 {
    // SAFETY: a probe read: a bad address yields an error, not a fault.
    unsafe { bpf_probe_read_kernel(base.add(offset).cast::<*const u8>()) }.unwrap_or(core::ptr::null())
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
    let mut end = start;
    for _ in 0..PATH_COMPONENTS_MAX {
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
        if parent == dentry || parent.is_null() || end - start > PATH_BYTES_MAX - NAME_BYTES_MAX {
            break;
        }
        let name = read(dentry, offset!(dentry_name));
        // SAFETY: the position is masked to the lower half of the buffer, a name is far shorter than the upper half.
        let written = unsafe {
            bpf_probe_read_kernel_str(buffer.add(bounded(end)).cast(), NAME_BYTES_MAX as u32, name.cast())
        };
        if written <= 0 {
            break;
        }
        end = bounded(end + written as usize);
        dentry = parent;
    }
    end
}
