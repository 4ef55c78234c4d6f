//! How much is measured, and in what.

use serde::Serialize;

/// A trade between time and width of the intervals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// Below ten minutes, for a look.
    Quick,
    /// What is quoted.
    Full,
    /// In an emulator whose clock counts instructions, as `cargo xtask bench --kernel` starts it: few operations.
    Vm,
}

impl Profile {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Vm => "vm",
        }
    }

    /// Groups of runs, each with an agent of its own.
    pub(crate) const fn groups(self) -> usize {
        match self {
            Self::Quick => 4,
            Self::Full => 12,
            Self::Vm => 1,
        }
    }

    /// The same for peers: fewer, as no promise hangs on them, and they take seconds to start.
    pub(crate) const fn peer_groups(self) -> usize {
        match self {
            Self::Quick => 2,
            Self::Full => 6,
            // None runs there.
            Self::Vm => 0,
        }
    }

    /// How many operations a run has, of a workload's number for a quick look.
    pub(crate) const fn operations(self, quick: u64) -> u64 {
        match self {
            Self::Quick => quick,
            Self::Full => quick * 3,
            Self::Vm => quick.div_ceil(10),
        }
    }

    /// What a nanosecond of the clock stands for.
    pub(crate) const fn unit(self) -> Unit {
        match self {
            Self::Quick | Self::Full => Unit::Nanosecond,
            Self::Vm => Unit::Instruction,
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    Nanosecond,
    Instruction,
}
