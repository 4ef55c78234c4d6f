//! Sealed segments of the ledger on their way to an object store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use watchfire_export::{Opened, ShipTotals};
use watchfire_ledger::{Count, Shipment};
use watchfire_ship::{Limits, ShipStats, Shipper, Source, Store};

use crate::config::Config;
use crate::control_plane::ControlPlane;

/// What is shipped to where, once the ledger is open.
#[derive(Debug)]
pub(super) struct ToShip {
    store: Store,
    to: String,
    cluster: String,
    node: String,
    dir: PathBuf,
    limits: Limits,
}

/// What is counted of it.
#[derive(Debug)]
pub(super) struct Shipping {
    stats: Arc<ShipStats>,
    shipment: Arc<Shipment>,
}

impl ToShip {
    /// Looks for what is to be shipped, if anything is. Whether the store answers shows later.
    pub(super) fn of(config: &Config, node: &str) -> Result<Option<Self>> {
        let ship = config.ledger.ship();
        let (Some((target, options)), Some(dir), Some(cluster)) =
            (ship.target(), config.ledger.dir(), config.cluster_name.clone())
        else {
            return Ok(None);
        };
        let store = target.open(&options).context("ledger.ship")?;
        let (to, node, limits) = (target.to_string(), node.to_owned(), ship.limits());
        Ok(Some(Self { store, to, cluster, node, dir, limits }))
    }

    /// Begins to ship; none where the ledger was opened for no shipment.
    pub(super) fn start(self, opened: &Opened, plane: &mut ControlPlane) -> Option<Shipping> {
        let Self { store, to, cluster, node, dir, limits } = self;
        let shipment = opened.shipment.as_ref()?;
        let source = Source { cluster, node, ledger: opened.id };
        tracing::info!(
            to,
            cluster = source.cluster,
            shipped_through = shipment.through(),
            "sealed segments of the ledger are shipped"
        );
        let shipper = Shipper::new(store, source, dir, Arc::clone(shipment), limits);
        let stats = Arc::clone(shipper.stats());
        plane.ship(shipper);
        Some(Shipping { stats, shipment: Arc::clone(shipment) })
    }
}

impl Shipping {
    /// How things stand.
    pub(super) fn totals(&self) -> ShipTotals {
        let stats = &self.stats;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let oldest = Some(stats.oldest_unshipped.get()).filter(|oldest| *oldest > 0);
        ShipTotals {
            objects: [&stats.uploaded, &stats.present, &stats.conflicts, &stats.damaged].map(Count::get),
            failures: stats.failed.get(),
            bytes: stats.shipped_bytes.get(),
            segments: stats.shipped_segments.get(),
            removed_records: self.shipment.removed_records.get(),
            waiting_segments: stats.unshipped_segments.get(),
            waiting_bytes: stats.unshipped_bytes.get(),
            oldest_seconds: oldest.map_or(0, |oldest| now.saturating_sub(oldest)),
            last_success: stats.last_success.get(),
        }
    }
}
