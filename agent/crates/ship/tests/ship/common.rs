//! Ledgers to ship, and what is in a store then.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::{ObjectStore, ObjectStoreExt as _};
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use watchfire_ledger::{Intact, Ledger, LedgerConfig, Retention, SealedSegment, Verdict, verify};
use watchfire_ship::{FetchQuery, Limits, Shipper, Source, Store};

use crate::made::{Dice, line};

/// A folder in memory where there is one: what is tried out here is not whether a disk can sync.
pub(crate) fn folder() -> TempDir {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() { TempDir::new_in(shared_memory) } else { TempDir::new() }.unwrap()
}

/// Nothing is removed: the records are old.
pub(crate) const EVERYTHING: Retention =
    Retention { bytes_max: None, age_max: None, findings_age_max: None, free_bytes_min: None };

pub(crate) fn config(dir: &Path, node: &str) -> LedgerConfig {
    let mut config = LedgerConfig::new(dir, node, "test");
    config.retention = EVERYTHING;
    config.ship_to = Some("test".to_owned());
    config
}

/// Seals that many segments of some records each, and says how many records there are.
pub(crate) fn fill(dir: &Path, node: &str, segments: u64, records: u64) -> u64 {
    let (mut ledger, recovery) = Ledger::open(config(dir, node)).unwrap();
    let from = ledger.stats().head().sequence;
    let mut dice = Dice::new(segments + records);
    for segment in 0..segments {
        let lines: Vec<String> =
            (0..records).map(|n| line(&mut dice, (from + segment) * records + n)).collect();
        ledger.append(&lines).1.unwrap();
        ledger.rotate().unwrap();
    }
    assert_eq!(recovery.damage, Vec::<String>::new());
    assert!(ledger.close(Duration::from_secs(60)).unwrap());
    segments * records
}

/// Whoever ships that ledger, as after a start. The ledger is opened for as long as the answer is there.
pub(crate) fn shipper(dir: &Path, node: &str, store: &Store) -> (Shipper, Ledger) {
    let (ledger, _) = Ledger::open(config(dir, node)).unwrap();
    let source = Source { cluster: "test".to_owned(), node: node.to_owned(), ledger: ledger.identity().id };
    let limits = Limits { concurrency: 3, bytes_per_second: 0 };
    let shipment = Arc::clone(ledger.shipment().unwrap());
    (Shipper::new(store.clone(), source, dir.to_owned(), shipment, limits), ledger)
}

/// Every object by its name.
pub(crate) async fn objects(store: &dyn ObjectStore) -> BTreeMap<String, Vec<u8>> {
    let mut listed = store.list(None);
    let mut objects = BTreeMap::new();
    while let Some(object) = listed.next().await {
        let location = object.unwrap().location;
        let bytes = store.get(&location).await.unwrap().bytes().await.unwrap();
        assert_eq!(objects.insert(location.to_string(), bytes.to_vec()), None);
    }
    objects
}

/// Segments whose manifest is there have all else as it was written.
pub(crate) fn assert_none_is_half(ledger: &Path, objects: &BTreeMap<String, Vec<u8>>) -> u64 {
    let mut whole = 0;
    for number in SealedSegment::numbers(ledger).unwrap() {
        let segment = SealedSegment::read(ledger, number).unwrap().unwrap();
        let folder = SealedSegment::folder(number);
        let find = |end: &str| objects.iter().find(|(name, _)| name.ends_with(end)).map(|(_, bytes)| bytes);
        if find(&format!("/{folder}/manifest.json")).is_none() {
            continue;
        }
        whole += 1;
        for file in fs::read_dir(&segment.dir).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let object = match name.strip_suffix(".parquet") {
                Some("frames") => find(&format!("/{folder}/frames")),
                Some(family) => {
                    find(&format!("/family={family}/{}-{number:012}.parquet", segment.manifest.ledger))
                }
                None => find(&format!("/{folder}/{name}")),
            };
            assert_eq!(object, Some(&fs::read(&path).unwrap()), "{}", path.display());
        }
    }
    whole
}

/// Fetches everything of the node and verifies it.
pub(crate) async fn fetched(store: &Store, node: &str, dir: &Path) -> Intact {
    let query = FetchQuery { node: Some(node.to_owned()), ..FetchQuery::default() };
    let fetched = watchfire_ship::fetch(store, &query, dir).await.unwrap();
    assert_eq!(fetched.named, Vec::<String>::new());
    intact(dir)
}

pub(crate) fn intact(dir: &Path) -> Intact {
    match verify(dir, None, &[]).unwrap() {
        Verdict::Intact(intact) => intact,
        Verdict::Broken(fault) => panic!("{fault:?}"),
    }
}
