//! How many policy objects there are, and what came of them.

use std::sync::Arc;

use watchfire_export::PolicyObjects;
use watchfire_policy::{Policy, PolicySet};

use super::Policies;
use super::object::Said;

impl Policies {
    /// Those of files and of the cluster, in the set that is in force. Says once of each kind that nobody judges by it.
    pub(super) fn count(&mut self, set: &PolicySet) -> PolicyObjects {
        let (rejected, last_good, ignored) = self.files.counts();
        let (beside_rejected, beside_last_good, _) = self.candidate_files.counts();
        let rejected = rejected + beside_rejected + beside_last_good + self.left_out;
        let mut objects = PolicyObjects { loaded: 0, last_good, rejected, ignored };
        let dialect = self.followed.dialect;
        let ignored_kinds = &mut self.ignored_kinds;
        let mut count = |policy: &Arc<Policy>, is_rejected: bool| {
            if !policy.is_known_to(dialect) {
                let kind = policy.reference().kind;
                if ignored_kinds.insert(kind) {
                    tracing::warn!(
                        "policies of kind {kind} mean nothing to the dialect that is followed and are not judged by"
                    );
                }
                objects.ignored += 1;
            } else if set.refused().contains(policy) {
                objects.rejected += 1;
            } else if is_rejected {
                objects.last_good += 1;
            } else {
                objects.loaded += 1;
            }
        };
        for policy in self.files.valid() {
            count(policy, false);
        }
        for entry in self.of_cluster.values() {
            if let Some(Said::Policy(policy)) = &entry.said {
                count(policy, entry.is_rejected);
            }
        }
        for entry in self.of_cluster.values() {
            match (&entry.said, entry.is_rejected) {
                (Some(Said::Policy(_)), _) | (Some(Said::Candidate(_)), false) => {}
                // The valid version before stays a candidate.
                (Some(Said::Candidate(_)), true) => objects.rejected += 1,
                (Some(Said::Mesh(_)), false) => objects.loaded += 1,
                (Some(Said::Mesh(_)), true) => objects.last_good += 1,
                (None, true) => objects.rejected += 1,
                (None, false) => objects.ignored += 1,
            }
        }
        objects.loaded += self.files.mesh().count();
        objects
    }
}
