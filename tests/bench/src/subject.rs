//! Beside what the work is done: the agent in one of its modes, another design, or a program by others.

mod agent;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

pub(crate) use self::agent::Observed;
use self::agent::RunningAgent;
use crate::account::{Account, Wanted};
use crate::design::{Design, Tally};
use crate::peer::{Peer, RunningPeer};
use crate::usage::Usage;

/// Something that runs beside the work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// The agent with every program attached, where all that can be filtered is
    Idle,
    /// The agent as it is configured by default
    Default,
    /// The agent with every family, the work's own file watched, no limit of rate, and the ledger
    All,
    /// Another design: programs at each system call that return early
    EarlyOut,
    /// Another design: one ring, and the reader woken for each record
    WakeupEach,
    /// Another design: a record for each packet
    PacketRecords,
    /// Another design: a table of flows that each packet is looked up in
    FlowTable,
    /// A peer: bpftrace, with a program of one line
    Bpftrace,
    /// A peer: the tools of bcc
    Bcc,
    /// A peer: the kernel's audit, written to a file
    Auditd,
    /// A peer: the beginning of each packet, written to a file
    Tcpdump,
    /// A peer: flows of packets, sent to a collector
    Softflowd,
}

impl Subject {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Default => "default",
            Self::All => "all",
            Self::EarlyOut => "early-out",
            Self::WakeupEach => "wakeup-each",
            Self::PacketRecords => "packet-records",
            Self::FlowTable => "flow-table",
            Self::Bpftrace => Peer::Bpftrace.name(),
            Self::Bcc => Peer::Bcc.name(),
            Self::Auditd => Peer::Auditd.name(),
            Self::Tcpdump => Peer::Tcpdump.name(),
            Self::Softflowd => Peer::Softflowd.name(),
        }
    }

    /// Of a program by others.
    pub(crate) const fn peer(self) -> Option<Peer> {
        match self {
            Self::Bpftrace => Some(Peer::Bpftrace),
            Self::Bcc => Some(Peer::Bcc),
            Self::Auditd => Some(Peer::Auditd),
            Self::Tcpdump => Some(Peer::Tcpdump),
            Self::Softflowd => Some(Peer::Softflowd),
            _ => None,
        }
    }

    const fn design(self) -> Option<Design> {
        match self {
            Self::EarlyOut => Some(Design::EarlyOut),
            Self::WakeupEach => Some(Design::WakeupEach),
            Self::PacketRecords => Some(Design::PacketRecords),
            Self::FlowTable => Some(Design::FlowTable),
            _ => None,
        }
    }

    /// Starts it and waits until it sees everything.
    pub(crate) fn start(self, designs: &Path, watched: &Path) -> Result<Running> {
        match self.design() {
            None => Ok(Running::Agent(Box::new(RunningAgent::start(self, watched)?))),
            Some(design) => RunningDesign::start(design, designs).map(Running::Design),
        }
    }
}

/// A subject that runs.
pub(crate) enum Running {
    Agent(Box<RunningAgent>),
    Design(RunningDesign),
    Peer(RunningPeer),
}

impl Running {
    /// What it has taken so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        match self {
            Self::Peer(peer) => peer.usage(),
            Self::Agent(_) | Self::Design(_) => Usage::of(self.pid()),
        }
    }

    /// Ends it, and says what it has told of the work.
    pub(crate) fn stop(self, wanted: Option<&Wanted>) -> Result<Account> {
        match self {
            Self::Agent(agent) => Ok(agent.stop(wanted.as_slice())?.pop().unwrap_or_default()),
            Self::Design(design) => design.stop(),
            Self::Peer(peer) => peer.stop(wanted),
        }
    }

    /// Ends an agent, and says what it has told of several things.
    pub(crate) fn stop_each(self, wanted: &[&Wanted]) -> Result<Vec<Account>> {
        match self {
            Self::Agent(agent) => agent.stop(wanted),
            Self::Design(_) | Self::Peer(_) => bail!("a design and a peer tell one thing"),
        }
    }

    /// Keeps all its threads on one processor.
    pub(crate) fn keep_to(&self, processor: usize) -> Result<()> {
        let pid = self.pid().to_string();
        let mut taskset = Command::new("taskset");
        let output =
            taskset.args(["--all-tasks", "--pid", "--cpu-list", &processor.to_string(), &pid]).output();
        let output = output.context("start taskset(1), of the package util-linux")?;
        ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// What an agent says of itself since it began; of others nothing is known.
    pub(crate) fn observed(&self) -> Option<Observed> {
        if let Self::Agent(agent) = self { Some(agent.observed()) } else { None }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Agent(agent) => agent.pid(),
            Self::Design(design) => design.child.id(),
            Self::Peer(peer) => peer.pid(),
        }
    }
}

/// Another design, in a process of its own.
pub(crate) struct RunningDesign {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl RunningDesign {
    fn start(design: Design, designs: &Path) -> Result<Self> {
        let own = std::env::current_exe().context("find this program")?;
        let mut command = Command::new(own);
        command.args(["design", design.name(), "--object"]).arg(designs);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start a design")?;
        let mut output = BufReader::new(child.stdout.take().context("its output is piped")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        ensure!(line.trim() == crate::design::READY, "the design {} did not start", design.name());
        Ok(Self { child, output })
    }

    fn stop(mut self) -> Result<Account> {
        let mut input = self.child.stdin.take().context("its input is piped")?;
        input.flush()?;
        drop(input);
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let tally: Tally =
            serde_json::from_str(&line).with_context(|| format!("what a design told: {line}"))?;
        let status = self.child.wait()?;
        ensure!(status.success(), "a design ended with {status}");
        Ok(Account { told: tally.read, dropped: tally.dropped, ..Account::default() })
    }
}
