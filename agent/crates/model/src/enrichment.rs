//! Records that had to wait until it was known who they are about.

use serde::Serialize;

/// How a record came to what it tells of pods and containers. None where all of it was known at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Enrichment {
    /// Whether it became known.
    #[serde(rename = "enrichment")]
    pub outcome: EnrichmentOutcome,
    /// What was not known.
    #[serde(rename = "enrichment_reason")]
    pub missing: Missing,
    /// How long the record waited, milliseconds.
    #[serde(rename = "enrichment_ms")]
    pub waited_ms: u64,
}

/// Whether what a record waited for became known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnrichmentOutcome {
    /// It did, in time.
    Late,
    /// It did not: the record went out without it.
    Failed,
}

impl EnrichmentOutcome {
    /// All outcomes, for metric families that exist from the start.
    pub const ALL: [Self; 2] = [Self::Late, Self::Failed];

    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Failed => "failed",
        }
    }
}

/// What was not known of whom a record is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The path of its cgroup.
    Cgroup,
    /// The pod that the cgroup is of.
    Pod,
    /// The container that the cgroup is of.
    Container,
    /// Who has the cluster address at the other end of a flow.
    Peer,
    /// No more records could wait.
    Room,
}

impl Missing {
    /// All of them, for metric families that exist from the start.
    pub const ALL: [Self; 5] = [Self::Cgroup, Self::Pod, Self::Container, Self::Peer, Self::Room];

    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Pod => "pod",
            Self::Container => "container",
            Self::Peer => "peer",
            Self::Room => "room",
        }
    }
}
