//! How flows are judged.

use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::account::raise_to;
use super::labels::Fixed;
use super::set;

/// What judging tells of itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct JudgingTotals {
    /// Whose reading of policies is followed.
    pub dialect: &'static str,
    /// What speaks for it.
    pub dialect_why: &'static str,
    /// Number of the set of policies that is in force.
    pub epoch: u64,
    /// Sets that were forgotten before their time.
    pub epochs_evicted: u64,
    /// Flows that were judged by a later set than was in force.
    pub judged_late: u64,
    /// Verdicts that are kept.
    pub verdicts_kept: usize,
    /// Verdicts that were found among them.
    pub hits: u64,
    /// Verdicts that were not.
    pub misses: u64,
    /// Verdicts that turn on names of addresses, which are not kept.
    pub unkept: u64,
    /// Open flows that were judged again.
    pub rejudged: u64,
    /// Open flows whose outcome changed.
    pub changed: u64,
}

#[derive(Debug)]
pub(super) struct JudgingMetrics {
    dialect: Family<Fixed<2>, Gauge>,
    shown: Mutex<Fixed<2>>,
    epoch: Gauge,
    epochs_evicted: Counter,
    judged_late: Counter,
    verdicts_kept: Gauge,
    lookups: Family<Fixed<1>, Counter>,
    rejudged: Counter,
    changed: Counter,
}

impl JudgingMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            dialect: Family::default(),
            shown: Mutex::new([("dialect", ""), ("why", "")]),
            epoch: Gauge::default(),
            epochs_evicted: Counter::default(),
            judged_late: Counter::default(),
            verdicts_kept: Gauge::default(),
            lookups: Family::default(),
            rejudged: Counter::default(),
            changed: Counter::default(),
        };
        let Self {
            dialect,
            shown: _,
            epoch,
            epochs_evicted,
            judged_late,
            verdicts_kept,
            lookups,
            rejudged,
            changed,
        } = &metrics;
        registry.register(
            "policy_dialect",
            "1 for the reading of policies that is followed, with what speaks for it",
            dialect.clone(),
        );
        registry.register(
            "policy_epoch",
            "Number of the set of policies that is in force: each change is a new one",
            epoch.clone(),
        );
        registry.register(
            "policy_epochs_evicted",
            "Sets of policies that were forgotten before their time because of the limit",
            epochs_evicted.clone(),
        );
        registry.register(
            "flows_judged_late",
            "Flows that were judged by a later set of policies than was in force when they began",
            judged_late.clone(),
        );
        registry.register("verdicts_kept", "Verdicts that are kept for flows alike", verdicts_kept.clone());
        registry.register(
            "verdict_lookups",
            "Verdicts by whether they were kept: unkept are those that turn on names of addresses",
            lookups.clone(),
        );
        registry.register(
            "flows_rejudged",
            "Open flows that were judged again because policies had changed",
            rejudged.clone(),
        );
        registry.register(
            "flow_verdicts_changed",
            "Open flows whose outcome changed with the policies",
            changed.clone(),
        );
        metrics.set(JudgingTotals::default());
        metrics
    }

    pub(super) fn set(&self, totals: JudgingTotals) {
        let JudgingTotals {
            dialect,
            dialect_why,
            epoch,
            epochs_evicted,
            judged_late,
            verdicts_kept,
            hits,
            misses,
            unkept,
            rejudged,
            changed,
        } = totals;
        let labels = [("dialect", dialect), ("why", dialect_why)];
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown != labels {
            self.dialect.clear();
            self.dialect.get_or_create(&labels).set(1);
            *shown = labels;
        }
        drop(shown);
        self.epoch.set(i64::try_from(epoch).unwrap_or(i64::MAX));
        raise_to(&self.epochs_evicted, epochs_evicted);
        raise_to(&self.judged_late, judged_late);
        set(&self.verdicts_kept, verdicts_kept);
        for (found, total) in [("hit", hits), ("miss", misses), ("unkept", unkept)] {
            raise_to(&self.lookups.get_or_create(&[("found", found)]), total);
        }
        raise_to(&self.rejudged, rejudged);
        raise_to(&self.changed, changed);
    }
}
