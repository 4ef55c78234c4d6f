//! The keys of the ledger.

use std::time::Duration;

use serde::Deserialize;
use watchfire_ledger::{Fsync, LedgerConfig, Retention, SegmentLimits};

use super::AbsolutePath;

/// When the ledger is synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FsyncWhen {
    Within,
    Always,
}

/// The ledger.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct LedgerSection {
    pub(super) dir: Option<AbsolutePath>,
    pub(super) fsync: FsyncWhen,
    fsync_milliseconds: Ranged<100, 60_000>,
    fsync_bytes: u64,
    segment_bytes: Ranged<65_536, 268_435_456>,
    segment_seconds: Ranged<1, 86_400>,
    bytes_max: u64,
    free_bytes_min: u64,
    age_days: Ranged<0, 36_500>,
    findings_age_days: Ranged<0, 36_500>,
    key: Option<AbsolutePath>,
}

impl Default for LedgerSection {
    fn default() -> Self {
        Self {
            dir: None,
            fsync: FsyncWhen::Within,
            fsync_milliseconds: Ranged(1000),
            fsync_bytes: 1 << 20,
            segment_bytes: Ranged(64 << 20),
            segment_seconds: Ranged(3600),
            bytes_max: 4 << 30,
            free_bytes_min: 1 << 30,
            age_days: Ranged(30),
            findings_age_days: Ranged(365),
            key: None,
        }
    }
}

impl LedgerSection {
    /// As the ledger takes it; none where there is to be none.
    pub(crate) fn config(&self, node: &str, version: &str) -> Option<LedgerConfig> {
        let dir = self.dir.as_ref()?.to_path_buf();
        let limit = |value: u64| (value > 0).then_some(value);
        let days =
            |Ranged(days): Ranged<0, 36_500>| limit(days).map(|days| Duration::from_secs(days * 86_400));
        Some(LedgerConfig {
            fsync: match self.fsync {
                FsyncWhen::Always => Fsync::Always,
                FsyncWhen::Within => Fsync::Within {
                    time: Duration::from_millis(self.fsync_milliseconds.0),
                    bytes: self.fsync_bytes,
                },
            },
            segment: SegmentLimits {
                bytes_max: self.segment_bytes.0,
                age_max: Duration::from_secs(self.segment_seconds.0),
            },
            retention: Retention {
                bytes_max: limit(self.bytes_max),
                age_max: days(self.age_days),
                findings_age_max: days(self.findings_age_days),
                free_bytes_min: limit(self.free_bytes_min),
            },
            key: self.key.as_ref().map(AbsolutePath::to_path_buf),
            ..LedgerConfig::new(dir, node, version)
        })
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Ranged<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> TryFrom<u64> for Ranged<MIN, MAX> {
    type Error = String;

    fn try_from(value: u64) -> Result<Self, String> {
        if (MIN..=MAX).contains(&value) {
            return Ok(Self(value));
        }
        Err(format!("found {value}, expected a whole number from {MIN} to {MAX}"))
    }
}
