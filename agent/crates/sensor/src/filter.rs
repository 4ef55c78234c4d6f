//! The tree of watched paths, built here and walked by the kernel programs.

use std::collections::BTreeMap;

use agent_common::{
    FILTER_NAME_BYTES_MAX, FILTER_NAMED, FILTER_NODES_MAX, FILTER_READ, FILTER_WILDCARD, FILTER_WRITE,
    FilterKey, FilterNode,
};

use crate::options::{FILTER_COMPONENT_BYTES_MAX, FILTER_INODES_MAX, FILTER_PATHS_MAX, FileFilter};

const _: () = assert!(FILTER_COMPONENT_BYTES_MAX + 2 == FILTER_NAME_BYTES_MAX);

/// Most nodes of one tree: the old one stays until the new one is complete.
const TREE_NODES_MAX: usize = FILTER_NODES_MAX / 2 - 1;

/// Why a filter was refused. The one before it stays in force.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum FilterError {
    /// A list is too long.
    #[error("{count} paths to watch for {access}, at most {FILTER_PATHS_MAX} are possible")]
    Paths {
        /// `reading` or `writing`.
        access: &'static str,
        /// How many were given.
        count: usize,
    },
    /// Too many files are watched by identity.
    #[error("{0} files to watch by identity, at most {FILTER_INODES_MAX} are possible")]
    Inodes(usize),
    /// A path does not begin at the root, or goes up.
    #[error("path {0:?}: expected an absolute path without `.` and `..`")]
    Path(String),
    /// A component is too long to be compared.
    #[error("path {0:?}: a component is longer than {FILTER_COMPONENT_BYTES_MAX} bytes")]
    Component(String),
    /// The paths, with what `*` makes of them, are too many.
    #[error(
        "the watched paths make a tree of more than {TREE_NODES_MAX} nodes; fewer `*` make a smaller one"
    )]
    Nodes,
    /// The kernel refused the new tree.
    #[error("the kernel does not take the watched paths: {0}")]
    Map(String),
}

/// A tree as the kernel's maps have it. Node numbers count from 0, the root; the maps add where the tree begins.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<FilterNode>,
    pub(crate) children: Vec<(FilterKey, u32)>,
}

/// A watched path: its components, and what of it is told.
struct Pattern<'a> {
    components: Vec<&'a str>,
    access: u32,
}

impl Tree {
    /// Builds the tree of a filter.
    pub(crate) fn new(filter: &FileFilter) -> Result<Self, FilterError> {
        let mut patterns = Vec::new();
        for (paths, access, name) in
            [(&filter.read, FILTER_READ, "reading"), (&filter.write, FILTER_WRITE, "writing")]
        {
            if paths.len() > FILTER_PATHS_MAX {
                return Err(FilterError::Paths { access: name, count: paths.len() });
            }
            for path in paths {
                patterns.push(Pattern { components: components(path)?, access });
            }
        }
        if filter.inodes.len() > FILTER_INODES_MAX {
            return Err(FilterError::Inodes(filter.inodes.len()));
        }
        let mut tree = Self::default();
        let all = (0..patterns.len()).map(|pattern| (pattern, 0)).collect();
        tree.grow(&patterns, all, 0, 0)?;
        Ok(tree)
    }

    /// Adds the node of the patterns that agree up to here, each with the number of its components that are behind.
    fn grow(
        &mut self,
        patterns: &[Pattern<'_>],
        here: Vec<(usize, usize)>,
        parent: u32,
        inherited: u32,
    ) -> Result<u32, FilterError> {
        if self.nodes.len() >= TREE_NODES_MAX {
            return Err(FilterError::Nodes);
        }
        let node = self.nodes.len() as u32;
        let mut mask = inherited;
        let mut named: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
        let mut any = Vec::new();
        for (pattern, behind) in here {
            match patterns[pattern].components.get(behind) {
                None => mask |= patterns[pattern].access,
                Some(&"*") => any.push((pattern, behind + 1)),
                Some(name) => named.entry(name).or_default().push((pattern, behind + 1)),
            }
        }
        let told = mask;
        mask |= if named.is_empty() { 0 } else { FILTER_NAMED };
        mask |= if any.is_empty() { 0 } else { FILTER_WILDCARD };
        self.nodes.push(FilterNode { parent, wildcard: 0, mask, initials: 0 });
        for (name, mut agree) in named {
            // A name that stands for itself is also one that `*` stands for.
            agree.extend(&any);
            let child = self.grow(patterns, agree, node, told)?;
            let mut key = FilterKey { node, name: [0; FILTER_NAME_BYTES_MAX] };
            key.name[..name.len()].copy_from_slice(name.as_bytes());
            self.nodes[node as usize].initials |= FilterNode::initial(key.name[0]);
            self.children.push((key, child));
        }
        if !any.is_empty() {
            self.nodes[node as usize].wildcard = self.grow(patterns, any, node, told)?;
        }
        Ok(node)
    }
}

/// The components of a path to watch.
fn components(path: &str) -> Result<Vec<&str>, FilterError> {
    let Some(relative) = path.strip_prefix('/') else { return Err(FilterError::Path(path.to_owned())) };
    let components: Vec<&str> = relative.split('/').filter(|component| !component.is_empty()).collect();
    if components.iter().any(|component| matches!(*component, "." | "..") || component.contains('\0')) {
        return Err(FilterError::Path(path.to_owned()));
    }
    if components.iter().any(|component| component.len() > FILTER_COMPONENT_BYTES_MAX) {
        return Err(FilterError::Component(path.to_owned()));
    }
    Ok(components)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(read: &[&str], write: &[&str]) -> FileFilter {
        let owned = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect();
        FileFilter { read: owned(read), write: owned(write), inodes: Vec::new() }
    }

    /// What the kernel's walk would find of a path.
    fn told(tree: &Tree, path: &str) -> u32 {
        let mut node = 0;
        for component in path.split('/').filter(|component| !component.is_empty()) {
            let here = tree.nodes[node as usize];
            let is_it = |key: &FilterKey| {
                key.node == node && key.name.split(|&byte| byte == 0).next() == Some(component.as_bytes())
            };
            let may_be = here.initials & FilterNode::initial(component.as_bytes()[0]) != 0;
            let named = tree.children.iter().find(|(key, _)| may_be && is_it(key));
            let child = named.map_or(here.wildcard, |(_, child)| *child);
            if child == 0 {
                break;
            }
            node = child;
        }
        tree.nodes[node as usize].mask & (FILTER_READ | FILTER_WRITE)
    }

    #[test]
    fn a_path_means_all_below_it_and_nothing_beside_it() {
        let tree = Tree::new(&filter(&["/etc/shadow", "/users/*/.ssh"], &["/etc", "/users/bob/x"])).unwrap();
        for (path, expected) in [
            ("/etc/shadow", FILTER_READ | FILTER_WRITE),
            ("/etc/shadow-", FILTER_WRITE),
            ("/etc/ssh/key", FILTER_WRITE),
            ("/etcetera", 0),
            ("/", 0),
            ("/users/eve/.ssh/id", FILTER_READ),
            ("/users/bob/.ssh/id", FILTER_READ),
            ("/users/bob/x/y", FILTER_WRITE),
            ("/users/eve/x", 0),
        ] {
            assert_eq!(told(&tree, path), expected, "{path}");
        }
        assert_eq!(told(&Tree::new(&filter(&["/"], &[])).unwrap(), "/any/thing"), FILTER_READ);
    }

    #[test]
    fn what_cannot_be_watched_is_refused() {
        let long = format!("/{}", "x".repeat(FILTER_COMPONENT_BYTES_MAX + 1));
        assert_eq!(Tree::new(&filter(&["etc"], &[])), Err(FilterError::Path("etc".to_owned())));
        assert_eq!(Tree::new(&filter(&[], &["/a/../b"])), Err(FilterError::Path("/a/../b".to_owned())));
        assert_eq!(Tree::new(&filter(&[&long], &[])), Err(FilterError::Component(long.clone())));
        let many: Vec<String> = (0..=FILTER_PATHS_MAX).map(|number| format!("/{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let error = Tree::new(&filter(&many, &[])).unwrap_err();
        assert_eq!(error.to_string(), "257 paths to watch for reading, at most 256 are possible");
    }

    #[test]
    fn wildcards_do_not_grow_without_limit() {
        let paths: Vec<String> = (0..FILTER_PATHS_MAX)
            .map(|bits| (0..16).map(|bit| if bits >> (bit % 8) & 1 == 1 { "/*" } else { "/a" }).collect())
            .collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(Tree::new(&filter(&paths, &[])), Err(FilterError::Nodes));
    }
}
