//! Retention beside a store: what is shipped goes first, and what goes unshipped is counted and stays provable.

use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use watchfire_ledger::{Ledger, LedgerConfig, Retention, SealedSegment, Search, SearchQuery};
use watchfire_ship::Store;

use crate::common::{EVERYTHING, config, fetched, fill, folder, shipper};

/// Opens the ledger with a limit of bytes until retention has done its work.
fn limit(dir: &std::path::Path, bytes_max: u64) -> (u64, u64) {
    let retention = Retention { bytes_max: Some(bytes_max), ..EVERYTHING };
    let (ledger, _) = Ledger::open(LedgerConfig { retention, ..config(dir, "node-1") }).unwrap();
    let is_done = (0..6000).any(|_| {
        std::thread::park_timeout(Duration::from_millis(10));
        (1..=bytes_max).contains(&ledger.stats().stored_bytes.get())
    });
    assert!(is_done, "{:?}", ledger.stats());
    let shipment = Arc::clone(ledger.shipment().unwrap());
    let removed = ledger.stats().removed_records.get();
    assert!(ledger.close(Duration::from_secs(60)).unwrap());
    assert_eq!(shipment.take_untold(), shipment.removed_records.get());
    (removed, shipment.removed_records.get())
}

fn stored(dir: &std::path::Path) -> u64 {
    let (ledger, _) = Ledger::open(config(dir, "node-1")).unwrap();
    let is_known = (0..6000).any(|_| {
        std::thread::park_timeout(Duration::from_millis(10));
        ledger.stats().stored_bytes.get() > 0
    });
    assert!(is_known);
    ledger.stats().stored_bytes.get()
}

#[tokio::test]
async fn what_is_shipped_goes_first_with_its_findings_and_is_no_loss() {
    let dir = folder();
    fill(dir.path(), "node-1", 4, 300);
    let store = Store::over(Arc::new(InMemory::new()));
    let (mut first, ledger) = shipper(dir.path(), "node-1", &store);
    first.ship_all().await.unwrap();
    drop((first, ledger));
    let unshipped = fill(dir.path(), "node-1", 4, 300);
    let (removed, lost) = limit(dir.path(), stored(dir.path()) * 6 / 10);
    assert!(removed > 0);
    assert_eq!(lost, 0);
    let left = Search::open(dir.path(), SearchQuery::default()).unwrap().count() as u64;
    assert!(left >= unshipped, "{left}");
}

#[tokio::test]
async fn what_goes_unshipped_is_counted_and_the_rest_still_verifies() {
    let dir = folder();
    fill(dir.path(), "node-1", 2, 300);
    let memory = Arc::new(InMemory::new());
    let store = Store::over(memory);
    let (mut first, ledger) = shipper(dir.path(), "node-1", &store);
    first.ship_all().await.unwrap();
    drop((first, ledger));
    // The store is away, and the limit takes more than what is shipped.
    fill(dir.path(), "node-1", 8, 300);
    let mut bytes_max = stored(dir.path()) / 3;
    let (mut removed, mut lost) = (0, 0);
    // Until some that were never shipped are gone as a whole, their findings too.
    while SealedSegment::numbers(dir.path()).unwrap()[0] < 5 {
        let (more, unshipped) = limit(dir.path(), bytes_max);
        removed += more;
        lost += unshipped;
        bytes_max = bytes_max * 9 / 10;
    }
    assert!(lost > 0 && lost < removed, "{lost} of {removed}");

    let (mut later, ledger) = shipper(dir.path(), "node-1", &store);
    later.ship_all().await.unwrap();
    assert_eq!(later.stats().unshipped_segments.get(), 0);
    drop((later, ledger));
    let bundle = folder();
    let intact = fetched(&store, "node-1", &bundle.path().join("bundle")).await;
    let gap = intact.notes.iter().find(|note| note.contains("removed them before they were shipped"));
    assert!(gap.is_some(), "{intact:?}");
    assert!(intact.segments > 2 && intact.segments < 10, "{intact:?}");
}
