//! Groups of blocks that policies name: `CiliumCIDRGroup` of cilium.io.

use std::collections::BTreeMap;
use std::net::IpAddr;

use watchfire_model::Labels;

use crate::address::BlockSet;
use crate::selector::{Selector, Test};

/// One group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    pub(crate) labels: Labels,
    pub(crate) blocks: BlockSet,
}

/// All groups, by name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Groups(pub(crate) BTreeMap<String, Group>);

impl Groups {
    /// Whether the group of this name has the address; one that is not there has none.
    pub(crate) fn named(&self, name: &str, address: IpAddr) -> bool {
        self.0.get(name).is_some_and(|group| group.blocks.contains(address))
    }

    /// Whether a group with the label has the address; none where there is no such group.
    pub(crate) fn labelled(&self, key: &str, address: IpAddr) -> Option<bool> {
        let mut labelled =
            self.0.values().filter(|group| group.labels.get(key).is_some_and(String::is_empty)).peekable();
        labelled.peek()?;
        Some(labelled.any(|group| group.blocks.contains(address)))
    }

    /// Whether the groups that have the address have labels as wanted among them. Cilium gives an address the labels of all
    /// its groups, with key and value in one, and looks for each of those that are wanted by itself
    /// (`matchesEncodedRequirements` of pkg/policy/types): they may come from different groups.
    pub(crate) fn selected(&self, selector: &Selector, address: IpAddr) -> bool {
        let holding = || self.0.values().filter(|group| group.blocks.contains(address));
        selector.requirements().iter().all(|requirement| {
            let mut values = holding().filter_map(|group| group.labels.get(&*requirement.key));
            match &requirement.test {
                Test::Equals(wanted) => values.any(|value| **value == **wanted),
                Test::In(wanted) => values.any(|value| wanted.contains(value)),
                Test::NotIn(unwanted) => !values.any(|value| unwanted.contains(value)),
                Test::Exists => values.next().is_some(),
                Test::DoesNotExist => values.next().is_none(),
            }
        })
    }
}
