//! Which rules of a subject may be about a peer at all. A rule that is left out names no such peer; one that is not left out
//! still has to be tried.

use std::collections::HashMap;
use std::net::IpAddr;

use watchfire_model::Pod;

use crate::address::{BlockKey, key_of};
use crate::cilium::Anchor;
use crate::connection::Party;
use crate::mix::Mix;
use crate::peer::{PeerMatcher, Peers};
use crate::selector::{METADATA_NAME, Selector, Test};
use crate::side::Context;

/// Positions of rules by what their peers must have.
#[derive(Clone, Default, Debug)]
pub(crate) struct PeerIndex {
    /// Those that may be about anyone.
    always: Vec<u32>,
    /// Those about addresses, by their blocks.
    blocks: HashMap<BlockKey, Vec<u32>, Mix>,
    /// Lengths of the blocks of either family.
    lengths: [Vec<u8>; 2],
    /// Those about pods with a label.
    labels: HashMap<Box<str>, HashMap<Box<str>, Vec<u32>>>,
    /// Those about pods of a namespace.
    namespaces: HashMap<Box<str>, Vec<u32>>,
}

impl PeerIndex {
    pub(crate) fn new<'a>(peers: impl Iterator<Item = &'a Peers>) -> Self {
        let mut index = Self::default();
        for (peers, position) in peers.zip(0..) {
            index.add(peers, position);
        }
        for (is_v6, length, _) in index.blocks.keys() {
            index.lengths[usize::from(*is_v6)].push(*length);
        }
        for lengths in &mut index.lengths {
            lengths.sort_unstable();
            lengths.dedup();
        }
        index
    }

    fn add(&mut self, peers: &Peers, position: u32) {
        let entries = match peers {
            Peers::Nobody => return,
            Peers::Any | Peers::Services { .. } => return self.always.push(position),
            Peers::Listed { entries, .. } => entries,
        };
        let anchors: Option<Vec<_>> = entries.iter().map(anchor).collect();
        let Some(anchors) = anchors else { return self.always.push(position) };
        for anchor in anchors {
            let list = match anchor {
                Anchor::Block(block) => {
                    self.blocks.entry(key_of(block.addr(), block.prefix_len())).or_default()
                }
                Anchor::Label(key, value) => {
                    self.labels.entry(key.into()).or_default().entry(value.into()).or_default()
                }
                Anchor::Namespace(name) => self.namespaces.entry(name.into()).or_default(),
            };
            if list.last() != Some(&position) {
                list.push(position);
            }
        }
    }

    /// Puts the positions of rules that may be about the peer into `found`, in order. False where that is any of them.
    pub(crate) fn candidates(&self, context: &Context<'_>, found: &mut Vec<u32>) -> bool {
        found.clear();
        match context.side.peer {
            // What is not known may be anyone, and so may a node that connects.
            Party::Unresolved | Party::Node(_) => return false,
            Party::Pod(pod) => self.of_pod(pod, found),
            Party::World => {}
        }
        self.of_address(context.side.peer_ip, found);
        found.extend_from_slice(&self.always);
        found.sort_unstable();
        found.dedup();
        true
    }

    fn of_pod(&self, pod: &Pod, found: &mut Vec<u32>) {
        let identity = &pod.identity;
        found.extend(self.namespaces.get(&*identity.namespace).into_iter().flatten());
        if self.labels.is_empty() {
            return;
        }
        for (key, value) in &identity.labels {
            let values = self.labels.get(key.as_str());
            found.extend(values.and_then(|values| values.get(value.as_str())).into_iter().flatten());
        }
    }

    fn of_address(&self, address: IpAddr, found: &mut Vec<u32>) {
        for length in &self.lengths[usize::from(address.is_ipv6())] {
            found.extend(self.blocks.get(&key_of(address, *length)).into_iter().flatten());
        }
    }
}

/// Something that a peer must have to be meant by an entry; none where there is no such thing.
fn anchor(entry: &PeerMatcher) -> Option<Anchor<'_>> {
    match entry {
        PeerMatcher::Block(block) | PeerMatcher::Outside(block) => Some(Anchor::Block(block.cidr.trunc())),
        PeerMatcher::PodsIn { namespace, pods } => Some(label(pods).unwrap_or(Anchor::Namespace(namespace))),
        PeerMatcher::PodsOf { namespaces, pods } => pods.as_ref().and_then(label).or_else(|| {
            let mut named = namespaces.requirements().iter();
            named.find_map(|requirement| match &requirement.test {
                Test::Equals(name) if *requirement.key == *METADATA_NAME => Some(Anchor::Namespace(name)),
                _ => None,
            })
        }),
        PeerMatcher::Labels(labels) => labels.anchor(),
        _ => None,
    }
}

fn label(selector: &Selector) -> Option<Anchor<'_>> {
    selector.requirements().iter().find_map(|requirement| match &requirement.test {
        Test::Equals(value) => Some(Anchor::Label(&requirement.key, value)),
        _ => None,
    })
}
