//! A directory as the store, and what is fetched out of it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use object_store::local::LocalFileSystem;
use watchfire_ledger::{Ledger, Search, SearchQuery, Verdict, verify};
use watchfire_model::WallTime;
use watchfire_ship::{FetchQuery, Store, StoreOptions, Target, fetch};

use crate::common::{assert_none_is_half, config, fetched, fill, folder, intact, objects, shipper};
use crate::made::START_NS;

fn open(dir: &std::path::Path) -> Store {
    fs::create_dir_all(dir.join("bucket")).unwrap();
    let target: Target = format!("file://{}/bucket", dir.display()).parse().unwrap();
    target.open(&StoreOptions::default()).unwrap()
}

#[tokio::test]
async fn a_directory_gets_whole_files_by_partition_and_gives_the_history_back() {
    let (dir, out) = (folder(), folder());
    let store = open(out.path());
    // A name that has to be encoded.
    let node = "node/1 ü";
    let records = fill(dir.path(), node, 3, 200);
    let (mut shipper, ledger) = shipper(dir.path(), node, &store);
    shipper.ship_all().await.unwrap();
    drop((shipper, ledger));
    let bucket = LocalFileSystem::new_with_prefix(out.path().join("bucket")).unwrap();
    let names = objects(&bucket).await;
    assert_eq!(assert_none_is_half(dir.path(), &names), 3);
    let parquet: Vec<_> = names.keys().filter(|name| name.ends_with(".parquet")).collect();
    assert!(parquet.len() > 9, "{parquet:?}");
    assert!(
        parquet
            .iter()
            .all(|name| name.starts_with("cluster=test/node=node%2F1 %C3%BC/date=2026-01-01/family="))
    );

    let bundle = out.path().join("bundle");
    let found = fetched(&store, node, &bundle).await;
    assert_eq!((found.records, found.segments, found.head), (records, 3, intact(dir.path()).head));
    let lines = |dir: &std::path::Path| -> Vec<_> {
        Search::open(dir, SearchQuery::default()).unwrap().map(|found| found.unwrap().line).collect()
    };
    assert_eq!(lines(&bundle), lines(dir.path()));
}

#[tokio::test]
async fn a_part_of_the_time_is_fetched_alone_and_what_is_missing_is_named() {
    let (dir, out) = (folder(), folder());
    let store = open(out.path());
    fill(dir.path(), "node-1", 5, 100);
    let (mut shipper, ledger) = shipper(dir.path(), "node-1", &store);
    shipper.ship_all().await.unwrap();
    drop((shipper, ledger));
    // The third segment: a record a millisecond.
    let at = WallTime(START_NS + 250 * 1_000_000);
    let query = FetchQuery { since: Some(at), until: Some(at), ..FetchQuery::default() };
    let part = out.path().join("part");
    let fetched = fetch(&store, &query, &part).await.unwrap();
    assert!((1..5).contains(&fetched.bundle.segments), "{fetched:?}");
    assert_eq!(intact(&part).segments, fetched.bundle.segments);

    let lost =
        fs::read_dir(out.path().join("bucket/cluster=test/node=node-1/date=2026-01-01/family=flow")).unwrap();
    fs::remove_file(lost.map(|entry| entry.unwrap().path()).min().unwrap()).unwrap();
    let whole = out.path().join("whole");
    let fetched = fetch(&store, &FetchQuery::default(), &whole).await.unwrap();
    assert_eq!(fetched.faults, 1);
    assert!(fetched.named[0].contains("family=flow") && fetched.named[0].ends_with("is not in the store"));
    assert!(matches!(verify(&whole, None, &[]).unwrap(), Verdict::Broken(fault) if fault.segment == Some(1)));
}

#[tokio::test]
async fn which_ledger_is_meant_is_asked_where_there_are_several() {
    let out = folder();
    let store = open(out.path());
    let why = async |query: FetchQuery| {
        fetch(&store, &query, &out.path().join("bundle")).await.unwrap_err().to_string()
    };
    assert!(why(FetchQuery::default()).await.contains("no ledger there"));
    for node in ["node-1", "node-2"] {
        let dir = folder();
        fill(dir.path(), node, 1, 20);
        let (mut shipper, ledger) = shipper(dir.path(), node, &store);
        shipper.ship_all().await.unwrap();
        drop((shipper, ledger));
    }
    let several = why(FetchQuery::default()).await;
    assert!(several.contains("node-1") && several.contains("node-2"), "{several}");
    let none = why(FetchQuery { node: Some("node-3".to_owned()), ..FetchQuery::default() }).await;
    assert!(none.contains("no such ledger") && none.contains("node-2"), "{none}");
    assert!(!out.path().join("bundle").exists());
}

/// More than one part: lines that cannot be compressed well.
#[tokio::test]
async fn long_files_go_in_parts() {
    let (dir, out) = (folder(), folder());
    let mut dice = crate::made::Dice::new(5);
    let (mut ledger, _) = Ledger::open(config(dir.path(), "node-1")).unwrap();
    for n in 0..100 {
        let noise: String = (0..16_000).map(|_| format!("{:016x}", dice.next())).collect();
        let line = format!(r#"{{"time":"2026-01-01T00:00:00.{n:03}Z","type":"flow","noise":"{noise}"}}"#);
        ledger.append(&[line]).1.unwrap();
    }
    ledger.rotate().unwrap();
    assert!(ledger.close(Duration::from_secs(60)).unwrap());
    let table = dir.path().join("segments/000000000001/flow.parquet");
    assert!(fs::metadata(&table).unwrap().len() > 8 << 20);
    let memory = Arc::new(object_store::memory::InMemory::new());
    for store in [open(out.path()), Store::over(memory)] {
        _ = fs::remove_file(dir.path().join("ship.json"));
        let (mut first, ledger) = shipper(dir.path(), "node-1", &store);
        first.ship_all().await.unwrap();
        drop((first, ledger));
        let bundle = folder();
        assert_eq!(fetched(&store, "node-1", &bundle.path().join("bundle")).await.records, 100);
        // Again, as after a kill before it was acknowledged.
        fs::remove_file(dir.path().join("ship.json")).unwrap();
        let (mut again, _ledger) = shipper(dir.path(), "node-1", &store);
        again.ship_all().await.unwrap();
        assert_eq!((again.stats().uploaded.get(), again.stats().conflicts.get()), (0, 0));
    }
}
