//! Looks for segments that are not shipped yet and ships them, one after the other, for as long as the agent runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval, sleep};
use watchfire_ledger::{
    FORMAT, IDENTITY_FILE, LedgerError, PUBLIC_KEY_FILE, PublicKey, SealedSegment, Shipment,
};
use watchfire_model::WallTime;

use crate::backoff::Backoff;
use crate::error::ShipError;
use crate::layout::Source;
use crate::segment::{Shipped, Way};
use crate::stats::ShipStats;
use crate::store::{Store, blocking, read_file};
use crate::throttle::Throttle;

/// How often it is looked whether there are new segments.
const ROUND_SECONDS: u64 = 5;

const NANOS: i64 = 1_000_000_000;

/// How much at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Files of a segment that are under way together.
    pub concurrency: usize,
    /// Bytes a second; 0: as fast as it goes.
    pub bytes_per_second: u64,
}

/// Ships one ledger.
#[derive(Debug)]
pub struct Shipper {
    way: Way,
    shipment: Arc<Shipment>,
    /// Segments that are there and not shipped.
    waiting: BTreeMap<u64, Waiting>,
    is_introduced: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    bytes: u64,
    sealed_at: WallTime,
}

impl Shipper {
    /// Of the ledger in the directory, which keeps in `shipment` how far that is.
    #[must_use]
    pub fn new(
        store: Store,
        source: Source,
        ledger: PathBuf,
        shipment: Arc<Shipment>,
        limits: Limits,
    ) -> Self {
        let way = Way {
            store,
            source,
            ledger,
            concurrency: limits.concurrency.max(1),
            throttle: Arc::new(Throttle::new(limits.bytes_per_second)),
            stats: Arc::new(ShipStats::default()),
        };
        Self { way, shipment, waiting: BTreeMap::new(), is_introduced: false }
    }

    /// What it counts.
    #[must_use]
    pub const fn stats(&self) -> &Arc<ShipStats> {
        &self.way.stats
    }

    /// Ships until `stop` is there. What is under way then is begun anew at the next start.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut backoff = Backoff::default();
        let mut is_failing = false;
        let round = Duration::from_secs(ROUND_SECONDS);
        let mut not_before = Instant::now();
        loop {
            let failed = match self.look().await {
                Ok(None) => None,
                Ok(Some(_)) if Instant::now() < not_before => None,
                Ok(Some(next)) => {
                    let shipped = tokio::select! {
                        shipped = self.ship(next) => shipped,
                        () = &mut stop => return,
                    };
                    match shipped {
                        Ok(()) => {
                            backoff.reset();
                            if std::mem::take(&mut is_failing) {
                                tracing::info!("segments of the ledger are shipped again");
                            }
                            continue;
                        }
                        Err(error) => Some(error),
                    }
                }
                Err(error) => Some(error),
            };
            if let Some(error) = failed {
                self.way.stats.failed.add(1);
                not_before = Instant::now() + backoff.next();
                if !std::mem::replace(&mut is_failing, true) {
                    let error = error.chain();
                    tracing::warn!(
                        error,
                        "segments of the ledger cannot be shipped; they wait and it is tried again"
                    );
                }
            }
            let pause = match not_before.checked_duration_since(Instant::now()) {
                Some(left) if !self.waiting.is_empty() => left.min(round),
                _ => round,
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = &mut stop => return,
            }
        }
    }

    /// Ships everything that is there now; for those who wait for it.
    pub async fn ship_all(&mut self) -> Result<(), ShipError> {
        while let Some(next) = self.look().await? {
            self.ship(next).await?;
        }
        Ok(())
    }

    /// Ships the segment, and says that it is shipped once that outlasts everything.
    async fn ship(&mut self, number: u64) -> Result<(), ShipError> {
        if !self.is_introduced {
            self.introduce().await?;
            self.is_introduced = true;
        }
        let way = self.way.clone();
        let before = self.shipment.through();
        let shipped = {
            let mut ship = pin!(way.ship(number, before));
            let mut looks = interval(Duration::from_secs(ROUND_SECONDS));
            looks.tick().await;
            loop {
                tokio::select! {
                    shipped = &mut ship => break shipped,
                    // What waits grows meanwhile.
                    _ = looks.tick() => drop(self.look().await),
                }
            }
        };
        let is_whole = match shipped {
            Ok(Shipped::Whole) => true,
            Ok(Shipped::InPart) => false,
            Ok(Shipped::Gone) => {
                self.waiting.remove(&number);
                return Ok(());
            }
            // It will never be otherwise.
            Err(error @ ShipError::Ledger(LedgerError::Malformed { .. })) => {
                self.way.stats.damaged.add(1);
                tracing::error!("{}", error.chain());
                false
            }
            Err(error) => return Err(error),
        };
        let shipment = Arc::clone(&self.shipment);
        blocking(move || shipment.acknowledge(number, is_whole)).await?;
        let waited = self.waiting.remove(&number);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if is_whole {
            self.way.stats.shipped_segments.add(1);
            self.way.stats.last_success.set(now.as_secs());
            tracing::info!(
                segment = number,
                bytes = waited.map(|waited| waited.bytes),
                "ledger segment shipped"
            );
        } else {
            tracing::error!(
                segment = number,
                "a part of the ledger's segment is not shipped and will not be"
            );
        }
        Ok(())
    }

    /// What is said once of a ledger: which it is, and the key that its signatures are of.
    async fn introduce(&self) -> Result<(), ShipError> {
        let Way { store, source, ledger, .. } = &self.way;
        let identity = read_file(&ledger.join(IDENTITY_FILE)).await?;
        let key_file = ledger.join(PUBLIC_KEY_FILE);
        let (key, key_bytes) = (PublicKey::read(&key_file)?, read_file(&key_file).await?);
        self.way.put_bytes(&source.identity(store.root(), FORMAT), identity).await?;
        self.way.put_bytes(&source.key(store.root(), &key), key_bytes).await?;
        Ok(())
    }

    /// Looks what waits; the first of it.
    async fn look(&mut self) -> Result<Option<u64>, ShipError> {
        let through = self.shipment.through();
        let known: Vec<u64> = self.waiting.keys().copied().collect();
        let ledger = self.way.ledger.clone();
        let (numbers, new) = blocking(move || {
            let mut numbers = SealedSegment::numbers(&ledger)?;
            numbers.retain(|number| *number > through);
            let mut new = Vec::new();
            for number in numbers.iter().filter(|number| known.binary_search(number).is_err()) {
                let waiting = match SealedSegment::read(&ledger, *number) {
                    Ok(None) => continue,
                    Ok(Some(segment)) => {
                        Waiting { bytes: segment.manifest.bytes(), sealed_at: segment.manifest.sealed_at }
                    }
                    // That it cannot be read is said when it is shipped.
                    Err(_) => Waiting { bytes: 0, sealed_at: WallTime(0) },
                };
                new.push((*number, waiting));
            }
            Ok::<_, LedgerError>((numbers, new))
        })
        .await?;
        self.waiting.retain(|number, _| numbers.binary_search(number).is_ok());
        self.waiting.extend(new);
        self.show();
        Ok(self.waiting.keys().next().copied())
    }

    fn show(&self) {
        let stats = &self.way.stats;
        stats.unshipped_segments.set(self.waiting.len() as u64);
        stats.unshipped_bytes.set(self.waiting.values().map(|waiting| waiting.bytes).sum());
        let oldest = self.waiting.values().map(|waiting| waiting.sealed_at.0 / NANOS).min();
        stats.oldest_unshipped.set(oldest.and_then(|oldest| u64::try_from(oldest).ok()).unwrap_or(0));
    }
}
