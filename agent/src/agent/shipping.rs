//! Sealed segments of the ledger on their way to an object store.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use watchfire_export::{LedgerSink, ShipTotals};
use watchfire_ledger::{Count, Shipment};
use watchfire_ship::{ShipStats, Shipper, Source};

use crate::config::Config;
use crate::control_plane::ControlPlane;

/// What is counted of it.
#[derive(Debug)]
pub(super) struct Shipping {
    stats: Arc<ShipStats>,
    shipment: Arc<Shipment>,
}

impl Shipping {
    /// Starts to ship, where that is wanted. Whether the store answers shows later.
    pub(super) fn start(
        config: &Config,
        node: &str,
        ledger: &LedgerSink,
        plane: &mut ControlPlane,
    ) -> Result<Option<Self>> {
        let ship = config.ledger.ship();
        let (Some((target, options)), Some(shipment), Some(dir), Some(cluster)) =
            (ship.target(), ledger.shipment(), config.ledger.dir(), config.cluster_name.clone())
        else {
            return Ok(None);
        };
        let store = target.open(&options).context("ledger.ship")?;
        let source = Source { cluster, node: node.to_owned(), ledger: ledger.id() };
        tracing::info!(
            to = %target,
            cluster = source.cluster,
            shipped_through = shipment.through(),
            "sealed segments of the ledger are shipped"
        );
        let shipper = Shipper::new(store, source, dir, Arc::clone(shipment), ship.limits());
        let stats = Arc::clone(shipper.stats());
        plane.ship(shipper);
        Ok(Some(Self { stats, shipment: Arc::clone(shipment) }))
    }

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
