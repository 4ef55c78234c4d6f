//! A store that is away for days costs nothing but what waits.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use object_store::local::LocalFileSystem;
use tokio::sync::oneshot;
use watchfire_ship::{StoreOptions, Target};

use crate::common::{assert_none_is_half, fill, folder, objects, shipper};

/// The clock is the test's own: it goes on as soon as nothing else does.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_days_is_asked_seldom_and_gets_everything_later() {
    let (dir, out) = (folder(), folder());
    fill(dir.path(), "node-1", 3, 50);
    let bucket = out.path().join("bucket");
    fs::create_dir(&bucket).unwrap();
    let target: Target = format!("file://{}", bucket.display()).parse().unwrap();
    let store = target.open(&StoreOptions::default()).unwrap();
    // A file where folders should be: nothing can be written.
    fs::write(bucket.join("_manifests"), "").unwrap();
    let (shipper, ledger) = shipper(dir.path(), "node-1", &store);
    let stats = Arc::clone(shipper.stats());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(shipper.run(async { _ = stopped.await }));
    tokio::time::sleep(Duration::from_secs(2 * 86_400)).await;
    // At most every two and a half minutes, at least every five.
    let failed = stats.failed.get();
    assert!((2 * 86_400 / 310..=2 * 86_400 / 150 + 20).contains(&failed), "{failed}");
    assert_eq!((stats.unshipped_segments.get(), stats.last_success.get()), (3, 0));
    assert!(stats.unshipped_bytes.get() > 0 && stats.oldest_unshipped.get() > 0);

    fs::remove_file(bucket.join("_manifests")).unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((stats.unshipped_segments.get(), stats.shipped_segments.get()), (0, 3));
    assert!(stats.last_success.get() > 0 && stats.oldest_unshipped.get() == 0);
    stop.send(()).unwrap();
    running.await.unwrap();
    drop(ledger);
    let bucket = LocalFileSystem::new_with_prefix(&bucket).unwrap();
    assert_eq!(assert_none_is_half(dir.path(), &objects(&bucket).await), 3);
}
