//! Policies that are judged beside those in force, and change nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use watchfire_model::{Dialect, PolicyRef, SideVerdict, Verdict};
use watchfire_policy::{CiliumOptions, Policy, PolicySet};

use crate::config::Mode;

/// Makes an object of the cluster, or of a file, a candidate where its value is `true`.
pub(super) const CANDIDATE_ANNOTATION: &str = "watchfire.dev/candidate";

/// Why an object of the mesh is none.
pub(super) const NO_MESH: &str = "policies of the mesh cannot be candidates";

/// Whether an object says that it is a candidate. The error is what is wrong with what it says.
pub(super) fn is_candidate(object: &Value) -> Result<bool, String> {
    let Some(value) = object.pointer("/metadata/annotations").and_then(|all| all.get(CANDIDATE_ANNOTATION))
    else {
        return Ok(false);
    };
    match value.as_str() {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => Err(format!(
            "metadata.annotations: found {value} for {CANDIDATE_ANNOTATION}, expected \"true\" or \"false\""
        )),
    }
}

/// In which namespaces candidates count.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Modes {
    pub(super) others: Mode,
    pub(super) of: BTreeMap<String, Mode>,
}

impl Modes {
    /// Whether candidates count for pods of a namespace.
    pub(crate) fn is_candidate(&self, namespace: &str) -> bool {
        *self.of.get(namespace).unwrap_or(&self.others) == Mode::Candidate
    }

    /// What would be said with the candidates, where each direction is the matter of its own subject's namespace.
    pub(crate) fn combined(
        &self,
        live: &Verdict,
        with: &Verdict,
        client: Option<&str>,
        server: Option<&str>,
    ) -> Verdict {
        let side = |namespace: Option<&str>, live: &SideVerdict, with: &SideVerdict| {
            let counts = namespace.is_some_and(|namespace| self.is_candidate(namespace));
            if counts { with.clone() } else { live.clone() }
        };
        Verdict::combine(side(client, &live.egress, &with.egress), side(server, &live.ingress, &with.ingress))
    }
}

/// The candidates, and the set that they make with what is in force.
#[derive(Default, Debug)]
pub(crate) struct Candidates {
    policies: Vec<Arc<Policy>>,
    references: BTreeSet<Arc<PolicyRef>>,
    set: Option<Arc<PolicySet>>,
    version: u64,
}

impl Candidates {
    /// Makes the set anew. A candidate takes the place of the policy in force that has its name.
    pub(super) fn make(
        &mut self,
        (dialect, options): (Dialect, &CiliumOptions),
        live: &PolicySet,
        candidates: Vec<Arc<Policy>>,
    ) {
        let (known, others): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|policy| policy.is_known_to(dialect));
        let set = (!known.is_empty()).then(|| {
            let all = live.policies().iter().chain(&known).cloned();
            Arc::new(PolicySet::with_options(dialect, options.clone(), all))
        });
        let refused = |policy: &Arc<Policy>| set.as_ref().is_some_and(|set| set.refused().contains(policy));
        let (out, candidates): (Vec<_>, Vec<_>) = known.into_iter().partition(refused);
        if candidates != self.policies {
            for policy in out.iter().chain(&others) {
                tracing::warn!(
                    "candidate {} means nothing to how policies are read here",
                    policy.reference()
                );
            }
            self.version += 1;
            self.references = candidates.iter().map(|policy| Arc::clone(policy.reference())).collect();
            let policies = candidates.len();
            tracing::info!(policies, "candidate policies");
        }
        self.set = set.filter(|_| !candidates.is_empty());
        self.policies = candidates;
    }

    /// What is in force and the candidates; none where there are no candidates.
    pub(crate) const fn set(&self) -> Option<&Arc<PolicySet>> {
        self.set.as_ref()
    }

    /// The candidates, by kind, namespace and name.
    pub(crate) const fn references(&self) -> &BTreeSet<Arc<PolicyRef>> {
        &self.references
    }

    /// Another for each change of the candidates.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_annotation_makes_a_candidate() {
        let object = |value: Value| json!({"metadata": {"annotations": {CANDIDATE_ANNOTATION: value}}});
        assert_eq!(is_candidate(&json!({"metadata": {}})), Ok(false));
        assert_eq!(is_candidate(&object(json!("true"))), Ok(true));
        assert_eq!(is_candidate(&object(json!("false"))), Ok(false));
        assert_eq!(
            is_candidate(&object(json!("yes"))).unwrap_err(),
            "metadata.annotations: found \"yes\" for watchfire.dev/candidate, expected \"true\" or \"false\""
        );
    }

    #[test]
    fn each_direction_is_the_matter_of_its_own_namespace() {
        let denied = || SideVerdict::DenyDefault { isolating: Arc::from([]) };
        let live = Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered);
        let with = Verdict::combine(denied(), denied());
        let modes = |others, of: &[(&str, Mode)]| Modes {
            others,
            of: of.iter().map(|(name, mode)| ((*name).to_owned(), *mode)).collect(),
        };
        let watched = modes(Mode::Candidate, &[("a", Mode::Watch)]);
        let combined = watched.combined(&live, &with, Some("a"), Some("b"));
        assert_eq!((combined.egress.denies(), combined.ingress.denies()), (false, true));
        let one = modes(Mode::Watch, &[("a", Mode::Candidate)]);
        let combined = one.combined(&live, &with, Some("a"), Some("b"));
        assert_eq!((combined.egress.denies(), combined.ingress.denies()), (true, false));
        assert_eq!(one.combined(&live, &with, None, Some("b")), live);
    }
}
