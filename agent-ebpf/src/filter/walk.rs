//! The walks of a path: up from a dentry to the root of its mount namespace and down the tree, and along a text.
//!
//! Both are global functions, and take and give numbers only: so the verifier follows their loops once, by themselves,
//! and not once more wherever they are called.

use agent_common::{FILTER_NAME_BYTES_MAX, FILTER_NAMED, FILTER_WILDCARD, FilterKey, PATH_COMPONENTS_MAX};
use aya_ebpf::btf_maps::PerCpuArray;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::btf_map;

use super::Position;
use crate::maps::{SCRATCH_BYTES, SCRATCHES, Scratch, scratch_at, slot};
use crate::path::{Location, Places, forgotten, unknown_zero};
use crate::settings::own;

/// Bytes of a text that are compared; a longer text is told whatever it names.
const FILTER_TEXT_BYTES: usize = 256;

/// Bytes of it that are compared in one call.
const PART_BYTES: usize = 32;
/// Set in a packed place: the text ended there.
const AT_END: u64 = 1 << 63;

/// Room for the walk of one path.
#[repr(C)]
struct Walk {
    /// Where the names are, from the file upwards; twice as many as are used, so that a mask keeps an index inside. They are
    /// read on the way down, where most paths end at the first.
    names: [u64; 2 * PATH_COMPONENTS_MAX],
    key: FilterKey,
    /// Bytes of the component in the key.
    length: u64,
}

#[btf_map]
static WALKS: PerCpuArray<Walk, SCRATCHES> = PerCpuArray::new();

/// A program's room for the walk of a path on this CPU.
#[inline(always)]
fn walk(which: u32) -> Option<*mut Walk> {
    slot(&raw const WALKS, which).map(<*mut u8>::cast)
}

/// The key with the name of a component.
#[inline(always)]
fn key(walk: *mut Walk) -> *mut FilterKey {
    walk.wrapping_byte_add(core::mem::offset_of!(Walk, key)).cast()
}

/// Where a location stands in the tree.
#[inline(always)]
pub(crate) fn place(which: Scratch, at: Location) -> Position {
    Position::unpack(filter_place(which as u32, at.dentry as u64, at.vfsmount as u64))
}

/// Where a text leads from a place in the tree. The text is in the upper half of the scratch buffer.
#[inline(always)]
pub(crate) fn follow(which: Scratch, from: Position) -> Position {
    let mut position = from.pack();
    for part in 0..FILTER_TEXT_BYTES / PART_BYTES {
        position = filter_follow(which as u32, position, (part * PART_BYTES) as u32);
        if position & AT_END != 0 {
            return Position::unpack(position & !AT_END);
        }
    }
    Position::UNKNOWN
}

/// Walks from a dentry up to the root of its mount namespace, then down the tree.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn filter_place(which: u32, dentry: u64, vfsmount: u64) -> u64 {
    let Some(walk) = walk(which) else { return Position::UNKNOWN.pack() };
    walk_from(walk, dentry as *const u8, vfsmount as *const u8).pack()
}

/// Walks a part of a text from a place in the tree on; what is left of a component waits in the key.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn filter_follow(which: u32, from: u64, start: u32) -> u64 {
    let (Some(walk), Some(buffer)) = (walk(which), scratch_at(which)) else {
        return Position::UNKNOWN.pack() | AT_END;
    };
    let start = start as usize & (FILTER_TEXT_BYTES - 1);
    if start == 0 {
        clear_name(walk);
    }
    walk_text(walk, Position::unpack(from), buffer.wrapping_add(SCRATCH_BYTES / 2 + start))
}

#[inline(always)]
fn walk_from(walk: *mut Walk, dentry: *const u8, vfsmount: *const u8) -> Position {
    let names = walk.cast::<u64>();
    let mut dentry = dentry;
    let places = Places::of_kernel();
    let mut mount = places.of_vfsmount(vfsmount);
    let zero = unknown_zero();
    let mut count = 0;
    let mut complete = false;
    for _ in 0..PATH_COMPONENTS_MAX {
        count = index(forgotten(count, zero));
        dentry = forgotten(dentry as usize, zero) as *const u8;
        mount = mount.forgotten(zero);
        if dentry == mount.root {
            let Some(above) = mount.up(places) else {
                complete = true;
                break;
            };
            (dentry, mount) = above;
            continue;
        }
        let (parent, name) = places.of_dentry(dentry);
        if parent == dentry || parent.is_null() {
            // The root of a filesystem whose mount is not known, or a file that was never in a folder.
            complete = true;
            break;
        }
        // SAFETY: the index was masked.
        unsafe { *names.add(count) = name as u64 };
        count += 1;
        dentry = parent;
    }
    if !complete {
        return Position::UNKNOWN;
    }
    let mut position = Position::root();
    for _ in 0..PATH_COMPONENTS_MAX {
        position = forgotten_position(position, zero);
        count = forgotten(count, zero);
        if count == 0 {
            break;
        }
        count -= 1;
        if position.mask & (FILTER_NAMED | FILTER_WILDCARD) == 0 || position.below > 0 {
            position.below += count as u32 + 1;
            break;
        }
        count = index(count);
        // SAFETY: the index was masked; the name is read into the key.
        unsafe {
            clear_name(walk);
            let name = *names.add(count) as *const u8;
            let key = (&raw mut (*walk).key.name).cast();
            bpf_probe_read_kernel_str(key, FILTER_NAME_BYTES_MAX as u32, name.cast());
        }
        position.down(key(walk));
    }
    position
}

/// Keeps an index within the names, so that every turn looks alike to the verifier.
#[inline(always)]
fn index(index: usize) -> usize {
    let mut index = index;
    // SAFETY: one AND on a register.
    unsafe { core::arch::asm!("{0} &= {1}", inout(reg) index, const 2 * PATH_COMPONENTS_MAX - 1) };
    index
}

/// The same position, of which the verifier knows nothing any more.
#[inline(always)]
fn forgotten_position(position: Position, zero: usize) -> Position {
    let forget = |value: u32| forgotten(value as usize, zero) as u32;
    Position { node: forget(position.node), mask: forget(position.mask), below: forget(position.below) }
}

#[inline(always)]
fn clear_name(walk: *mut Walk) {
    // SAFETY: a value of the map; the key is a multiple of 8 bytes and lies at one.
    unsafe {
        let words = (&raw mut (*walk).key).cast::<u64>();
        for word in 0..size_of::<FilterKey>() / size_of::<u64>() {
            core::ptr::write_volatile(words.add(word), 0);
        }
        (&raw mut (*walk).length).write_volatile(0);
    }
}

#[inline(always)]
fn walk_text(walk: *mut Walk, from: Position, text: *const u8) -> u64 {
    let zero = unknown_zero();
    let mut position = from;
    for at in 0..PART_BYTES {
        position = forgotten_position(position, zero);
        // The caller's text has room for as many bytes.
        let byte: u8 = own(text, at);
        // SAFETY: the walk's own memory, whose values the verifier takes for any; the index is masked.
        unsafe {
            let length = index((&raw const (*walk).length).read_volatile() as usize);
            let name = (&raw mut (*walk).key.name).cast::<u8>();
            if byte != b'/' && byte != 0 {
                // Longer than any component of a filter, and longer it need not get.
                if length < FILTER_NAME_BYTES_MAX - 1 {
                    name.add(length).write_volatile(byte);
                    (&raw mut (*walk).length).write_volatile(length as u64 + 1);
                }
                continue;
            }
            let first_is_dot = name.read_volatile() == b'.';
            if length == 2 && first_is_dot && name.add(1).read_volatile() == b'.' {
                position.up();
            } else if length != 0 && !(length == 1 && first_is_dot) {
                position.down(key(walk));
            }
        }
        position.below = index_of_depth(position.below);
        if byte == 0 {
            return position.pack() | AT_END;
        }
        clear_name(walk);
    }
    position.pack()
}

/// Keeps a depth small, in a way that makes every turn look alike to the verifier.
#[inline(always)]
fn index_of_depth(depth: u32) -> u32 {
    let mut depth = u64::from(depth);
    // SAFETY: one AND on a register.
    unsafe { core::arch::asm!("{0} &= 0xffff", inout(reg) depth) };
    depth as u32
}
