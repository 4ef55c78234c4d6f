//! A store that fails at random calls: before it does what it was asked, or after.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use proptest::prelude::*;
use tokio_stream::Stream;
use watchfire_ship::Store;

use crate::common::{assert_none_is_half, fetched, fill, folder, objects, shipper};
use crate::made::Dice;

type Listed<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T>> + Send>>;

#[derive(Debug)]
struct Failing {
    objects: Arc<InMemory>,
    dice: Mutex<Dice>,
    percent: u64,
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a failing store")
    }
}

impl Failing {
    fn fail(&self) -> Result<()> {
        if self.dice.lock().unwrap().below(100) < self.percent {
            return Err(Error::Generic { store: "test", source: "it is out of order".into() });
        }
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.fail()?;
        let put = self.objects.put_opts(location, payload, options).await?;
        self.fail()?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.fail()?;
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.fail()?;
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: Listed<Path>) -> Listed<Path> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> Listed<ObjectMeta> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.fail()?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_store_that_fails_at_random_gets_everything_once(seed in any::<u64>(), percent in 1..8_u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = folder();
            let records = fill(dir.path(), "node-1", 3, 40);
            let memory = Arc::new(InMemory::new());
            let failing = Failing { objects: Arc::clone(&memory), dice: Mutex::new(Dice::new(seed)), percent };
            let store = Store::over(Arc::new(failing));
            let mut failures = 0;
            loop {
                // As after a start: what was acknowledged is all that is known.
                let (mut shipper, ledger) = shipper(dir.path(), "node-1", &store);
                let shipped = shipper.ship_all().await;
                let whole = assert_none_is_half(dir.path(), &objects(&*memory).await);
                assert!(ledger.shipment().unwrap().through() <= whole);
                match shipped {
                    Ok(()) => break,
                    Err(error) => assert!(error.chain().contains("out of order"), "{}", error.chain()),
                }
                failures += 1;
                assert!(failures < 10_000);
            }
            assert_eq!(assert_none_is_half(dir.path(), &objects(&*memory).await), 3);
            let again = objects(&*memory).await;
            let (mut shipper, ledger) = shipper(dir.path(), "node-1", &store);
            shipper.ship_all().await.unwrap();
            drop(ledger);
            assert_eq!(objects(&*memory).await, again);
            let fetch = folder();
            let intact = fetched(&Store::over(memory), "node-1", &fetch.path().join("bundle")).await;
            assert_eq!((intact.records, intact.segments), (records, 3));
        });
    }
}

#[tokio::test]
async fn what_is_there_with_another_content_stays_and_the_rest_goes_on() {
    let dir = folder();
    fill(dir.path(), "node-1", 3, 60);
    let memory = Arc::new(InMemory::new());
    let store = Store::over(memory.clone());
    let (mut first, ledger) = shipper(dir.path(), "node-1", &store);
    first.ship_all().await.unwrap();
    let before = objects(&*memory).await;
    let table = before.keys().find(|name| name.ends_with("-000000000002.parquet")).unwrap().clone();
    drop((first, ledger));

    // The same names from the beginning, and one object was changed meanwhile.
    std::fs::remove_file(dir.path().join("ship.json")).unwrap();
    memory.put(&Path::from(table.as_str()), "else".into()).await.unwrap();
    let (mut again, ledger) = shipper(dir.path(), "node-1", &store);
    again.ship_all().await.unwrap();
    let stats = again.stats();
    assert_eq!((stats.conflicts.get(), stats.uploaded.get(), stats.shipped_segments.get()), (1, 0, 2));
    let shipment = ledger.shipment().unwrap();
    assert_eq!([1, 2, 3].map(|segment| shipment.is_shipped(segment)), [true, false, true]);
    assert_eq!(objects(&*memory).await[&table], b"else");
}

#[tokio::test]
async fn a_damaged_file_is_not_shipped() {
    let dir = folder();
    fill(dir.path(), "node-1", 2, 60);
    let table = dir.path().join("segments/000000000001/flow.parquet");
    let mut bytes = std::fs::read(&table).unwrap();
    bytes[9] ^= 1;
    std::fs::write(&table, bytes).unwrap();
    let memory = Arc::new(InMemory::new());
    let (mut shipper, ledger) = shipper(dir.path(), "node-1", &Store::over(memory.clone()));
    shipper.ship_all().await.unwrap();
    assert_eq!((shipper.stats().damaged.get(), shipper.stats().shipped_segments.get()), (1, 1));
    assert!(!ledger.shipment().unwrap().is_shipped(1));
    let names = objects(&*memory).await;
    assert!(
        !names.keys().any(|name| name.contains("family=flow") && name.ends_with("-000000000001.parquet"))
    );
}
