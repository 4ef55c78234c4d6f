//! How much is measured.

use serde::Serialize;

/// A trade between time and width of the intervals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// Below ten minutes, for a look.
    Quick,
    /// What is quoted.
    Full,
}

impl Profile {
    /// Groups of runs, each with an agent of its own.
    pub(crate) const fn groups(self) -> usize {
        match self {
            Self::Quick => 4,
            Self::Full => 12,
        }
    }

    /// The same for peers: fewer, as no promise hangs on them, and they take seconds to start.
    pub(crate) const fn peer_groups(self) -> usize {
        match self {
            Self::Quick => 2,
            Self::Full => 6,
        }
    }

    /// How many operations a run has, of a workload's number for a quick look.
    pub(crate) const fn operations(self, quick: u64) -> u64 {
        match self {
            Self::Quick => quick,
            Self::Full => quick * 3,
        }
    }
}
