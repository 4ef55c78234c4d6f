//! The directory of policy files.

use std::collections::BTreeMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use serde_json::Value;
use watchfire_model::PolicyRef;
use watchfire_policy::mesh::parse_mesh_object;
use watchfire_policy::{ObjectId, Policy, parse_documents, parse_values};

use super::candidates::{CANDIDATE_ANNOTATION, NO_MESH, is_candidate};
use super::mesh::{MeshObject, is_of_mesh};
use crate::yaml_files::{files, read};

/// What policy files say.
#[derive(Clone, Default, Debug)]
pub(crate) struct PolicyFiles {
    by_file: BTreeMap<PathBuf, OneFile>,
}

/// What one of them says.
#[derive(Clone, Default, Debug)]
struct OneFile {
    policies: Vec<Arc<Policy>>,
    /// Those that say that they are candidates, and are not among the policies.
    candidates: Vec<Arc<Policy>>,
    mesh: Vec<MeshObject>,
    /// Objects that are not valid, as far as they say what they are; one that says nothing for a file that cannot be read.
    rejected: Vec<ObjectId>,
    /// What those said when they were last valid.
    last_good: Vec<Arc<Policy>>,
    ignored: usize,
}

impl PolicyFiles {
    /// Reads every `*.yaml`, `*.yml` and `*.json` of a directory in the order of their names, or the one file given.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let by_file = files(path)?.into_iter().map(|file| (file.clone(), OneFile::read(&file)));
        Ok(Self { by_file: by_file.collect() })
    }

    /// The same of a directory in which all policies are candidates.
    pub(super) fn load_candidates(path: &Path) -> Result<Self> {
        let mut files = Self::load(path)?;
        for (path, file) in &mut files.by_file {
            let marked = mem::take(&mut file.candidates);
            file.policies.extend(marked);
            for _ in mem::take(&mut file.mesh) {
                tracing::warn!(file = %path.display(), "policy object left out: {NO_MESH}");
                file.rejected.push(ObjectId::default());
            }
        }
        Ok(files)
    }

    /// Those that say that they are candidates.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.by_file.values().flat_map(|file| &file.candidates)
    }

    /// Takes over from what was read before what is no longer valid.
    pub(super) fn keep_last_good(&mut self, mut before: Self) {
        for (file, now) in &mut self.by_file {
            if let Some(before) = before.by_file.remove(file) {
                now.keep_last_good(file, before);
            }
        }
    }

    /// All policies, those included that stay in force because a newer version is not valid.
    pub(super) fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.by_file.values().flat_map(|file| file.last_good.iter().chain(&file.policies))
    }

    /// Those of them that are as the files now say.
    pub(super) fn valid(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.by_file.values().flat_map(|file| &file.policies)
    }

    pub(super) fn mesh(&self) -> impl Iterator<Item = &MeshObject> {
        self.by_file.values().flat_map(|file| &file.mesh)
    }

    /// How many objects are not valid and never were, stay in force as they last were, and are of kinds that are not judged
    /// by.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        self.by_file.values().fold((0, 0, 0), |(rejected, last_good, ignored), file| {
            (rejected + file.rejected.len(), last_good + file.last_good.len(), ignored + file.ignored)
        })
    }

    /// Policies that were valid when the files were read.
    pub(crate) fn loaded(&self) -> usize {
        self.by_file.values().map(|file| file.policies.len() + file.mesh.len()).sum()
    }

    /// Objects that were not.
    pub(crate) fn rejected(&self) -> usize {
        self.counts().0
    }
}

impl OneFile {
    fn read(path: &Path) -> Self {
        let text = match read(path) {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "policy file left out");
                return Self { rejected: vec![ObjectId::default()], ..Self::default() };
            }
        };
        let name = path.display().to_string();
        let parsed = parse_documents(&name, &text);
        let mut file = Self { policies: parsed.policies, ..Self::default() };
        for rejection in parsed.rejected {
            tracing::warn!(%rejection, "policy object left out");
            file.rejected.push(rejection.object);
        }
        let (of_mesh, ignored): (Vec<_>, Vec<_>) =
            parsed.ignored.into_iter().partition(|ignored| is_of_mesh(ignored.object.api_version.as_deref()));
        for ignored in &ignored {
            let kind = ignored.object.kind.as_deref().unwrap_or_default();
            tracing::debug!(file = name, line = ignored.line, kind, "object is no policy that is judged by");
        }
        file.ignored = ignored.len();
        if !of_mesh.is_empty() {
            file.read_mesh(&name, &text);
        }
        if text.contains(CANDIDATE_ANNOTATION) {
            file.mark_candidates(&name, &text);
        }
        file
    }

    fn read_mesh(&mut self, name: &str, text: &str) {
        for (line, value) in parse_values(name, text).0 {
            let object = object_id(&value);
            // Candidates are looked at later, and are none here.
            if !is_of_mesh(object.api_version.as_deref()) || is_candidate(&value) != Ok(false) {
                continue;
            }
            match parse_mesh_object(value.clone()) {
                Ok(Some(policy)) => self.mesh.push(MeshObject::new(&value, policy)),
                Ok(None) => self.ignored += 1,
                Err(reason) => {
                    tracing::warn!("policy object left out: {name}:{line}: {object}: {reason}");
                    self.rejected.push(object);
                }
            }
        }
    }

    /// Takes out of the policies what says that it is a candidate.
    fn mark_candidates(&mut self, name: &str, text: &str) {
        for (line, value) in parse_values(name, text).0 {
            let object = object_id(&value);
            let marked = match is_candidate(&value) {
                Ok(false) => continue,
                Ok(true) if is_of_mesh(object.api_version.as_deref()) => Err(NO_MESH.to_owned()),
                Ok(true) => Ok(()),
                Err(reason) => Err(reason),
            };
            let is_it = |policy: &Arc<Policy>| is_of(policy.reference(), &object);
            let (it, others): (Vec<_>, _) = mem::take(&mut self.policies).into_iter().partition(is_it);
            self.policies = others;
            match marked {
                Ok(()) => self.candidates.extend(it),
                Err(reason) => {
                    tracing::warn!("policy object left out: {name}:{line}: {object}: {reason}");
                    self.rejected.push(object);
                }
            }
        }
    }

    fn keep_last_good(&mut self, path: &Path, before: Self) {
        if self.rejected.is_empty() {
            return;
        }
        let is_here =
            |policy: &Arc<Policy>| self.policies.iter().any(|known| known.reference() == policy.reference());
        for policy in before.last_good.into_iter().chain(before.policies) {
            if is_here(&policy) {
                continue;
            }
            let reference = policy.reference();
            let is_it = |object: &ObjectId| is_of(reference, object);
            let is_nameless = |object: &ObjectId| object.name.is_none();
            let Some(at) =
                self.rejected.iter().position(is_it).or_else(|| self.rejected.iter().position(is_nameless))
            else {
                continue;
            };
            // What says nothing of itself may stand for several.
            if !is_nameless(&self.rejected[at]) {
                self.rejected.swap_remove(at);
            }
            tracing::warn!(file = %path.display(), "{reference} stays in force as it last was valid");
            self.last_good.push(policy);
        }
        if !self.last_good.is_empty() {
            self.rejected.retain(|object| object.name.is_some());
        }
    }
}

fn object_id(value: &Value) -> ObjectId {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    ObjectId {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
    }
}

/// Whether a policy was read from an object.
fn is_of(reference: &PolicyRef, object: &ObjectId) -> bool {
    object.kind.as_deref() == Some(reference.kind)
        && object.name.as_deref() == Some(reference.name.as_str())
        && (reference.namespace.is_empty()
            || object.namespace.as_deref().unwrap_or("default") == reference.namespace)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GOOD: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
                        metadata: {name: p, namespace: a}\nspec: {podSelector: {}}\n";
    const MESH: &str = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                        metadata: {name: m, namespace: a}\nspec: {mtls: {mode: STRICT}}\n";

    #[test]
    fn one_bad_object_costs_itself_alone() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| fs::write(dir.path().join(name), text).unwrap();
        let bad = GOOD.replace("{podSelector: {}}", "7").replace("name: p", "name: q");
        write(
            "a.yaml",
            format!("{GOOD}---\n{bad}---\n{MESH}---\n{}", MESH.replace("STRICT", "NO")).as_bytes(),
        );
        write("b.yml", b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\n");
        write("c.json", b"{");
        write("d.txt", b"not read");
        write(".e.yaml", b"not read");
        write("f.yaml", b"\xff");
        let files = PolicyFiles::load(dir.path()).unwrap();
        assert_eq!((files.policies().count(), files.mesh().count()), (1, 1));
        assert_eq!(files.counts(), (4, 0, 1));
        assert_eq!(PolicyFiles::load(&dir.path().join("a.yaml")).unwrap().loaded(), 2);
    }

    #[test]
    fn what_is_no_longer_valid_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        let other = GOOD.replace("name: p", "name: other");
        let load = |text: &str, before: Option<PolicyFiles>| {
            fs::write(&file, text).unwrap();
            let mut files = PolicyFiles::load(dir.path()).unwrap();
            if let Some(before) = before {
                files.keep_last_good(before);
            }
            files
        };
        let names = |files: &PolicyFiles| {
            let mut names: Vec<_> = files.policies().map(|policy| policy.reference().name.clone()).collect();
            names.sort_unstable();
            names
        };
        let good = load(&format!("{GOOD}---\n{other}"), None);
        let bad = GOOD.replace("{podSelector: {}}", "7");
        let edited = load(&format!("{bad}---\n{other}"), Some(good));
        assert_eq!((names(&edited), edited.counts()), (vec!["other".to_owned(), "p".to_owned()], (0, 1, 0)));
        // And again: what was kept once is kept on.
        let unreadable = load("{", Some(edited));
        assert_eq!((names(&unreadable).len(), unreadable.counts()), (2, (0, 2, 0)));
        let gone = load(&other, Some(unreadable));
        assert_eq!((names(&gone), gone.counts()), (vec!["other".to_owned()], (0, 0, 0)));
    }

    #[test]
    fn objects_that_say_so_are_candidates() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        let marked = |object: &str, name: &str, value: &str| {
            let metadata =
                format!("{name}, annotations: {{watchfire.dev/candidate: \"{value}\"}}, namespace: a");
            object.replace("p, namespace: a", &metadata).replace("m, namespace: a", &metadata)
        };
        let objects = [
            GOOD.to_owned(),
            marked(GOOD, "c", "true"),
            marked(GOOD, "live", "false"),
            marked(GOOD, "typo", "True"),
            marked(MESH, "mesh", "true"),
        ];
        fs::write(&file, objects.join("---\n")).unwrap();
        let names = |policies: Vec<&Arc<Policy>>| -> Vec<String> {
            policies.into_iter().map(|policy| policy.reference().name.clone()).collect()
        };
        let files = PolicyFiles::load(dir.path()).unwrap();
        assert_eq!(names(files.policies().collect()), ["p", "live"]);
        assert_eq!(names(files.candidates().collect()), ["c"]);
        assert_eq!((files.mesh().count(), files.counts()), (0, (2, 0, 0)));
        let files = PolicyFiles::load_candidates(dir.path()).unwrap();
        assert_eq!((names(files.policies().collect()).len(), files.candidates().count()), (3, 0));
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = PolicyFiles::load(Path::new("/no/such/dir")).unwrap_err().to_string();
        assert_eq!(error, "cannot read /no/such/dir");
    }
}
