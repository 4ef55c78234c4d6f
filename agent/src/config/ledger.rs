//! The keys of the ledger.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use watchfire_ledger::{Clock, Fsync, LedgerConfig, Retention, SegmentLimits};
use watchfire_ship::{Limits, StoreOptions, Target};

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
    pub(super) ship: ShipSection,
}

/// Where sealed segments are shipped to.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct ShipSection {
    pub(super) url: Option<ShipUrl>,
    endpoint: Option<String>,
    region: Option<String>,
    allow_http: bool,
    credentials_dir: Option<AbsolutePath>,
    concurrency: Ranged<1, 16>,
    bytes_per_second: u64,
}

/// Address of an object store.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ShipUrl(Target);

impl TryFrom<String> for ShipUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for ShipUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

impl Default for ShipSection {
    fn default() -> Self {
        Self {
            url: None,
            endpoint: None,
            region: None,
            allow_http: false,
            credentials_dir: None,
            concurrency: Ranged(2),
            bytes_per_second: 0,
        }
    }
}

impl ShipSection {
    /// Where to, and how to get there; none where nothing is shipped.
    pub(crate) fn target(&self) -> Option<(&Target, StoreOptions)> {
        let ShipUrl(target) = self.url.as_ref()?;
        let options = StoreOptions {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            allow_http: self.allow_http,
            credentials_dir: self.credentials_dir.as_ref().map(AbsolutePath::to_path_buf),
        };
        Some((target, options))
    }

    /// How much at once.
    pub(crate) fn limits(&self) -> Limits {
        let concurrency = usize::try_from(self.concurrency.0).unwrap_or(1);
        Limits { concurrency, bytes_per_second: self.bytes_per_second }
    }

    fn identity(&self) -> Option<String> {
        self.target().map(|(target, options)| target.identity(&options))
    }
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
            ship: ShipSection::default(),
        }
    }
}

impl LedgerSection {
    /// Its directory; none where there is to be no ledger.
    pub(crate) fn dir(&self) -> Option<PathBuf> {
        self.dir.as_ref().map(AbsolutePath::to_path_buf)
    }

    /// Where sealed segments go besides.
    pub(crate) const fn ship(&self) -> &ShipSection {
        &self.ship
    }

    /// As the ledger takes it; none where there is to be none.
    pub(crate) fn config(&self, node: &str, version: &str) -> Option<LedgerConfig> {
        let dir = self.dir()?;
        let limit = |value: u64| (value > 0).then_some(value);
        let days =
            |Ranged(days): Ranged<0, 36_500>| limit(days).map(|days| Duration::from_secs(days * 86_400));
        Some(LedgerConfig {
            clock: Clock::System,
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
            ship_to: self.ship.identity(),
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
