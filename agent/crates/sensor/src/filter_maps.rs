//! Putting a filter into force.

use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::path::PathBuf;

use agent_common::{
    FILTER_NODES_MAX, FILTER_READ, FILTER_WRITE, FilterKey, FilterNode, FilterRoot, InodeKey,
};
use aya::maps::{Array, HashMap, MapData, MapError};

use crate::filter::{FilterError, Tree};
use crate::options::FileFilter;
use crate::wire_maps::{FilterKeyPod, FilterNodePod, FilterRootPod, InodeKeyPod};

/// Trees alternate between the two halves of the nodes, of which node 0 stands for none.
const HALVES: [u32; 2] = [1, FILTER_NODES_MAX as u32 / 2];

/// The maps of the filter, and what is in them.
pub(crate) struct FilterMaps {
    pub(crate) children: HashMap<MapData, FilterKeyPod, u32>,
    pub(crate) nodes: Array<MapData, FilterNodePod>,
    pub(crate) root: Array<MapData, FilterRootPod>,
    pub(crate) inodes: HashMap<MapData, InodeKeyPod, u32>,
    pub(crate) half: usize,
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) found: Vec<InodeKey>,
}

impl FilterMaps {
    /// Takes in what an agent before this one put into force, so that it stays until something takes its place.
    pub(crate) fn go_on(&mut self) -> Result<(), MapError> {
        let root = self.root.get(&0, 0)?.0;
        self.half = HALVES.iter().position(|half| *half == root.node).unwrap_or(0);
        self.found = self.inodes.keys().filter_map(Result::ok).map(|key| key.0).collect();
        Ok(())
    }

    /// Puts a filter into force: the new tree is complete before it takes the old one's place, and the old one stays
    /// where anything fails.
    pub(crate) fn install(&mut self, filter: &FileFilter) -> Result<(), FilterError> {
        let tree = Tree::new(filter)?;
        let old: Vec<FilterKey> = self.children.keys().filter_map(Result::ok).map(|key| key.0).collect();
        let half = 1 - self.half;
        let base = HALVES[half];
        if let Err(error) = self.write(&tree, base) {
            for (key, _) in &tree.children {
                // What was not written is not there to be removed.
                let _ = self.children.remove(&FilterKeyPod(based(*key, base)));
            }
            return Err(FilterError::Map(error.to_string()));
        }
        self.half = half;
        self.paths.clone_from(&filter.inodes);
        self.find_inodes().map_err(|error| FilterError::Map(error.to_string()))?;
        for key in old {
            self.children.remove(&FilterKeyPod(key)).map_err(|error| FilterError::Map(error.to_string()))?;
        }
        Ok(())
    }

    fn write(&mut self, tree: &Tree, base: u32) -> Result<(), MapError> {
        for (number, node) in (base..).zip(&tree.nodes) {
            let wildcard = if node.wildcard == 0 { 0 } else { node.wildcard + base };
            let node = FilterNode { parent: node.parent + base, wildcard, ..*node };
            self.nodes.set(number, FilterNodePod(node), 0)?;
        }
        for (key, child) in &tree.children {
            self.children.insert(FilterKeyPod(based(*key, base)), child + base, 0)?;
        }
        Ok(())
    }

    /// Looks up the files that are watched by identity: those that appeared or were replaced since are watched from now
    /// on.
    pub(crate) fn find_inodes(&mut self) -> Result<(), MapError> {
        let found: Vec<InodeKey> = self.paths.iter().filter_map(inode).collect();
        for key in self.found.iter().filter(|key| !found.contains(key)) {
            self.inodes.remove(&InodeKeyPod(*key))?;
        }
        for key in found.iter().filter(|key| !self.found.contains(key)) {
            self.inodes.insert(InodeKeyPod(*key), FILTER_READ | FILTER_WRITE, 0)?;
        }
        let root = FilterRoot { node: HALVES[self.half], inodes: found.len() as u32 };
        self.root.set(0, FilterRootPod(root), 0)?;
        self.found = found;
        Ok(())
    }
}

fn based(key: FilterKey, base: u32) -> FilterKey {
    FilterKey { node: key.node + base, ..key }
}

fn inode(path: &PathBuf) -> Option<InodeKey> {
    let file = fs::metadata(path).ok()?;
    let device = libc::major(file.st_dev()) << 20 | libc::minor(file.st_dev());
    Some(InodeKey { inode: file.st_ino(), device, reserved: 0 })
}
