//! Paths: the dentry chain from a file up to the root of the process.

mod places;

use core::mem::MaybeUninit;

use agent_common::{NAME_BYTES_MAX, PATH_COMPONENTS_MAX};
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str};

use crate::maps::{SCRATCH_BYTES, Scratch, scratch_at};
use crate::settings::offset;

pub(crate) use places::{Location, Places};

/// Keeps a position within the lower half of a buffer of `BUFFER` bytes, a power of two, in a way that the compiler
/// cannot take away as needless. The verifier wants a mask.
#[inline(always)]
pub(crate) fn bounded<const BUFFER: usize>(position: usize) -> usize {
    let mut position = position;
    // SAFETY: one AND on a register.
    unsafe { core::arch::asm!("{0} &= {1}", inout(reg) position, const BUFFER / 2 - 1) };
    position
}

/// Zero that the verifier takes for any number: a shift by 64 has no result that it knows (kernel/bpf/verifier.c,
/// `is_safe_to_compute_dst_reg_range()`), and zero stays zero wherever it is shifted to.
#[inline(always)]
pub(crate) fn unknown_zero() -> usize {
    let zero;
    // SAFETY: registers alone.
    unsafe { core::arch::asm!("{1} = 64", "{0} = 0", "{0} <<= {1}", out(reg) zero, out(reg) _) };
    zero
}

/// The same value, of which the verifier knows nothing any more. It compares the turns of a loop by what it knows; so they are
/// alike, and it follows one where it would follow each combination of branches on the way.
#[inline(always)]
pub(crate) fn forgotten(value: usize, zero: usize) -> usize {
    let mut value = value;
    // SAFETY: an XOR of two registers.
    unsafe { core::arch::asm!("{0} ^= {1}", inout(reg) value, in(reg) zero) };
    value
}

/// Reads a kernel value of integers or pointers; zero where the address is bad. One path through the program, not two: the
/// helper itself clears what it could not read.
#[inline(always)]
pub(crate) fn read<T: Copy>(base: *const u8, offset: usize) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: a probe read: a bad address yields an error, not a fault, and the value is written in either case.
    unsafe {
        let size = size_of::<T>() as u32;
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size, base.add(offset).cast());
        value.assume_init()
    }
}

/// Appends the components of a location to a buffer of `BUFFER` bytes at `start`, from the file upwards, each closed by
/// NUL, and returns the position after them. The walk stops at `root`, crosses mount points, and gives up at
/// [`PATH_COMPONENTS_MAX`] components or `most` bytes.
#[inline(always)]
pub(crate) fn append<const BUFFER: usize>(
    buffer: *mut u8,
    start: usize,
    location: Location,
    root: Location,
    most: usize,
) -> usize {
    let mut dentry = location.dentry;
    let places = Places::of_kernel();
    let mut mount = places.of_vfsmount(location.vfsmount);
    let root_mount = root.vfsmount.wrapping_sub(offset!(mount_mnt));
    let zero = unknown_zero();
    let limit = bounded::<BUFFER>(forgotten(start + most - NAME_BYTES_MAX, zero));
    let mut end = start;
    for _ in 0..PATH_COMPONENTS_MAX {
        end = bounded::<BUFFER>(forgotten(end, zero));
        dentry = forgotten(dentry as usize, zero) as *const u8;
        mount = mount.forgotten(zero);
        if dentry == root.dentry && mount.at == root_mount {
            break;
        }
        if dentry == mount.root {
            let Some(above) = mount.up(places) else { break };
            (dentry, mount) = above;
            continue;
        }
        let (parent, name) = places.of_dentry(dentry);
        if parent.is_null() || end > limit {
            break;
        }
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
    bounded::<BUFFER>(forgotten(end, zero))
}

/// [`append`] to a scratch buffer, up to the root of the mount namespace: a global function, which the verifier follows
/// once by itself.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn path_append(which: u32, start: u64, dentry: u64, vfsmount: u64, most: u64) -> u64 {
    let Some(buffer) = scratch_at(which) else { return start };
    let at = Location { dentry: dentry as *const u8, vfsmount: vfsmount as *const u8 };
    let start = bounded::<SCRATCH_BYTES>(start as usize);
    append::<SCRATCH_BYTES>(buffer, start, at, Location::NONE, most as usize) as u64
}

/// Appends the components of a location to a scratch buffer, up to the root of its mount namespace.
#[inline(always)]
pub(crate) fn append_to(which: Scratch, start: usize, at: Location, most: usize) -> usize {
    bounded::<SCRATCH_BYTES>(path_append(
        which as u32,
        start as u64,
        at.dentry as u64,
        at.vfsmount as u64,
        most as u64,
    ) as usize)
}
