//! A folder of Kubernetes manifests in place of a cluster, watched for change.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc::Sender;
use watchfire_inventory::{Change, Object, ResourceKind, Source, SourceBatch, object};
use watchfire_policy::parse_values;

use crate::yaml_files::{files, read};

/// How often the folder is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// What is known of the folder.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Reading {
    pub(crate) objects: u64,
    /// Files that could not be read whole: what they said before stays.
    pub(crate) errors: u64,
    pub(crate) readings: u64,
    pub(crate) looked: Option<Instant>,
}

/// A handle on it.
pub(crate) type State = Arc<Mutex<Reading>>;

/// What tells that a file has changed.
type Fingerprint = BTreeMap<PathBuf, (u64, i64, i64, u64)>;

/// The folder.
#[derive(Debug)]
pub(crate) struct Manifests {
    folder: PathBuf,
    fingerprint: Fingerprint,
    /// What each file last said, when it could be read.
    objects: BTreeMap<PathBuf, Vec<Object>>,
    state: State,
}

impl Manifests {
    /// A folder that can be read. Nothing was read from it yet.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        files(folder)?;
        let (fingerprint, objects) = (Fingerprint::new(), BTreeMap::new());
        Ok(Self { folder: folder.to_owned(), fingerprint, objects, state: State::default() })
    }

    pub(crate) fn state(&self) -> State {
        Arc::clone(&self.state)
    }

    /// Tells everything, unless [`Self::look`] has already, and again whenever something has changed.
    pub(crate) async fn run(
        mut self,
        batches: Sender<SourceBatch>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        tokio::pin!(shutdown);
        loop {
            // Files are read on a thread that may wait.
            let looked = tokio::task::spawn_blocking(move || {
                let batch = self.look();
                (self, batch)
            });
            let Ok((manifests, batch)) = looked.await else { return };
            self = manifests;
            if let Some(batch) = batch
                && batches.send(batch).await.is_err()
            {
                return;
            }
            tokio::select! {
                () = &mut shutdown => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// All that the folder says, where it has changed.
    pub(super) fn look(&mut self) -> Option<SourceBatch> {
        let files = match files(&self.folder) {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "manifests stay as they were");
                self.note(|state| state.errors += 1);
                return None;
            }
        };
        let is_first = self.note(|state| state.looked.replace(Instant::now()).is_none());
        let fingerprint: Fingerprint =
            files.into_iter().filter_map(|file| fingerprint(&file).map(|print| (file, print))).collect();
        if fingerprint == self.fingerprint && !is_first {
            return None;
        }
        self.objects.retain(|file, _| fingerprint.contains_key(file));
        for (file, print) in &fingerprint {
            if self.fingerprint.get(file) != Some(print) {
                self.read(file);
            }
        }
        self.fingerprint = fingerprint;
        let objects = self.objects.values().map(|objects| objects.len() as u64).sum();
        self.note(|state| {
            state.objects = objects;
            state.readings += 1;
        });
        Some(SourceBatch { source: Source::File, changes: self.changes() })
    }

    /// A file that cannot be read whole says what it said before, or what can be read of it if that was nothing.
    fn read(&mut self, file: &Path) {
        let (objects, mistakes) = read_objects(file);
        for mistake in &mistakes {
            tracing::warn!("manifest left out: {mistake}");
        }
        if !mistakes.is_empty() {
            self.note(|state| state.errors += mistakes.len() as u64);
            if self.objects.contains_key(file) {
                tracing::warn!(file = %file.display(), "what the file said before stays in force");
                return;
            }
        }
        self.objects.insert(file.to_owned(), objects);
    }

    fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for kind in ResourceKind::ALL {
            changes.push(Change::ListBegins(kind));
            let all = self.objects.values().flatten().filter(|object| object.kind() == kind);
            changes.extend(all.map(|object| Change::Apply(Box::new(object.clone()))));
            changes.push(Change::ListEnds(kind));
        }
        changes
    }

    fn note<T>(&self, change: impl FnOnce(&mut Reading) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a file says, and what of it cannot be read.
fn read_objects(file: &Path) -> (Vec<Object>, Vec<String>) {
    let text = match read(file) {
        Ok(text) => text,
        Err(error) => return (Vec::new(), vec![format!("{error:#}")]),
    };
    let name = file.display().to_string();
    let (values, rejected) = parse_values(&name, &text);
    let mut mistakes: Vec<String> = rejected.iter().map(ToString::to_string).collect();
    let mut objects = Vec::new();
    for (line, value) in values {
        match object(value) {
            Ok(Some(manifest)) => objects.push(manifest.object),
            // Of a kind that says nothing of who is who.
            Ok(None) => {}
            Err(error) => mistakes.push(format!("{name}:{line}: {error}")),
        }
    }
    (objects, mistakes)
}

/// Links are followed: those of a ConfigMap change as a whole.
fn fingerprint(file: &Path) -> Option<(u64, i64, i64, u64)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, uid: 0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b}\n\
                       spec: {nodeName: a, containers: [{name: web}]}\nstatus: {podIP: 10.0.0.1}\n";

    fn applied(batch: &SourceBatch) -> Vec<String> {
        let names = batch.changes.iter().filter_map(|change| match change {
            Change::Apply(object) => match &**object {
                Object::Pod(pod) => Some(format!("pod {}", pod.name)),
                Object::Namespace(namespace) => Some(format!("namespace {}", namespace.name)),
                _ => Some("other".to_owned()),
            },
            _ => None,
        });
        names.collect()
    }

    #[test]
    fn the_folder_is_told_again_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pod.yaml"), POD).unwrap();
        let mut manifests = Manifests::open(folder.path()).unwrap();
        assert_eq!(applied(&manifests.look().unwrap()), ["pod web"]);
        assert_eq!(manifests.look(), None);
        let namespace = "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n\
                         - {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}\n";
        fs::write(folder.path().join("ns.yaml"), namespace).unwrap();
        assert_eq!(applied(&manifests.look().unwrap()), ["namespace shop", "pod web"]);
        fs::remove_file(folder.path().join("pod.yaml")).unwrap();
        assert_eq!(applied(&manifests.look().unwrap()), ["namespace shop"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_says_what_it_said_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pod.yaml");
        fs::write(&file, POD).unwrap();
        let mut manifests = Manifests::open(folder.path()).unwrap();
        manifests.look();
        fs::write(&file, POD.replace("10.0.0.1", "10.0.0.400")).unwrap();
        assert_eq!(applied(&manifests.look().unwrap()), ["pod web"]);
        assert_eq!(manifests.note(|state| state.errors), 1);
        fs::remove_file(&file).unwrap();
        fs::write(folder.path().join("other.yaml"), format!("{{\n---\n{POD}")).unwrap();
        assert_eq!(applied(&manifests.look().unwrap()), ["pod web"], "the first time, what can be read");
    }

    #[test]
    fn an_empty_folder_says_that_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifests = Manifests::open(folder.path()).unwrap();
        let changes = manifests.look().unwrap().changes;
        assert!(changes.contains(&Change::ListEnds(ResourceKind::Pod)));
        assert!(Manifests::open(&folder.path().join("none")).is_err());
    }
}
