//! All policies of a cluster, indexed by what they can select.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use watchfire_model::{Dialect, Direction, Pod, PolicyRef};

use crate::Policy;

/// An immutable snapshot of all policies. A change of policies is a new set; the compiled policies are shared.
#[derive(Clone, Debug)]
pub struct PolicySet {
    pub(crate) dialect: Dialect,
    policies: Vec<Arc<Policy>>,
    namespaces: HashMap<String, Namespaced>,
    isolates_ingress: bool,
    isolates_egress: bool,
}

#[derive(Clone, Default, Debug)]
struct Namespaced {
    ingress: Directed,
    egress: Directed,
}

/// The policies of a namespace that isolate in one direction.
#[derive(Clone, Debug)]
pub(crate) struct Directed {
    policies: Vec<Arc<Policy>>,
    /// All of them, for the subjects that all of them select.
    all: Arc<[Arc<PolicyRef>]>,
}

impl Default for Directed {
    fn default() -> Self {
        Self { policies: Vec::new(), all: Arc::from([]) }
    }
}

impl PolicySet {
    /// Indexes policies under one reading of them. Of two with the same kind, namespace and name the later one
    /// counts, as if both had been applied in turn.
    #[must_use]
    pub fn new(dialect: Dialect, policies: impl IntoIterator<Item = Arc<Policy>>) -> Self {
        let policies: BTreeMap<_, _> =
            policies.into_iter().map(|policy| (Arc::clone(policy.reference()), policy)).collect();
        let policies: Vec<_> = policies.into_values().collect();
        let mut namespaces = HashMap::<String, Namespaced>::new();
        for policy in &policies {
            let namespaced = namespaces.entry(policy.reference().namespace.clone()).or_default();
            for (direction, directed) in
                [(Direction::Ingress, &mut namespaced.ingress), (Direction::Egress, &mut namespaced.egress)]
            {
                if policy.isolates(direction) {
                    directed.policies.push(Arc::clone(policy));
                }
            }
        }
        for namespaced in namespaces.values_mut() {
            for directed in [&mut namespaced.ingress, &mut namespaced.egress] {
                directed.all =
                    directed.policies.iter().map(|policy| Arc::clone(policy.reference())).collect();
            }
        }
        let isolates = |direction| policies.iter().any(|policy| policy.isolates(direction));
        Self {
            dialect,
            isolates_ingress: isolates(Direction::Ingress),
            isolates_egress: isolates(Direction::Egress),
            namespaces,
            policies,
        }
    }

    /// All policies, by kind, namespace and name.
    #[must_use]
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// Whether any pod at all is isolated in this direction.
    pub(crate) const fn isolates_anyone(&self, direction: Direction) -> bool {
        match direction {
            Direction::Ingress => self.isolates_ingress,
            Direction::Egress => self.isolates_egress,
        }
    }

    /// The policies that may isolate pods of this namespace.
    pub(crate) fn directed(&self, namespace: &str, direction: Direction) -> Option<&Directed> {
        self.namespaces.get(namespace).map(|namespaced| match direction {
            Direction::Ingress => &namespaced.ingress,
            Direction::Egress => &namespaced.egress,
        })
    }
}

impl Directed {
    /// The policies that isolate this pod, in stable order.
    pub(crate) fn selecting<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Arc<Policy>> {
        self.policies.iter().filter(|policy| policy.selects(pod))
    }

    /// References of the policies that isolate this pod. Allocates only where several do and others do not.
    pub(crate) fn isolating(&self, pod: &Pod) -> Arc<[Arc<PolicyRef>]> {
        let mut selecting = self.selecting(pod);
        match (selecting.next(), selecting.count() + 1) {
            (None, _) => Arc::from([]),
            (Some(_), count) if count == self.all.len() => Arc::clone(&self.all),
            (Some(only), 1) => Arc::clone(&only.alone),
            (Some(_), _) => self.selecting(pod).map(|policy| Arc::clone(policy.reference())).collect(),
        }
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
        assert!(set.isolates_anyone(Direction::Ingress) && !set.isolates_anyone(Direction::Egress));
    }
}
