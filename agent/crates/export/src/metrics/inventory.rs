//! What the inventory knows, by whom, and what it came too late for.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;
use watchfire_model::{EnrichmentOutcome, Missing};

use super::account::raise_to;
use super::labels::Fixed;

/// What a source tells of one kind of object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct SourceState {
    /// Which source, e.g. `kubernetes-api`.
    pub source: &'static str,
    /// Which kind of object, e.g. `Pod`.
    pub kind: &'static str,
    /// How it stands, e.g. `synced`.
    pub state: &'static str,
    /// Objects that it tells of.
    pub objects: u64,
    /// Seconds since it told anything or was asked with success; none before the first time.
    pub age_seconds: Option<u64>,
    /// Requests that failed.
    pub errors: u64,
    /// Lists that were begun anew.
    pub relists: u64,
}

#[derive(Debug)]
pub(super) struct InventoryMetrics {
    enrichment: Family<Fixed<2>, Counter>,
    state: Family<Fixed<3>, Gauge>,
    objects: Family<Fixed<2>, Gauge>,
    age: Family<Fixed<2>, Gauge>,
    errors: Family<Fixed<2>, Counter>,
    relists: Family<Fixed<2>, Counter>,
}

impl InventoryMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            enrichment: Family::default(),
            state: Family::default(),
            objects: Family::default(),
            age: Family::default(),
            errors: Family::default(),
            relists: Family::default(),
        };
        for outcome in EnrichmentOutcome::ALL {
            for missing in Missing::ALL {
                drop(metrics.enrichment.get_or_create(&enrichment_labels(outcome, missing)));
            }
        }
        registry.register(
            "enrichment",
            "Observations that came before it was known who they are about, by whether it became known in time",
            metrics.enrichment.clone(),
        );
        registry.register(
            "inventory_source_state",
            "1 for the state in which a source of the inventory is, by kind of object",
            metrics.state.clone(),
        );
        registry.register(
            "inventory_source_objects",
            "Objects that a source of the inventory tells of",
            metrics.objects.clone(),
        );
        registry.register(
            "inventory_source_age_seconds",
            "Time since a source of the inventory last said that it is up to date",
            metrics.age.clone(),
        );
        registry.register(
            "inventory_source_errors",
            "Requests to a source of the inventory that failed",
            metrics.errors.clone(),
        );
        registry.register(
            "inventory_source_relists",
            "Lists that a source of the inventory had to tell anew",
            metrics.relists.clone(),
        );
        metrics
    }

    pub(super) fn set_enrichment(&self, outcome: EnrichmentOutcome, missing: Missing, total: u64) {
        raise_to(&self.enrichment.get_or_create(&enrichment_labels(outcome, missing)), total);
    }

    pub(super) fn set_sources(&self, sources: &[SourceState]) {
        self.state.clear();
        for of in sources {
            let labels = [("source", of.source), ("kind", of.kind)];
            let state = [("source", of.source), ("kind", of.kind), ("state", of.state)];
            self.state.get_or_create(&state).set(1);
            self.objects.get_or_create(&labels).set(signed(of.objects));
            if let Some(age) = of.age_seconds {
                self.age.get_or_create(&labels).set(signed(age));
            }
            raise_to(&self.errors.get_or_create(&labels), of.errors);
            raise_to(&self.relists.get_or_create(&labels), of.relists);
        }
    }
}

const fn enrichment_labels(outcome: EnrichmentOutcome, missing: Missing) -> Fixed<2> {
    [("outcome", outcome.as_str()), ("missing", missing.as_str())]
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
