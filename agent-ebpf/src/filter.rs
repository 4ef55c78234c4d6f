//! Which files are told of: a tree of path components, and a set of inodes.
//!
//! A path is walked through the tree from the root of its mount namespace downwards, and most end at its first
//! component, which no child of the root has. Names are compared and nothing is resolved, so a path need not exist
//! to be watched, and one filter holds in every container.

use agent_common::{
    FILTER_NAME_BYTES_MAX, FILTER_NAMED, FILTER_NODES_MAX, FILTER_READ, FILTER_WILDCARD, FILTER_WRITE,
    FilterKey, FilterNode, FilterRoot, InodeKey, PATH_COMPONENTS_MAX,
};
use aya_ebpf::btf_maps::{Array, HashMap};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::btf_map;

use crate::maps::{lookup, slot};
use crate::path::read;
use crate::settings::{load, offset};

/// Bytes of a text that are compared; a longer text is told whatever it names.
pub(crate) const FILTER_TEXT_BYTES: usize = 256;
/// What a path that could not be compared to its end counts as.
const EVERYTHING: u32 = FILTER_READ | FILTER_WRITE;
/// Files that can be watched by identity.
const INODES_MAX: usize = 1024;

#[btf_map]
static FILTER_CHILDREN: HashMap<FilterKey, u32, FILTER_NODES_MAX> = HashMap::new();

#[btf_map]
static FILTER_NODES: Array<FilterNode, FILTER_NODES_MAX> = Array::new();

#[btf_map]
static FILTER_ROOT: Array<FilterRoot, 1> = Array::new();

#[btf_map]
static FILTER_INODES: HashMap<InodeKey, u32, INODES_MAX> = HashMap::new();

/// Room for the name pointers of one path; twice as many as are used, so that a mask keeps an index inside.
pub(crate) type Names = [u64; 2 * PATH_COMPONENTS_MAX];

/// A place in the tree.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    node: u32,
    mask: u32,
    /// How many components below that node: none of them is in the tree.
    below: u32,
}

impl Position {
    /// The root of the tree in force.
    #[inline(always)]
    pub(crate) fn root() -> Self {
        // SAFETY: a value of the map.
        let node =
            slot(&raw const FILTER_ROOT, 0).map_or(0, |root| unsafe { (*root.cast::<FilterRoot>()).node });
        Self { node, mask: mask_of(node), below: 0 }
    }

    /// A path that could not be followed to its end: told, whatever it is.
    pub(crate) const UNKNOWN: Self = Self { node: 0, mask: EVERYTHING, below: 1 };

    /// Whether one of the given kinds of access is told.
    #[inline(always)]
    pub(crate) const fn tells(self, access: u32) -> bool {
        self.mask & access != 0
    }

    /// One component down.
    #[inline(always)]
    fn down(&mut self, key: &mut FilterKey) {
        if self.below > 0 || self.mask & (FILTER_NAMED | FILTER_WILDCARD) == 0 {
            self.below += 1;
            return;
        }
        key.node = self.node;
        // SAFETY: values of the maps.
        let named =
            lookup(&raw const FILTER_CHILDREN, &raw const *key).map(|child| unsafe { *child.cast::<u32>() });
        let child = match named {
            Some(child) => child,
            None => node_of(self.node).map_or(0, |node| node.wildcard),
        };
        if child == 0 {
            self.below += 1;
        } else {
            self.node = child;
            self.mask = mask_of(child);
        }
    }

    /// One component up.
    #[inline(always)]
    fn up(&mut self) {
        if self.below > 0 {
            self.below -= 1;
        } else if let Some(node) = node_of(self.node) {
            self.node = node.parent;
            self.mask = mask_of(node.parent);
        }
    }
}

#[inline(always)]
fn node_of(node: u32) -> Option<&'static FilterNode> {
    // SAFETY: a value of the map.
    slot(&raw const FILTER_NODES, node).map(|node| unsafe { &*node.cast::<FilterNode>() })
}

#[inline(always)]
fn mask_of(node: u32) -> u32 {
    node_of(node).map_or(0, |node| node.mask)
}

/// Whether a file is watched by identity.
#[inline(always)]
pub(crate) fn is_watched_inode(inode: u64, device: u32) -> bool {
    // SAFETY: a value of the map.
    let any = slot(&raw const FILTER_ROOT, 0)
        .is_some_and(|root| unsafe { (*root.cast::<FilterRoot>()).inodes != 0 });
    let key = InodeKey { inode, device, reserved: 0 };
    any && lookup(&raw const FILTER_INODES, &raw const key).is_some()
}

/// Walks from a dentry up to the root of its mount namespace, then down the tree.
#[inline(always)]
pub(crate) fn place(names: *mut Names, dentry: *const u8, vfsmount: *const u8) -> Position {
    let names = names.cast::<u64>();
    let (mut dentry, mut vfsmount) = (dentry, vfsmount);
    let mut mount_root: *const u8 = read(vfsmount, offset!(vfsmount_root));
    let mut count: usize = 0;
    let mut complete = false;
    for _ in 0..PATH_COMPONENTS_MAX {
        count = index(count);
        if dentry == mount_root {
            // SAFETY: `struct vfsmount` is the member `mnt` of `struct mount` (fs/mount.h, real_mount()).
            let mount = unsafe { vfsmount.wrapping_sub(offset!(mount_mnt)) };
            let parent: *const u8 = read(mount, offset!(mount_parent));
            if parent == mount || vfsmount.is_null() {
                complete = true;
                break;
            }
            dentry = read(mount, offset!(mount_mountpoint));
            vfsmount = parent.wrapping_add(offset!(mount_mnt));
            mount_root = read(vfsmount, offset!(vfsmount_root));
            continue;
        }
        let parent: *const u8 = read(dentry, offset!(dentry_parent));
        if parent == dentry || parent.is_null() {
            // The root of a filesystem whose mount is not known, or a file that was never in a folder.
            complete = true;
            break;
        }
        // SAFETY: the index was masked.
        unsafe { *names.add(count) = read(dentry, offset!(dentry_name)) };
        count += 1;
        dentry = parent;
    }
    if !complete {
        return Position::UNKNOWN;
    }
    let mut position = Position::root();
    for _ in 0..PATH_COMPONENTS_MAX {
        if count == 0 {
            break;
        }
        count -= 1;
        if position.mask & (FILTER_NAMED | FILTER_WILDCARD) == 0 || position.below > 0 {
            position.below += count as u32 + 1;
            break;
        }
        count = index(count);
        let mut key = FilterKey { node: 0, name: [0; FILTER_NAME_BYTES_MAX] };
        // SAFETY: the index was masked; the name is read into the key.
        unsafe {
            let name = *names.add(count) as *const u8;
            bpf_probe_read_kernel_str(
                key.name.as_mut_ptr().cast(),
                FILTER_NAME_BYTES_MAX as u32,
                name.cast(),
            );
        }
        position.down(&mut key);
    }
    position
}

/// Keeps an index within [`Names`], so that every turn looks alike to the verifier.
#[inline(always)]
fn index(index: usize) -> usize {
    let mut index = index;
    // SAFETY: one AND on a register.
    unsafe { core::arch::asm!("{0} &= {1}", inout(reg) index, const 2 * PATH_COMPONENTS_MAX - 1) };
    index
}

/// Walks a text, relative or not, from a place in the tree on.
#[inline(always)]
pub(crate) fn follow(from: Position, text: *const u8) -> Position {
    let mut position = from;
    let mut key = FilterKey { node: 0, name: [0; FILTER_NAME_BYTES_MAX] };
    let mut length: usize = 0;
    for at in 0..FILTER_TEXT_BYTES {
        // SAFETY: the caller's text has room for as many bytes.
        let byte: u8 = unsafe { load(text, at) };
        if byte != b'/' && byte != 0 {
            length = if length < FILTER_NAME_BYTES_MAX - 1 { length } else { FILTER_NAME_BYTES_MAX - 2 };
            // SAFETY: bounded just now.
            unsafe { *key.name.as_mut_ptr().add(length) = byte };
            length += 1;
            continue;
        }
        let is_up = length == 2 && key.name[0] == b'.' && key.name[1] == b'.';
        let is_here = length == 0 || (length == 1 && key.name[0] == b'.');
        if is_up {
            position.up();
        } else if !is_here {
            position.down(&mut key);
        }
        if byte == 0 {
            return position;
        }
        key.name = [0; FILTER_NAME_BYTES_MAX];
        length = 0;
    }
    Position::UNKNOWN
}
