//! What grows, and the work whose cost might grow with it.

use serde::Serialize;

/// What grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dimension {
    /// Processes that sleep
    Processes,
    /// Ends of open TCP connections between few pods
    Flows,
    /// Ends of open TCP connections, each between another pair of pods
    FlowsApart,
    /// The same as flows, looked at every second instead of every 60: what the agent takes for nothing is what a look takes
    Looks,
    /// Pods of the cluster
    Pods,
    /// Policies of the cluster
    Policies,
    /// Watched paths
    Paths,
    /// Nothing: from the start of the agent to the first event that it tells
    Start,
}

/// Operations that cost may grow for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    /// A program that is started and ends.
    Program,
    /// A TCP connection from one pod to another, made and closed.
    Connection,
    /// A watched file that is opened and closed.
    Open,
}

/// What there is in a point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Made {
    pub(super) pods: u32,
    pub(super) policies: u32,
    pub(super) paths: u32,
}

impl Dimension {
    /// Those that a curve is made of.
    pub(super) const CURVES: [Self; 7] = [
        Self::Processes,
        Self::Flows,
        Self::FlowsApart,
        Self::Looks,
        Self::Pods,
        Self::Policies,
        Self::Paths,
    ];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Flows => "flows",
            Self::FlowsApart => "flows-apart",
            Self::Looks => "looks",
            Self::Pods => "pods",
            Self::Policies => "policies",
            Self::Paths => "paths",
            Self::Start => "start",
        }
    }

    /// What is counted.
    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::Processes => "process",
            Self::Flows | Self::FlowsApart | Self::Looks => "end of a flow",
            Self::Pods => "pod",
            Self::Policies => "policy",
            Self::Paths => "watched path",
            Self::Start => "start",
        }
    }

    /// One, ten and a hundred times.
    pub(super) const fn sizes(self) -> [u32; 3] {
        match self {
            Self::Processes | Self::Pods => [100, 1000, 10_000],
            Self::Flows | Self::FlowsApart | Self::Looks => [1000, 10_000, 100_000],
            Self::Policies => [10, 100, 1000],
            // Half of them to read and half to write, of up to 256 each.
            Self::Paths => [5, 50, 500],
            Self::Start => [1, 1, 1],
        }
    }

    /// What is there beside a size of this.
    pub(super) const fn made(self, size: u32) -> Made {
        let made = Made { pods: 100, policies: 10, paths: 4 };
        match self {
            Self::Processes | Self::Flows | Self::Looks | Self::Start => made,
            Self::FlowsApart => Made { pods: 1000, ..made },
            Self::Pods => Made { pods: size, policies: 100, ..made },
            Self::Policies => Made { pods: 1000, policies: size, ..made },
            Self::Paths => Made { paths: size, ..made },
        }
    }

    /// The work, and how often it is done.
    pub(super) const fn work(self) -> (Operation, u64) {
        match self {
            Self::Processes | Self::Start => (Operation::Program, 500),
            Self::Flows | Self::FlowsApart | Self::Looks | Self::Pods | Self::Policies => {
                (Operation::Connection, 5000)
            }
            Self::Paths => (Operation::Open, 40_000),
        }
    }

    /// The metric by which it is seen that the agent has taken it in, and of how much in all it is to tell.
    pub(super) const fn taken_in(self, size: u32) -> (&'static str, u32) {
        match self {
            Self::Processes => ("watchfire_processes_running", size),
            Self::Flows | Self::FlowsApart | Self::Looks => ("watchfire_flows_open", size),
            Self::Pods | Self::Policies | Self::Paths | Self::Start => {
                ("watchfire_inventory_pods", self.made(size).pods)
            }
        }
    }
}
