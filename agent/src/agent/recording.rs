//! The ledger of the agent: opened at its start, or later where its disk has no room then.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use watchfire_export::{Condition, Health, LedgerFacts, LedgerSink, Metrics, SinkCounters};

use super::shipping::{Shipping, ToShip};
use crate::build_info::VERSION;
use crate::config::Config;
use crate::control_plane::ControlPlane;

/// Name of the ledger among the sinks.
const LEDGER_SINK: &str = "ledger";

/// The ledger, if there is to be one.
pub(super) fn open(config: &Config, metrics: &Metrics, node: &str) -> Result<Option<LedgerSink>> {
    let Some(ledger) = config.ledger.config(node, VERSION) else { return Ok(None) };
    LedgerSink::start(ledger, metrics.sink(LEDGER_SINK)).map(Some).context("cannot open the ledger")
}

/// What is shown of the ledger while the agent runs.
#[derive(Debug)]
pub(super) struct Recording {
    ledger: Option<LedgerFacts>,
    /// What is to be shipped once it is open.
    to_ship: Option<ToShip>,
    shipping: Option<Shipping>,
    is_open: bool,
    metrics: Metrics,
    health: Arc<Health>,
}

impl Recording {
    pub(super) fn new(
        ledger: Option<LedgerFacts>,
        to_ship: Option<ToShip>,
        metrics: &Metrics,
        health: &Arc<Health>,
    ) -> Self {
        if ledger.as_ref().is_some_and(|ledger| ledger.opened().is_none()) {
            health.fail(Condition::LedgerOpen, "its disk is full or read-only; it is tried again");
        }
        let (metrics, health) = (metrics.clone(), Arc::clone(health));
        Self { ledger, to_ship, shipping: None, is_open: false, metrics, health }
    }

    /// What its sink counts.
    pub(super) fn counters(&self) -> Option<&SinkCounters> {
        self.ledger.as_ref().map(|ledger| &ledger.counters)
    }

    /// Shows what it counts, and begins what needs an open ledger when it is open.
    pub(super) fn show(&mut self, plane: &mut ControlPlane) {
        let Some(opened) = self.ledger.as_ref().and_then(LedgerFacts::opened) else { return };
        if !self.is_open {
            self.is_open = true;
            self.health.fulfil(Condition::LedgerOpen);
            self.shipping = self.to_ship.take().and_then(|to_ship| to_ship.start(opened, plane));
        }
        self.metrics.set_ledger(&opened.stats);
        if let Some(shipping) = &self.shipping {
            self.metrics.set_shipping(&shipping.totals());
        }
    }
}
