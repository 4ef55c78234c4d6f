//! Which files are told of: a tree of path components, and a set of inodes.
//!
//! A path is walked through the tree from the root of its mount namespace downwards, and most end at its first
//! component, which no child of the root has. Names are compared and nothing is resolved, so a path need not exist
//! to be watched, and one filter holds in every container.

mod walk;

use agent_common::{
    FILTER_NAMED, FILTER_NODES_MAX, FILTER_READ, FILTER_WILDCARD, FILTER_WRITE, FilterKey, FilterNode,
    FilterRoot, InodeKey,
};
use aya_ebpf::btf_maps::{Array, HashMap};
use aya_ebpf::macros::btf_map;

use crate::maps::{lookup, slot};

pub(crate) use walk::{follow, place};

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
    fn root() -> Self {
        // SAFETY: a value of the map.
        let node =
            slot(&raw const FILTER_ROOT, 0).map_or(0, |root| unsafe { (*root.cast::<FilterRoot>()).node });
        Self { node, mask: mask_of(node), below: 0 }
    }

    /// A path that could not be followed to its end: told, whatever it is.
    pub(crate) const UNKNOWN: Self = Self { node: 0, mask: EVERYTHING, below: 1 };

    /// As one number.
    #[inline(always)]
    const fn pack(self) -> u64 {
        self.node as u64 | (self.mask as u64) << 16 | ((self.below & 0xffff) as u64) << 32
    }

    #[inline(always)]
    const fn unpack(packed: u64) -> Self {
        Self { node: packed as u16 as u32, mask: (packed >> 16) as u16 as u32, below: (packed >> 32) as u32 }
    }

    /// Whether one of the given kinds of access is told.
    #[inline(always)]
    pub(crate) const fn tells(self, access: u32) -> bool {
        self.mask & access != 0
    }

    /// One component down: the one whose name is in the key.
    #[inline(always)]
    fn down(&mut self, key: *mut FilterKey) {
        if self.below > 0 || self.mask & (FILTER_NAMED | FILTER_WILDCARD) == 0 {
            self.below += 1;
            return;
        }
        let Some(node) = node_of(self.node) else { return self.below += 1 };
        // SAFETY: values of the maps.
        let named = unsafe {
            (*key).node = self.node;
            // Most names of most folders begin as no name of the tree does.
            let may_be = node.initials & FilterNode::initial((*key).name[0]) != 0;
            if may_be {
                lookup(&raw const FILTER_CHILDREN, key).map(|child| *child.cast::<u32>())
            } else {
                None
            }
        };
        let child = named.unwrap_or(node.wildcard);
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

/// Whether any file is watched by identity.
#[inline(always)]
pub(crate) fn watches_inodes() -> bool {
    // SAFETY: a value of the map.
    slot(&raw const FILTER_ROOT, 0).is_some_and(|root| unsafe { (*root.cast::<FilterRoot>()).inodes != 0 })
}

/// Whether a file is watched by identity.
#[inline(always)]
pub(crate) fn is_watched_inode(inode: u64, device: u32) -> bool {
    let key = InodeKey { inode, device, reserved: 0 };
    lookup(&raw const FILTER_INODES, &raw const key).is_some()
}
