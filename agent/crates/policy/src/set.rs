//! All policies of a cluster, indexed by what they can select.

use std::collections::{BTreeMap, HashMap};
use std::iter::Peekable;
use std::slice::Iter;
use std::sync::Arc;

use watchfire_model::{Dialect, Direction, PolicyRef, Tier};

use crate::groups::Groups;
use crate::peer::Peers;
use crate::rule::Rule;
use crate::{CiliumOptions, Policy};

/// An immutable snapshot of all policies. A change of policies is a new set; the compiled policies are shared.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// Tells one set from another.
    pub(crate) token: Arc<Token>,
    pub(crate) dialect: Dialect,
    pub(crate) options: Arc<CiliumOptions>,
    pub(crate) groups: Groups,
    /// Whether rules may look at the addresses of pods and not at their identities alone.
    pub(crate) looks_at_addresses_of_pods: bool,
    asks: Asks,
    policies: Vec<Arc<Policy>>,
    refused: Vec<Arc<Policy>>,
    ingress: Directed,
    egress: Directed,
}

/// What the rules of a set ask of the world beyond labels.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Asks {
    names: bool,
    services: bool,
}

/// Something that is the same only as itself. Not empty, so that each has an address of its own.
#[derive(Debug)]
pub(crate) struct Token(#[expect(dead_code, reason = "its address is all that counts")] u8);

/// A rule in its place among all others.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) policy: Arc<Policy>,
    pub(crate) rule: Arc<Rule>,
    /// Rules of one level are weighed against each other; those of lower levels come first.
    pub(crate) level: u32,
}

/// The rules of one direction, in the order in which they are asked.
#[derive(Clone, Default, Debug)]
pub(crate) struct Directed {
    pub(crate) entries: Vec<Entry>,
    /// Those that select in one namespace alone.
    namespaced: HashMap<String, Vec<u32>>,
    /// Those that may select anywhere.
    clusterwide: Vec<u32>,
}

impl PolicySet {
    /// Indexes policies under one reading of them. Of two with the same kind, namespace and name the later one
    /// counts, as if both had been applied in turn.
    #[must_use]
    pub fn new(dialect: Dialect, policies: impl IntoIterator<Item = Arc<Policy>>) -> Self {
        Self::with_options(dialect, CiliumOptions::default(), policies)
    }

    /// As `new`, where Cilium is configured in its own way.
    #[must_use]
    pub fn with_options(
        dialect: Dialect,
        options: CiliumOptions,
        policies: impl IntoIterator<Item = Arc<Policy>>,
    ) -> Self {
        let policies: BTreeMap<_, _> =
            policies.into_iter().map(|policy| (Arc::clone(policy.reference()), policy)).collect();
        let is_accepted = |policy: &Arc<Policy>| {
            dialect == Dialect::K8s
                || policy.rules(dialect).iter().all(|rule| rule.requires.is_met_by(&options))
        };
        let (policies, refused): (Vec<_>, Vec<_>) = policies.into_values().partition(is_accepted);
        let groups = policies
            .iter()
            .filter_map(|policy| Some((policy.reference().name.clone(), policy.group()?.clone())));
        let directed = |direction| Directed::new(dialect, direction, &policies);
        let (ingress, egress) = (directed(Direction::Ingress), directed(Direction::Egress));
        let peers = || ingress.entries.iter().chain(&egress.entries).map(|entry| &entry.rule.peers);
        Self {
            asks: Asks {
                names: peers().any(Peers::ask_for_names),
                services: peers().any(|peers| matches!(peers, Peers::Services { .. })),
            },
            token: Arc::new(Token(0)),
            looks_at_addresses_of_pods: dialect == Dialect::K8s || options.cidr_matches_pods,
            dialect,
            groups: Groups(groups.collect()),
            options: Arc::new(options),
            ingress,
            egress,
            policies,
            refused,
        }
    }

    /// All policies, by kind, namespace and name.
    #[must_use]
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// Policies that Cilium as configured refuses, by kind, namespace and name: those that use what has to be switched on.
    #[must_use]
    pub fn refused(&self) -> &[Arc<Policy>] {
        &self.refused
    }

    /// Whether any rule asks for the names of addresses outside (`World::names`).
    #[must_use]
    pub const fn asks_for_names(&self) -> bool {
        self.asks.names
    }

    /// Whether any rule asks for services (`World::services`).
    #[must_use]
    pub const fn asks_for_services(&self) -> bool {
        self.asks.services
    }

    pub(crate) const fn directed(&self, direction: Direction) -> &Directed {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

impl Directed {
    fn new(dialect: Dialect, direction: Direction, policies: &[Arc<Policy>]) -> Self {
        let mut entries = Vec::new();
        for policy in policies {
            for rule in policy.rules(dialect).iter().filter(|rule| rule.direction == direction) {
                entries.push(Entry { policy: Arc::clone(policy), rule: Arc::clone(rule), level: 0 });
            }
        }
        // The policies are in stable order, and so are the rules of each.
        entries.sort_by_key(|entry| (entry.rule.tier, entry.rule.priority));
        let mut level = 0;
        for index in 1..entries.len() {
            let (before, rule) = (&entries[index - 1].rule, &entries[index].rule);
            let is_next = (before.tier, before.priority) != (rule.tier, rule.priority)
                // By the API the rules of admin policies are asked one by one.
                || (dialect == Dialect::K8s && rule.tier != Tier::Normal);
            level += u32::from(is_next);
            entries[index].level = level;
        }
        let mut directed = Self { entries, ..Self::default() };
        for (entry, index) in directed.entries.iter().zip(0..) {
            match entry.rule.subject.namespace() {
                Some(namespace) => directed.namespaced.entry(namespace.to_owned()).or_default().push(index),
                None => directed.clusterwide.push(index),
            }
        }
        directed
    }

    /// The rules that may select pods of the namespace, in order.
    pub(crate) fn of(&self, namespace: &str) -> impl Iterator<Item = &Entry> {
        self.positions_of(namespace).map(|position| &self.entries[position as usize])
    }

    /// Their positions among all.
    pub(crate) fn positions_of(&self, namespace: &str) -> impl Iterator<Item = u32> {
        let namespaced = self.namespaced.get(namespace).map_or(&[][..], Vec::as_slice);
        Merged { one: namespaced.iter().peekable(), other: self.clusterwide.iter().peekable() }
    }

    /// Whether any rule selects anyone.
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Two ascending lists as one.
struct Merged<'a> {
    one: Peekable<Iter<'a, u32>>,
    other: Peekable<Iter<'a, u32>>,
}

impl Iterator for Merged<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let next = match (self.one.peek(), self.other.peek()) {
            (Some(one), Some(other)) if one > other => self.other.next(),
            (None, _) => self.other.next(),
            _ => self.one.next(),
        };
        next.copied()
    }
}

/// The policies of some rules, each once. Rules of one policy need not stand together, as where some are denials.
pub(crate) fn policies_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Arc<[Arc<PolicyRef>]> {
    let mut found: Vec<&Arc<Policy>> = Vec::new();
    for entry in entries {
        // Mostly it is the one before.
        if !found.iter().rev().any(|policy| Arc::ptr_eq(policy, &entry.policy)) {
            found.push(&entry.policy);
        }
    }
    match found.as_slice() {
        [only] => Arc::clone(only.alone()),
        several => several.iter().map(|policy| Arc::clone(policy.reference())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkPolicy;

    fn policy(namespace: &str, name: &str, spec: &str) -> Arc<Policy> {
        let json =
            format!(r#"{{"metadata": {{"namespace": "{namespace}", "name": "{name}"}}, "spec": {spec}}}"#);
        Arc::new(Policy::try_from(&serde_json::from_str::<NetworkPolicy>(&json).unwrap()).unwrap())
    }

    fn names(set: &PolicySet) -> Vec<String> {
        set.policies().iter().map(|policy| policy.reference().to_string()).collect()
    }

    #[test]
    fn order_does_not_depend_on_input() {
        let input = [policy("b", "a", "{}"), policy("a", "b", "{}"), policy("a", "a", "{}")];
        let mut reversed = input.clone();
        reversed.reverse();
        let set = PolicySet::new(Dialect::K8s, input);
        assert_eq!(names(&set), ["NetworkPolicy/a/a", "NetworkPolicy/a/b", "NetworkPolicy/b/a"]);
        assert_eq!(names(&set), names(&PolicySet::new(Dialect::K8s, reversed)));
    }

    #[test]
    fn the_later_of_two_objects_of_one_name_counts() {
        let first = policy("a", "p", r#"{"policyTypes": ["Egress"]}"#);
        let second = policy("a", "p", r#"{"policyTypes": ["Ingress"]}"#);
        let set = PolicySet::new(Dialect::K8s, [first, second]);
        assert_eq!(set.policies().len(), 1);
        assert!(!set.directed(Direction::Ingress).is_empty() && set.directed(Direction::Egress).is_empty());
    }
}
