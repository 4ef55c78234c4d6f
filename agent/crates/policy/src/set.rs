//! All policies of a cluster, indexed by what they can select.

use std::collections::{BTreeMap, HashMap};
use std::iter::Peekable;
use std::slice::Iter;
use std::sync::Arc;

use watchfire_model::{Dialect, Direction, PolicyRef, Tier};

use crate::classes::AddressClasses;
use crate::groups::Groups;
use crate::peer::Peers;
use crate::rule::{Rule, Subject};
use crate::{CiliumOptions, Policy};

/// An immutable snapshot of all policies. A change of policies is a new set; the compiled policies are shared.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// Tells one set from another.
    pub(crate) token: Arc<Token>,
    pub(crate) dialect: Dialect,
    pub(crate) options: Arc<CiliumOptions>,
    pub(crate) groups: Groups,
    /// How far rules may look at the addresses of pods, and not at their identities alone.
    pub(crate) addresses_of_pods: AddressClasses,
    asks: Asks,
    policies: Arc<[Arc<Policy>]>,
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
    namespaced: HashMap<String, Vec<Run>>,
    /// Those that may select anywhere.
    clusterwide: Vec<Run>,
}

/// Rules that stand together and have one subject.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u32,
    /// The position behind the last.
    end: u32,
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
            addresses_of_pods: addresses_of_pods(dialect, &options, &policies),
            dialect,
            groups: Groups(groups.collect()),
            options: Arc::new(options),
            ingress,
            egress,
            policies: policies.into(),
            refused,
        }
    }

    /// Policies with rules that have no effect, by kind, namespace and name, each with the reason.
    pub fn idle(&self) -> impl Iterator<Item = (&Arc<Policy>, &'static str)> {
        let is_off = self.dialect == Dialect::Cilium && !self.options.host_firewall;
        let selects_nodes = |policy: &&Arc<Policy>| {
            let rules = policy.rules(self.dialect);
            rules.iter().any(|rule| matches!(*rule.subject, Subject::Nodes { .. }))
        };
        self.policies
            .iter()
            .filter(move |_| is_off)
            .filter(selects_nodes)
            .map(|policy| (policy, "selects nodes, which are judged with enable-host-firewall alone"))
    }

    /// All policies, by kind, namespace and name.
    #[must_use]
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    pub(crate) const fn shared_policies(&self) -> &Arc<[Arc<Policy>]> {
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

/// By the API blocks are about whoever has the address.
fn addresses_of_pods(dialect: Dialect, options: &CiliumOptions, policies: &[Arc<Policy>]) -> AddressClasses {
    if dialect == Dialect::Cilium {
        let each = options.cidr_matches_pods.then_some(AddressClasses::Each);
        return each.unwrap_or_else(|| AddressClasses::of(std::iter::empty()));
    }
    let rules = policies.iter().flat_map(|policy| policy.rules(dialect).iter());
    AddressClasses::of(rules.flat_map(|rule| rule.peers.blocks()))
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
        let mut first = 0;
        let one_subject = |one: &Entry, other: &Entry| Arc::ptr_eq(&one.rule.subject, &other.rule.subject);
        for entries in directed.entries.chunk_by(one_subject) {
            let run = Run { first, end: first + u32::try_from(entries.len()).unwrap_or(u32::MAX) };
            first = run.end;
            match entries.first().and_then(|entry| entry.rule.subject.namespace()) {
                Some(namespace) => match directed.namespaced.get_mut(namespace) {
                    Some(runs) => runs.push(run),
                    None => _ = directed.namespaced.insert(namespace.to_owned(), vec![run]),
                },
                None => directed.clusterwide.push(run),
            }
        }
        directed
    }

    /// The rules that may select pods of the namespace, in order, those of one subject that stand together in one slice.
    pub(crate) fn of(&self, namespace: &str) -> impl Iterator<Item = &[Entry]> {
        let namespaced = self.namespaced.get(namespace).map_or(&[][..], Vec::as_slice);
        let runs = Merged { one: namespaced.iter().peekable(), other: self.clusterwide.iter().peekable() };
        runs.map(|run| &self.entries[run.first as usize..run.end as usize])
    }

    /// Whether any rule selects anyone.
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Two ascending lists as one.
struct Merged<'a> {
    one: Peekable<Iter<'a, Run>>,
    other: Peekable<Iter<'a, Run>>,
}

impl Iterator for Merged<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let next = match (self.one.peek(), self.other.peek()) {
            (Some(one), Some(other)) if one.first > other.first => self.other.next(),
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
