//! The work that is timed.

mod calls;
mod connections;
mod datagrams;
mod files;
mod pace;
mod programs;
mod stream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::cpu_clock;
use crate::profile::Unit;
use crate::subject::Subject;

pub(crate) use self::connections::PORT as CONNECTIONS_PORT;
pub(crate) use self::programs::NOTHING;

use self::pace::Pace;

/// A kind of work, one operation again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// A system call that nobody asks about
    Getppid,
    /// A program that is started and ends
    Exec,
    /// A file that is opened and closed
    Open,
    /// A TCP connection that is made, accepted and closed
    Connect,
    /// A TCP connection that carries much
    Stream,
    /// Datagrams of 64 bytes
    Datagram,
}

impl Workload {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 6] =
        [Self::Getppid, Self::Exec, Self::Open, Self::Connect, Self::Stream, Self::Datagram];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Getppid => "getppid",
            Self::Exec => "exec",
            Self::Open => "open",
            Self::Connect => "connect",
            Self::Stream => "stream",
            Self::Datagram => "datagram",
        }
    }

    /// What one operation is.
    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::Getppid => "getppid(2)",
            Self::Exec => "fork, exec, exit and wait",
            Self::Open => "open and close of a file",
            Self::Connect => "TCP connect, accept and close on loopback",
            Self::Stream => "1 MiB over one TCP connection through veth",
            Self::Datagram => "UDP datagram of 64 bytes through veth",
        }
    }

    /// Operations of a run in the quick profile.
    pub(crate) const fn operations(self) -> u64 {
        match self {
            Self::Getppid => 3_000_000,
            Self::Exec => 600,
            Self::Open => 200_000,
            Self::Connect => 4000,
            Self::Stream => 1024,
            Self::Datagram => 200_000,
        }
    }

    /// Beside what it is run.
    pub(crate) const fn subjects(self) -> &'static [Subject] {
        use Subject::{
            All, Auditd, Bcc, Bpftrace, Default, EarlyOut, FlowTable, Idle, PacketRecords, Softflowd,
            Tcpdump, WakeupEach,
        };
        match self {
            Self::Getppid => &[Idle, Default, All, EarlyOut],
            Self::Connect => &[Idle, Default, All, EarlyOut, Bpftrace, Bcc, Auditd],
            Self::Exec | Self::Open => &[Idle, Default, All, EarlyOut, WakeupEach, Bpftrace, Bcc, Auditd],
            Self::Stream | Self::Datagram => {
                &[Idle, Default, All, PacketRecords, FlowTable, Tcpdump, Softflowd]
            }
        }
    }

    /// The service at the near end, where the work is done from the far one.
    pub(crate) const fn service(self) -> Option<Service> {
        match self {
            Self::Stream => Some(Service::Stream),
            Self::Datagram => Some(Service::Datagram),
            Self::Getppid | Self::Exec | Self::Open | Self::Connect => None,
        }
    }
}

/// Arguments of `work`.
#[derive(clap::Args)]
pub(crate) struct Work {
    workload: Workload,
    #[arg(long)]
    operations: u64,
    /// Operations in a second, of those that keep to a rate; 0: as many as there can be
    #[arg(long, default_value_t = 0)]
    each_second: u64,
    /// What marks this run in what is told of it
    #[arg(long)]
    tag: String,
    /// File for the open workload
    #[arg(long)]
    file: PathBuf,
    /// Where the service is
    #[arg(long)]
    to: Option<SocketAddr>,
}

/// What a run of the work prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Operations that succeeded.
    pub(crate) operations: u64,
    /// Time that all took.
    pub(crate) nanoseconds: u64,
    /// Processor time of the work itself, of what it has started, and of its other end.
    pub(crate) own_ns: u64,
}

impl Done {
    /// What the work took. The emulator's one processor also runs what is beside the work, so instructions are by the
    /// work's own clock: what its processes do, the kernel for them, kernel programs on the way, and interrupts meanwhile.
    pub(crate) const fn cost(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Nanosecond => self.nanoseconds,
            Unit::Instruction => self.own_ns,
        }
    }
}

impl Work {
    /// Does it, and prints what was done.
    pub(crate) fn run(&self) -> Result<()> {
        let pace = Pace::each_second(self.each_second);
        let to = || self.to.context("the other end is missing");
        let own_before = cpu_clock::own_and_childrens_ns()?;
        let begun = Instant::now();
        let operations = match self.workload {
            Workload::Getppid => calls::run(self.operations),
            Workload::Exec => programs::run(self.operations, &self.tag, &pace)?,
            Workload::Open => files::run(self.operations, &self.file, &pace)?,
            Workload::Connect => connections::run(self.operations)?,
            Workload::Stream => stream::run(self.operations, to()?)?,
            Workload::Datagram => datagrams::run(self.operations, to()?)?,
        };
        let nanoseconds = u64::try_from(begun.elapsed().as_nanos())?;
        let own_ns = cpu_clock::own_and_childrens_ns()? - own_before;
        println!("{}", serde_json::to_string(&Done { operations, nanoseconds, own_ns })?);
        Ok(())
    }
}

/// The other end of work over the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Service {
    Stream,
    Datagram,
}

impl Service {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Datagram => "datagram",
        }
    }

    /// Serves once: prints its address, then takes what comes until the work is done or standard input ends.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Stream => stream::serve(),
            Self::Datagram => datagrams::serve(),
        }
    }
}
