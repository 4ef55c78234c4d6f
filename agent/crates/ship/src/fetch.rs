//! A node's history taken back out of the store, as a bundle that verifies and can be searched.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path as FilePath, PathBuf};

use object_store::Error;
use object_store::path::Path;
use watchfire_ledger::{
    Bundle, Family, FileSum, IDENTITY_FILE, LedgerId, Manifest, PUBLIC_KEY_FILE, SealedSegment,
    SignedHorizon, close_bundle,
};
use watchfire_model::WallTime;

use crate::error::ShipError;
use crate::layout::{CLUSTER, NODE, PROOF, Source, extend, value_of};
use crate::segment::{FRAMES_OBJECT, retired_files};
use crate::store::Store;

/// Longest object that is not a table.
const SMALL_BYTES_MAX: u64 = 16 << 20;
/// Most objects that are missing or different that are named one by one.
const FAULTS_MAX: usize = 20;

/// What is fetched. What is not said has to be the only one there is.
#[derive(Clone, Default, Debug)]
pub struct FetchQuery {
    /// The cluster.
    pub cluster: Option<String>,
    /// The node.
    pub node: Option<String>,
    /// The ledger, where a node had several.
    pub ledger: Option<LedgerId>,
    /// Nothing older.
    pub since: Option<WallTime>,
    /// Nothing newer.
    pub until: Option<WallTime>,
    /// Version of whoever fetches.
    pub agent_version: String,
}

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Whose ledger it is.
    pub source: Source,
    /// The folder it is in now.
    pub bundle: Bundle,
    /// Objects that are missing, or not what the manifest says.
    pub faults: u64,
    /// The first of them.
    pub named: Vec<String>,
}

/// Fetches into a folder that must not be there yet. What is missing in the store is counted, and found by verifying.
pub async fn fetch(store: &Store, query: &FetchQuery, dir: &FilePath) -> Result<Fetched, ShipError> {
    let source = choose(store, query).await?;
    let proof = source.proof(store.root());
    let names: Vec<String> = store
        .list(&proof)
        .await?
        .iter()
        .filter_map(|name| {
            name.as_ref().strip_prefix(proof.as_ref()).map(|rest| rest.trim_start_matches('/').to_owned())
        })
        .collect();
    let manifests = manifests(store, &source, &names, query).await?;
    let (Some(first), Some(last)) = (manifests.first(), manifests.last()) else {
        return Err(ShipError::Choice(format!("no segment of {} is of that time", shown(&source))));
    };
    let (first, last) = (first.0.segment, last.0.segment);
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(dir).map_err(file_error("create", dir))?;
    let mut fetch = Fetch { store, dir, faults: 0, named: Vec::new() };
    fetch.describe(&source, &names).await?;
    for (manifest, bytes) in &manifests {
        fetch.segment(&source, manifest, bytes, &names).await?;
    }
    for number in names.iter().filter_map(|name| removed_number(name)) {
        if number + 1 >= first && number < last {
            let name = source.removed(store.root(), number);
            let to = SignedHorizon::file_in_bundle(number);
            fetch.small(&Path::from(format!("{name}{SIG}")), &format!("{to}{SIG}")).await?;
            fetch.small(&name, &to).await?;
        }
    }
    let Fetch { faults, named, .. } = fetch;
    let bundle = close_bundle(dir, &query.agent_version, (query.since, query.until))?;
    Ok(Fetched { source, bundle, faults, named })
}

const SIG: &str = SignedHorizon::SIGNATURE_SUFFIX;

fn removed_number(name: &str) -> Option<u64> {
    name.strip_prefix("removed/")?.strip_suffix(".json")?.parse().ok()
}

fn shown(source: &Source) -> String {
    format!("ledger {} of node {} in cluster {}", source.ledger, source.node, source.cluster)
}

/// The one ledger that is meant.
async fn choose(store: &Store, query: &FetchQuery) -> Result<Source, ShipError> {
    let all = sources(store).await?;
    let is_meant = |source: &&Source| {
        query.cluster.as_ref().is_none_or(|cluster| *cluster == source.cluster)
            && query.node.as_ref().is_none_or(|node| *node == source.node)
            && query.ledger.is_none_or(|ledger| ledger == source.ledger)
    };
    let meant: Vec<&Source> = all.iter().filter(is_meant).collect();
    match meant[..] {
        [source] => Ok(source.clone()),
        [] if all.is_empty() => Err(ShipError::Choice("the store has no ledger there".to_owned())),
        [] => Err(ShipError::Choice(format!(
            "the store has no such ledger, but {}",
            list(&all.iter().collect::<Vec<_>>())
        ))),
        _ => Err(ShipError::Choice(format!("which one is meant? The store has {}", list(&meant)))),
    }
}

/// Most ledgers that are named in a message.
const LISTED_MAX: usize = 20;

fn list(sources: &[&Source]) -> String {
    let mut text: Vec<String> = sources.iter().take(LISTED_MAX).map(|source| shown(source)).collect();
    if sources.len() > LISTED_MAX {
        text.push(format!("{} more", sources.len() - LISTED_MAX));
    }
    text.join("; ")
}

async fn sources(store: &Store) -> Result<Vec<Source>, ShipError> {
    let mut sources = Vec::new();
    for (cluster_path, cluster) in folders(store, &store.root().clone().join(PROOF)).await? {
        let Some(cluster) = value_of(&cluster, CLUSTER) else { continue };
        for (node_path, node) in folders(store, &cluster_path).await? {
            let Some(node) = value_of(&node, NODE) else { continue };
            for (_, ledger) in folders(store, &node_path).await? {
                if let Ok(ledger) = ledger.parse() {
                    sources.push(Source { cluster: cluster.clone(), node: node.clone(), ledger });
                }
            }
        }
    }
    Ok(sources)
}

async fn folders(store: &Store, prefix: &Path) -> Result<Vec<(Path, String)>, ShipError> {
    let listed = match store.folder(prefix).await {
        Err(ShipError::Store { source: Error::NotFound { .. }, .. }) => return Ok(Vec::new()),
        listed => listed?,
    };
    let named = |path: Path| path.filename().map(str::to_owned).map(|name| (path, name));
    Ok(listed.common_prefixes.into_iter().filter_map(named).collect())
}

/// Manifests of whole segments from the first to the last of the time, in order, with their bytes.
async fn manifests(
    store: &Store,
    source: &Source,
    names: &[String],
    query: &FetchQuery,
) -> Result<Vec<(Manifest, Vec<u8>)>, ShipError> {
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| {
            let folder = name.strip_suffix(SealedSegment::MANIFEST_FILE)?.trim_end_matches('/');
            let number = folder.rsplit('/').next()?.parse().ok()?;
            (folder == SealedSegment::folder(number)).then_some(number)
        })
        .collect();
    numbers.sort_unstable();
    let mut manifests = Vec::new();
    for number in numbers {
        let name = source.segment(store.root(), number).join(SealedSegment::MANIFEST_FILE);
        let bytes = store.read(&name, SMALL_BYTES_MAX).await?;
        let wrong = |why: String| ShipError::NotAsWritten { name: name.to_string(), why };
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if manifest.segment != number || manifest.ledger != source.ledger {
            return Err(wrong("it is of another segment".to_owned()));
        }
        manifests.push((manifest, bytes.to_vec()));
    }
    let is_of_that_time = |(manifest, _): &(Manifest, Vec<u8>)| {
        manifest.tables.values().any(|table| {
            query.since.is_none_or(|since| since <= table.latest)
                && query.until.is_none_or(|until| table.earliest <= until)
        })
    };
    let Some(last) = manifests.iter().rposition(is_of_that_time) else { return Ok(Vec::new()) };
    manifests.truncate(last + 1);
    let first = manifests.iter().position(is_of_that_time).unwrap_or(0);
    Ok(manifests.split_off(first))
}

struct Fetch<'a> {
    store: &'a Store,
    dir: &'a FilePath,
    faults: u64,
    named: Vec<String>,
}

impl Fetch<'_> {
    /// Which ledger it is, in the newest form, and its key.
    async fn describe(&mut self, source: &Source, names: &[String]) -> Result<(), ShipError> {
        let root = self.store.root();
        let format = |name: &String| name.strip_prefix("ledger-")?.strip_suffix(".json")?.parse::<u32>().ok();
        let newest = names.iter().filter_map(format).max().unwrap_or_default();
        self.small(&source.identity(root, newest), IDENTITY_FILE).await?;
        let mut keys = names.iter().filter(|name| name.starts_with("node-") && name.ends_with(".pub"));
        match (keys.next(), keys.next()) {
            (Some(key), None) => self.small(&extend(source.proof(root), key), PUBLIC_KEY_FILE).await,
            (None, _) => Err(ShipError::Choice(format!("{} has no public key in the store", shown(source)))),
            (Some(key), Some(_)) => {
                self.fault(format!("there are several public keys; {key} is taken"));
                self.small(&extend(source.proof(root), key), PUBLIC_KEY_FILE).await
            }
        }
    }

    async fn segment(
        &mut self,
        source: &Source,
        manifest: &Manifest,
        bytes: &[u8],
        names: &[String],
    ) -> Result<(), ShipError> {
        let root = self.store.root();
        let folder = SealedSegment::folder(manifest.segment);
        let objects = source.segment(root, manifest.segment);
        self.write(&format!("{folder}/{}", SealedSegment::MANIFEST_FILE), bytes)?;
        let (retired_file, retired_signature) = retired_files();
        let mut small = vec![SealedSegment::SIGNATURE_FILE.to_owned()];
        let is_thin = names.contains(&format!("{folder}/{retired_file}"));
        if is_thin {
            small.extend([retired_file, retired_signature]);
        }
        for file in small {
            self.small(&objects.clone().join(file.as_str()), &format!("{folder}/{file}")).await?;
        }
        let frames = format!("{folder}/{}", SealedSegment::FRAMES_FILE);
        self.file(&objects.join(FRAMES_OBJECT), &frames, &manifest.frames_file).await?;
        let retired = SealedSegment::read(self.dir, manifest.segment)?;
        let retired = retired.map(|segment| segment.retired).unwrap_or_default();
        let is_there = |family: &&Family| !retired.contains(family);
        for family in manifest.tables.keys().filter(is_there) {
            let to = format!("{folder}/{}", family.file_name());
            let name = source.table(root, manifest, *family);
            self.file(&name, &to, &manifest.tables[family].file).await?;
        }
        Ok(())
    }

    /// A small object, which need not be there.
    async fn small(&mut self, name: &Path, to: &str) -> Result<(), ShipError> {
        match self.store.read(name, SMALL_BYTES_MAX).await {
            Ok(bytes) => self.write(to, &bytes),
            Err(ShipError::Store { source: Error::NotFound { .. }, .. }) => {
                self.fault(format!("{name} is not in the store"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// An object that has to be as the manifest says.
    async fn file(&mut self, name: &Path, to: &str, expected: &FileSum) -> Result<(), ShipError> {
        let path = self.path(to)?;
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(file_error("create", &path))?;
        let written =
            self.store.stream(name, |piece| file.write_all(piece).map_err(file_error("write", &path)));
        match written.await {
            Ok(sum) if sum == *expected => {}
            Ok(_) => self.fault(format!("{name} is not what the manifest says")),
            Err(ShipError::Store { source: Error::NotFound { .. }, .. }) => {
                fs::remove_file(&path).map_err(file_error("remove", &path))?;
                self.fault(format!("{name} is not in the store"));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        file.sync_all().map_err(file_error("sync", &path))
    }

    fn write(&self, to: &str, bytes: &[u8]) -> Result<(), ShipError> {
        let path = self.path(to)?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(bytes)).map_err(file_error("write", &path))
    }

    fn path(&self, to: &str) -> Result<PathBuf, ShipError> {
        let path = self.dir.join(to);
        let parent = path.parent().unwrap_or(self.dir);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(parent).map_err(file_error("create", parent))?;
        Ok(path)
    }

    fn fault(&mut self, what: String) {
        self.faults += 1;
        if self.named.len() < FAULTS_MAX {
            self.named.push(what);
        }
    }
}

fn file_error(what: &'static str, path: &FilePath) -> impl FnOnce(std::io::Error) -> ShipError {
    let path = path.to_owned();
    move |source| ShipError::File { what, path, source }
}
