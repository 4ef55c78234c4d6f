//! Labels by which a workload's pods are selected, and no others that are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchfire_model::{Dialect, Labels, Pod};
use watchfire_policy::is_label_looked_at;

use super::super::groups::Group;
use super::super::pairs::VOLATILE_LABELS;
use super::super::state::State;

/// Labels that say what a workload is, the best first.
const PREFERRED: [&str; 8] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app",
    "k8s-app",
    "name",
    "component",
    "role",
];
/// Labels that change with a release, and say nothing of what a workload is.
const OF_RELEASES: [&str; 4] =
    ["helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "chart"];
/// Most labels that are weighed, and most that a selector has.
const CANDIDATES_MAX: usize = 12;
const PAIRS_MAX: usize = 3;

/// Pods by workload, and the selectors found for them.
pub(super) struct Selectors<'a> {
    pods: BTreeMap<Group, Vec<&'a Arc<Pod>>>,
    dialect: Dialect,
}

impl<'a> Selectors<'a> {
    pub(super) fn new(state: &'a State, dialect: Dialect) -> Self {
        let mut pods: BTreeMap<Group, Vec<&Arc<Pod>>> = BTreeMap::new();
        for pod in state.pods.values().filter(|pod| !pod.identity.host_network) {
            pods.entry(Group::of_pod(pod)).or_default().push(pod);
        }
        Self { pods, dialect }
    }

    /// As few labels as it takes to select the workload's pods and no others of its namespace; none where labels do not tell
    /// them from others.
    pub(super) fn of(&self, workload: &Group) -> Option<Labels> {
        let own = self.pods.get(workload)?;
        let others = self
            .pods
            .iter()
            .filter(|(group, _)| *group != workload && group.namespace() == workload.namespace());
        let others: Vec<&Arc<Pod>> = others.flat_map(|(_, pods)| pods.iter().copied()).collect();
        let candidates = self.candidates(own);
        (1..=PAIRS_MAX).find_map(|size| {
            let selects_none_of_the_others = |chosen: &Vec<(&String, &String)>| {
                let has_all = |pod: &&Arc<Pod>| {
                    chosen.iter().all(|(key, value)| pod.identity.labels.get(*key) == Some(*value))
                };
                !others.iter().any(has_all)
            };
            let chosen = choices(&candidates, size).find(selects_none_of_the_others)?;
            Some(chosen.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect())
        })
    }

    /// Labels that all the pods have, and that outlast them.
    fn candidates(&self, own: &[&'a Arc<Pod>]) -> Vec<(&'a String, &'a String)> {
        let Some((first, rest)) = own.split_first() else { return Vec::new() };
        let is_stable = |key: &str| {
            !VOLATILE_LABELS.contains(&key)
                && !OF_RELEASES.contains(&key)
                && (self.dialect == Dialect::K8s || is_label_looked_at(key))
        };
        let shared = first.identity.labels.iter().filter(|(key, value)| {
            is_stable(key) && rest.iter().all(|pod| pod.identity.labels.get(*key) == Some(*value))
        });
        let mut shared: Vec<_> = shared.collect();
        shared.sort_by_key(|(key, _)| {
            PREFERRED.iter().position(|known| known == key).unwrap_or(PREFERRED.len())
        });
        shared.truncate(CANDIDATES_MAX);
        shared
    }
}

/// Every choice of so many, those of the first ones first.
fn choices<T: Copy>(all: &[T], size: usize) -> Box<dyn Iterator<Item = Vec<T>> + '_> {
    if size == 0 {
        return Box::new(std::iter::once(Vec::new()));
    }
    Box::new((0..all.len()).flat_map(move |at| {
        choices(&all[at + 1..], size - 1).map(move |rest| [vec![all[at]], rest].concat())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_come_in_order() {
        let of = |size| choices(&[1, 2, 3], size).collect::<Vec<_>>();
        assert_eq!(of(1), [[1], [2], [3]]);
        assert_eq!(of(2), [[1, 2], [1, 3], [2, 3]]);
        assert_eq!(of(3), [[1, 2, 3]]);
        assert_eq!(of(4), [[0; 0]; 0]);
    }
}
