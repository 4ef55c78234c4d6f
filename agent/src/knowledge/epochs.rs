//! Sets of policies by when they were in force.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use watchfire_inventory::Ends;
use watchfire_model::{Dialect, Peer};
use watchfire_policy::PolicySet;
use watchfire_policy::mesh::MeshSet;

/// Most sets that are kept: the one in force and those before it.
pub(crate) const EPOCHS_KEPT_MAX: usize = 16;
/// How long a set is kept after another took its place, nanoseconds: longer than a record may wait until it is known who it
/// is about.
pub(crate) const EPOCH_KEPT_NS: u64 = 15_000_000_000;
/// Most changes whose time is remembered.
const CHANGES_MAX: usize = 256;

/// A set of policies and the time from which on it was in force.
#[derive(Debug)]
pub(crate) struct Epoch {
    /// From 1.
    pub(crate) number: u64,
    /// Since when, nanoseconds of CLOCK_BOOTTIME; 0 for the first.
    pub(crate) since_ns: u64,
    pub(crate) dialect: Dialect,
    pub(crate) set: Arc<PolicySet>,
    /// How often that had changed until then which policies ask for beside the two ends: labels of namespaces and nodes,
    /// services, the API server.
    pub(crate) facts: u64,
    /// The mesh's own policies; none where there are none.
    pub(crate) mesh: Option<Arc<MeshSet>>,
    /// Whether these are all: not before the cluster has told its own for the first time.
    pub(crate) is_whole: bool,
}

/// A set that comes into force.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) dialect: Dialect,
    pub(super) set: Arc<PolicySet>,
    pub(super) mesh: Option<Arc<MeshSet>>,
    /// Whether what policies ask for beside the two ends has changed as well.
    pub(super) facts_changed: bool,
    pub(super) is_whole: bool,
}

/// Whom a change of policies concerns.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Touched {
    everyone: bool,
    namespaces: BTreeSet<String>,
}

impl Touched {
    pub(super) const EVERYONE: Self = Self { everyone: true, namespaces: BTreeSet::new() };

    /// Pods of a namespace; everyone, where it is empty.
    pub(super) fn add(&mut self, namespace: &str) {
        if namespace.is_empty() {
            self.everyone = true;
        } else if !self.namespaces.contains(namespace) {
            self.namespaces.insert(namespace.to_owned());
        }
    }

    fn concerns(&self, ends: &Ends) -> bool {
        self.everyone
            || [&ends.client, &ends.server].into_iter().any(
                |end| matches!(end, Peer::Pod(pod) if self.namespaces.contains(&*pod.identity.namespace)),
            )
    }
}

#[derive(Debug)]
struct Made {
    /// The set that came into force by it.
    number: u64,
    at_ns: u64,
    touched: Touched,
    /// Nothing was known before.
    is_first_whole: bool,
}

/// The set in force, and those before it for as long as flows may turn up that began under them.
#[derive(Debug)]
pub(crate) struct Epochs {
    /// Oldest first, never empty.
    kept: VecDeque<Arc<Epoch>>,
    changes: VecDeque<Made>,
    evicted: u64,
    missed: u64,
}

impl Epochs {
    /// The first set, which holds for all time before.
    pub(super) fn new(dialect: Dialect, set: PolicySet, mesh: Option<Arc<MeshSet>>) -> Self {
        let first =
            Epoch { number: 1, since_ns: 0, dialect, set: Arc::new(set), facts: 0, mesh, is_whole: true };
        Self { kept: [Arc::new(first)].into(), changes: VecDeque::new(), evicted: 0, missed: 0 }
    }

    /// What was said so far is not all that is in force: the cluster has yet to tell.
    pub(super) fn await_more(&mut self) {
        let Epoch { number, since_ns, dialect, ref set, facts, ref mesh, is_whole: _ } = **self.current();
        let (set, mesh) = (Arc::clone(set), mesh.clone());
        let current = Epoch { number, since_ns, dialect, set, facts, mesh, is_whole: false };
        self.kept.pop_back();
        self.kept.push_back(Arc::new(current));
    }

    /// The set in force now.
    pub(crate) fn current(&self) -> &Arc<Epoch> {
        self.kept.back().expect("one is always kept")
    }

    /// Another set takes its place.
    pub(super) fn put(&mut self, next: Next, at_ns: u64, touched: Touched) {
        let Next { dialect, set, mesh, facts_changed, is_whole } = next;
        let number = self.current().number + 1;
        let is_first_whole = is_whole && !self.current().is_whole;
        let facts = self.current().facts + u64::from(facts_changed);
        self.kept.push_back(Arc::new(Epoch { number, since_ns: at_ns, dialect, set, facts, mesh, is_whole }));
        self.changes.push_back(Made { number, at_ns, touched, is_first_whole });
        if self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
        // A set is over when the next one begins.
        while self.kept.get(1).is_some_and(|next| next.since_ns.saturating_add(EPOCH_KEPT_NS) < at_ns) {
            self.kept.pop_front();
        }
        if self.kept.len() > EPOCHS_KEPT_MAX {
            self.kept.pop_front();
            self.evicted += 1;
        }
    }

    /// The set that was in force at a time, nanoseconds of CLOCK_BOOTTIME: the oldest that is kept, where it was one before.
    /// What the cluster told first was in force before it was told.
    pub(crate) fn at(&mut self, boot_ns: u64) -> Arc<Epoch> {
        match self.kept.iter().rposition(|epoch| epoch.since_ns <= boot_ns) {
            Some(found) => {
                let whole = self.kept.range(found..).find(|epoch| epoch.is_whole);
                Arc::clone(whole.unwrap_or(&self.kept[found]))
            }
            None => {
                self.missed += 1;
                Arc::clone(&self.kept[0])
            }
        }
    }

    /// A set by its number, where it is kept.
    pub(crate) fn numbered(&self, number: u64) -> Option<&Arc<Epoch>> {
        self.kept.iter().rev().find(|epoch| epoch.number == number)
    }

    /// Whether a change that concerns the ends was made within `window_ns` before or after a time, as far as is known now.
    pub(crate) fn changed_near(&self, boot_ns: u64, window_ns: u64, ends: &Ends) -> bool {
        let near = self.changes.iter().rev().take_while(|change| {
            // They are in the order of their time.
            change.at_ns.saturating_add(window_ns) >= boot_ns
        });
        near.filter(|change| change.at_ns <= boot_ns.saturating_add(window_ns))
            .any(|change| change.touched.concerns(ends))
    }

    /// Whether another set than that of this number may say something else of these ends, now.
    pub(crate) fn may_differ(&self, number: u64, ends: &Ends) -> bool {
        let since = self.changes.iter().rev().take_while(|change| change.number > number);
        let mut oldest = self.current().number + 1;
        for change in since {
            if change.is_first_whole || change.touched.concerns(ends) {
                return true;
            }
            oldest = change.number;
        }
        // Changes that are remembered no more may have been anything.
        oldest > number + 1
    }

    /// How many sets are kept.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.kept.len()
    }

    /// How often [`EPOCHS_KEPT_MAX`] forced one out before its time.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How often a set was asked for that is kept no more.
    pub(crate) const fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn epochs() -> Epochs {
        Epochs::new(Dialect::K8s, PolicySet::new(Dialect::K8s, []), None)
    }

    fn put(epochs: &mut Epochs, at_ns: u64, touched: Touched) {
        let set = Arc::clone(&epochs.current().set);
        let next = Next { dialect: Dialect::K8s, set, mesh: None, facts_changed: false, is_whole: true };
        epochs.put(next, at_ns, touched);
    }

    fn ends() -> Ends {
        Ends { client: Peer::World, server: Peer::World }
    }

    #[test]
    fn a_time_has_the_set_that_was_in_force_then() {
        let mut epochs = epochs();
        put(&mut epochs, 10 * S, Touched::EVERYONE);
        put(&mut epochs, 20 * S, Touched::EVERYONE);
        for (at_ns, number) in
            [(0, 1), (10 * S - 1, 1), (10 * S, 2), (20 * S - 1, 2), (20 * S, 3), (99 * S, 3)]
        {
            assert_eq!(epochs.at(at_ns).number, number, "{at_ns}");
        }
        assert_eq!((epochs.len(), epochs.missed()), (3, 0));
    }

    #[test]
    fn a_set_may_differ_where_a_change_since_concerns_the_ends() {
        let of = |namespace: &str| {
            let mut touched = Touched::default();
            touched.add(namespace);
            touched
        };
        let mut epochs = epochs();
        put(&mut epochs, S, of("shop"));
        put(&mut epochs, 2 * S, Touched::EVERYONE);
        put(&mut epochs, 3 * S, of("shop"));
        assert_eq!([1, 2, 3, 4].map(|number| epochs.may_differ(number, &ends())), [true, true, false, false]);
        for _ in 0..=CHANGES_MAX {
            put(&mut epochs, 4 * S, of("shop"));
        }
        assert!(epochs.may_differ(4, &ends()), "what happened since is not remembered");
        assert!(!epochs.may_differ(5, &ends()));
    }

    #[test]
    fn old_sets_are_let_go_and_what_is_older_has_the_oldest() {
        let mut epochs = epochs();
        put(&mut epochs, S, Touched::EVERYONE);
        put(&mut epochs, S + EPOCH_KEPT_NS, Touched::EVERYONE);
        assert_eq!(epochs.len(), 3);
        put(&mut epochs, S + EPOCH_KEPT_NS + 1, Touched::EVERYONE);
        assert_eq!((epochs.len(), epochs.evicted()), (3, 0), "the first was over for long enough");
        assert_eq!((epochs.at(0).number, epochs.missed()), (2, 1));
        for n in 0..EPOCHS_KEPT_MAX as u64 {
            put(&mut epochs, 100 * S + n, Touched::EVERYONE);
        }
        assert_eq!((epochs.len(), epochs.evicted()), (EPOCHS_KEPT_MAX, 1));
        put(&mut epochs, 101 * S, Touched::EVERYONE);
        assert_eq!((epochs.len(), epochs.evicted()), (EPOCHS_KEPT_MAX, 2));
    }

    #[test]
    fn a_change_is_near_for_whom_it_concerns() {
        let mut epochs = epochs();
        let mut shop = Touched::default();
        shop.add("shop");
        put(&mut epochs, 10 * S, shop);
        assert!(!epochs.changed_near(10 * S, 5 * S, &ends()), "nobody of that namespace");
        put(&mut epochs, 20 * S, Touched::EVERYONE);
        for (at, near) in [(14, false), (15, true), (20, true), (25, true), (26, false)] {
            assert_eq!(epochs.changed_near(at * S, 5 * S, &ends()), near, "{at}");
        }
    }
}
