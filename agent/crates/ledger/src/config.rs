//! How a ledger is kept.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::retention::Retention;

/// When what was appended is made to outlast a loss of power. What the process alone loses by its end is nothing, either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fsync {
    /// With each frame, before it counts as written.
    Always,
    /// At the latest this long after it was appended, or when so many bytes of the log are at risk, in which records are
    /// compressed.
    Within {
        /// Longest time at risk.
        time: Duration,
        /// Most bytes of the log at risk.
        bytes: u64,
    },
}

impl Default for Fsync {
    fn default() -> Self {
        Self::Within { time: Duration::from_secs(1), bytes: 1 << 20 }
    }
}

/// When a log file is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentLimits {
    /// Bytes of lines.
    pub bytes_max: u64,
    /// Time since its first frame.
    pub age_max: Duration,
}

impl Default for SegmentLimits {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, age_max: Duration::from_secs(3600) }
    }
}

/// How a ledger is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerConfig {
    /// Its directory.
    pub dir: PathBuf,
    /// When it is synced.
    pub fsync: Fsync,
    /// When log files are sealed.
    pub segment: SegmentLimits,
    /// How much is kept.
    pub retention: Retention,
    /// The node's key, where it is not to be made in the directory.
    pub key: Option<PathBuf>,
    /// Node, for manifests.
    pub node: String,
    /// Version of the agent, for manifests.
    pub agent_version: String,
    /// Where sealed segments are shipped to, by whoever asks for [`Ledger::shipment`]; none if they are not.
    pub ship_to: Option<String>,
    /// By what its segments grow old.
    pub clock: Clock,
}

impl LedgerConfig {
    /// A ledger in the directory, with defaults.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, node: impl Into<String>, agent_version: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            fsync: Fsync::default(),
            segment: SegmentLimits::default(),
            retention: Retention::default(),
            key: None,
            node: node.into(),
            agent_version: agent_version.into(),
            ship_to: None,
            clock: Clock::default(),
        }
    }
}
