//! The directory of policy files.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use watchfire_export::PolicyObjects;
use watchfire_policy::{Policy, parse_documents};

use super::DIALECT;
use crate::yaml_files::{files, read};

/// Reads every `*.yaml`, `*.yml` and `*.json` of a directory in the order of their names, or the one file given.
pub(super) fn load(path: &Path) -> Result<(Vec<Arc<Policy>>, PolicyObjects)> {
    let mut policies = Vec::new();
    let mut objects = PolicyObjects::default();
    for file in files(path)? {
        let text = match read(&file) {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "policy file left out");
                objects.rejected += 1;
                continue;
            }
        };
        let parsed = parse_documents(&file.display().to_string(), &text);
        for rejection in &parsed.rejected {
            tracing::warn!(%rejection, "policy object left out");
        }
        for ignored in &parsed.ignored {
            let kind = ignored.object.kind.as_deref().unwrap_or_default();
            tracing::debug!(file = %file.display(), line = ignored.line, kind, "object is no policy that is judged by");
        }
        let (judged, others): (Vec<_>, Vec<_>) =
            parsed.policies.into_iter().partition(|policy| policy.is_known_to(DIALECT));
        for policy in &others {
            tracing::warn!(file = %file.display(), "{} is of a kind that this agent does not judge by", policy.reference());
        }
        objects.loaded += judged.len();
        objects.rejected += parsed.rejected.len();
        objects.ignored += parsed.ignored.len() + others.len();
        policies.extend(judged);
    }
    Ok((policies, objects))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GOOD: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
                        metadata: {name: p, namespace: a}\nspec: {podSelector: {}}\n";

    #[test]
    fn one_bad_object_costs_itself_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("a.yaml"),
            format!("{GOOD}---\n{}", GOOD.replace("{podSelector: {}}", "7")),
        )
        .unwrap();
        fs::write(dir.path().join("b.yml"), "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\n")
            .unwrap();
        fs::write(dir.path().join("c.json"), "{").unwrap();
        fs::write(dir.path().join("d.txt"), "not read").unwrap();
        fs::write(dir.path().join(".e.yaml"), "not read").unwrap();
        fs::write(dir.path().join("f.yaml"), b"\xff").unwrap();
        let (policies, objects) = load(dir.path()).unwrap();
        assert_eq!(policies.len(), 1);
        assert_eq!(objects, PolicyObjects { loaded: 1, rejected: 3, ignored: 1 });
        assert_eq!(load(&dir.path().join("a.yaml")).unwrap().0.len(), 1);
    }

    #[test]
    fn kinds_of_others_are_not_judged_by_and_counted_so() {
        let dir = tempfile::tempdir().unwrap();
        let cilium = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n\
                      metadata: {name: c, namespace: a}\nspec: {endpointSelector: {}, ingress: [{}]}\n";
        fs::write(dir.path().join("a.yaml"), format!("{GOOD}---\n{cilium}")).unwrap();
        let (policies, objects) = load(dir.path()).unwrap();
        assert_eq!(policies.len(), 1);
        assert_eq!(objects, PolicyObjects { loaded: 1, rejected: 0, ignored: 1 });
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = load(Path::new("/no/such/dir")).unwrap_err().to_string();
        assert_eq!(error, "cannot read /no/such/dir");
    }
}
