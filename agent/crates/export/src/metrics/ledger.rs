//! What the ledger counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use watchfire_ledger::{SealedHead, Stats};

use super::account::raise_to;
use super::labels::Fixed;

/// Segment, its last frame and that frame's hash.
type SealedLabels = [(&'static str, String); 3];

/// Series of the ledger; at 0 where there is none.
#[derive(Debug)]
pub(super) struct LedgerMetrics {
    frames: Counter,
    bytes: [Counter; 3],
    events: [Counter; 8],
    removed_records: Counter,
    head_frame: Gauge,
    sealed_head: Family<SealedLabels, Gauge>,
    stored_bytes: Gauge,
    segments: [Gauge; 3],
}

impl LedgerMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let bytes = Family::<Fixed<1>, Counter>::default();
        let events = Family::<Fixed<1>, Counter>::default();
        let segments = Family::<Fixed<1>, Gauge>::default();
        let metrics = Self {
            frames: Counter::default(),
            bytes: ["lines", "log", "segments"].map(|of| bytes.get_or_create_owned(&[("of", of)])),
            events: [
                "synced",
                "sealed",
                "seal-failed",
                "head-signed",
                "head-sign-failed",
                "damaged",
                "thinned",
                "removed",
            ]
            .map(|event| events.get_or_create_owned(&[("event", event)])),
            removed_records: Counter::default(),
            head_frame: Gauge::default(),
            sealed_head: Family::default(),
            stored_bytes: Gauge::default(),
            segments: ["sealed", "unsealed", "held"]
                .map(|state| segments.get_or_create_owned(&[("state", state)])),
        };
        registry.register("ledger_frames", "Frames written to the ledger", metrics.frames.clone());
        registry.register(
            "ledger_written_bytes",
            "Bytes of records that went into the ledger, and bytes written to its log and its segments for them",
            bytes,
        );
        registry.register("ledger_events", "What happened to the ledger's log and segments", events);
        registry.register(
            "ledger_removed_records",
            "Records that retention took out of the ledger",
            metrics.removed_records.clone(),
        );
        registry.register(
            "ledger_head_frame",
            "Number of the ledger's newest frame",
            metrics.head_frame.clone(),
        );
        registry.register(
            "ledger_sealed_head",
            "1, with the end of the newest sealed segment as labels, for `ledger verify --head FRAME:HASH`; 0 before the first",
            metrics.sealed_head.clone(),
        );
        metrics.sealed_head.get_or_create(&sealed_labels(0, 0, String::new())).set(0);
        registry.register("ledger_stored_bytes", "Bytes of the ledger on disk", metrics.stored_bytes.clone());
        registry.register("ledger_segments", "Parts of the ledger by state; held are those of the sealed that are too old by the wall clock and stay, since the ledger was not open for so long",
            segments,
        );
        metrics
    }

    pub(super) fn set(&self, stats: &Stats) {
        raise_to(&self.frames, stats.frames.get());
        for (counter, count) in
            self.bytes.iter().zip([&stats.payload_bytes, &stats.wal_bytes, &stats.segment_bytes])
        {
            raise_to(counter, count.get());
        }
        let events = [
            &stats.syncs,
            &stats.sealed,
            &stats.seal_failures,
            &stats.heads_signed,
            &stats.head_failures,
            &stats.damaged,
            &stats.thinned,
            &stats.removed,
        ];
        for (counter, count) in self.events.iter().zip(events) {
            raise_to(counter, count.get());
        }
        raise_to(&self.removed_records, stats.removed_records.get());
        let set = |gauge: &Gauge, value: u64| _ = gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.head_frame, stats.head().sequence);
        self.set_sealed_head(stats.sealed_head());
        set(&self.stored_bytes, stats.stored_bytes.get());
        set(&self.segments[0], stats.segments.get());
        set(&self.segments[1], stats.unsealed_files.get());
        set(&self.segments[2], stats.held.get());
    }

    /// One series, that of the newest segment.
    fn set_sealed_head(&self, sealed: Option<SealedHead>) {
        let Some(SealedHead { segment, head }) = sealed else { return };
        let labels = sealed_labels(segment, head.sequence, head.hash.to_string());
        if self.sealed_head.get(&labels).is_none() {
            self.sealed_head.clear();
            self.sealed_head.get_or_create(&labels).set(1);
        }
    }
}

fn sealed_labels(segment: u64, frame: u64, hash: String) -> SealedLabels {
    [("segment", segment.to_string()), ("frame", frame.to_string()), ("hash", hash)]
}
