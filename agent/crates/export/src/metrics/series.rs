//! What bounds the number of series that are labelled with names.

use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::labels::Fixed;

/// Series with names of workloads that there are at most, unless configured otherwise.
pub const SERIES_MAX_DEFAULT: usize = 10_000;

/// What stands in place of names in the series that all others share.
pub(super) const OVERFLOW: &str = "overflow";

/// Room for series, shared by all families that name workloads.
#[derive(Clone, Debug)]
pub(super) struct SeriesBudget {
    left: Arc<AtomicUsize>,
    max: usize,
    folded: Family<Fixed<1>, Counter>,
}

impl SeriesBudget {
    pub(super) fn register(registry: &mut Registry, max: usize) -> Self {
        let budget = Self { left: Arc::new(AtomicUsize::new(max)), max, folded: Family::default() };
        registry.register(
            "series_folded",
            "Observations counted in the series of their family whose names are \"overflow\", because there was no room \
             for series of their own",
            budget.folded.clone(),
        );
        budget
    }

    /// Room without a limit, for families whose names come from a table that has one: they take none from workloads.
    pub(super) fn apart(&self) -> Self {
        let max = usize::MAX;
        Self { left: Arc::new(AtomicUsize::new(max)), max, folded: self.folded.clone() }
    }

    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// Series that there are.
    pub(super) fn used(&self) -> usize {
        self.max - self.left.load(Ordering::Relaxed)
    }

    /// The counter of what a family folds.
    pub(super) fn folded(&self, family: &'static str) -> Counter {
        self.folded.get_or_create_owned(&[("family", family)])
    }

    fn take(&self, series: usize) -> bool {
        let take = |left: usize| left.checked_sub(series);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self, series: usize) {
        self.left.fetch_add(series, Ordering::Relaxed);
    }
}

/// Labels of which some are names.
pub(super) trait Foldable:
    Clone + Eq + Hash + EncodeLabelSet + fmt::Debug + Send + Sync + 'static
{
    /// Whether the names are those of the shared series.
    fn is_folded(&self) -> bool;
    /// The same with the names of the shared series.
    fn folded(&self) -> Self;
    /// Whether somebody whom it names is gone.
    fn is_gone(&self) -> bool;
}

/// A metric that is several series in the exposition.
pub(super) trait Cell: EncodeMetric + TypedMetric + Send + Sync + fmt::Debug + 'static {}

impl Cell for Counter {}
impl Cell for Histogram {}

/// A family whose labels have names, within the budget. What finds no room is counted in a series that has
/// "overflow" for every name, so that sums stay what they are.
pub(super) struct OpenFamily<K, M> {
    family: Family<K, M, fn() -> M>,
    /// Series that one set of labels is.
    width: usize,
    budget: SeriesBudget,
    folded: Counter,
    /// Of the series that the budget has given room for.
    labels: Mutex<Vec<K>>,
}

impl<K: Foldable> OpenFamily<K, Counter> {
    pub(super) fn counter(
        registry: &mut Registry,
        budget: &SeriesBudget,
        name: &'static str,
        help: &'static str,
    ) -> Self {
        Self::register(registry, budget, name, help, 1, Counter::default)
    }

    pub(super) fn add(&self, labels: &K, n: u64) {
        self.with(labels, |counter| _ = counter.inc_by(n));
    }
}

impl<K: Foldable> OpenFamily<K, Histogram> {
    /// `bounds` is how many buckets have a bound; the last, the sum and the count are series too.
    pub(super) fn histogram(
        registry: &mut Registry,
        budget: &SeriesBudget,
        name: &'static str,
        help: &'static str,
        bounds: usize,
        make: fn() -> Histogram,
    ) -> Self {
        Self::register(registry, budget, name, help, bounds + 3, make)
    }

    pub(super) fn observe(&self, labels: &K, value: f64) {
        self.with(labels, |histogram| histogram.observe(value));
    }
}

impl<K: Foldable, M: Cell> OpenFamily<K, M> {
    fn register(
        registry: &mut Registry,
        budget: &SeriesBudget,
        name: &'static str,
        help: &'static str,
        width: usize,
        make: fn() -> M,
    ) -> Self {
        let family = Family::new_with_constructor(make);
        registry.register(name, help, family.clone());
        Self { family, width, budget: budget.clone(), folded: budget.folded(name), labels: Mutex::default() }
    }

    /// For labels that are known already it neither allocates nor writes a lock.
    fn with(&self, labels: &K, act: impl Fn(&M)) {
        if labels.is_folded() {
            self.folded.inc();
            return act(&self.family.get_or_create(labels));
        }
        if let Some(metric) = self.family.get(labels) {
            return act(&metric);
        }
        if self.make(labels) {
            return act(&self.family.get_or_create(labels));
        }
        self.folded.inc();
        act(&self.family.get_or_create(&labels.folded()));
    }

    /// Makes series; whether there was room.
    fn make(&self, labels: &K) -> bool {
        let mut known = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        if self.family.get(labels).is_some() {
            return true;
        }
        if !self.budget.take(self.width) {
            return false;
        }
        drop(self.family.get_or_create(labels));
        known.push(labels.clone());
        true
    }

    /// Removes the series that name somebody who is gone.
    pub(super) fn sweep(&self) {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner).retain(|labels| {
            let is_gone = labels.is_gone();
            if is_gone && self.family.remove(labels) {
                self.budget.give_back(self.width);
            }
            !is_gone
        });
    }
}

impl<K, M> fmt::Debug for OpenFamily<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFamily").field("width", &self.width).finish_non_exhaustive()
    }
}
