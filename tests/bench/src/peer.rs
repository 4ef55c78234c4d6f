//! Programs by others that answer the same question as the agent, each as good as it allows, unpacked beside the machine's own.

mod audit;
mod flows;
mod lines;
mod packets;
mod probe;
mod sandbox;
mod tool;
mod tracers;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Serialize;

pub(crate) use self::probe::Probe;

use self::flows::Softflowd;
use self::lines::LinesTool;
use self::packets::Tcpdump;
use self::tool::Tool;
use crate::account::{Account, Wanted};
use crate::usage::Usage;
use crate::workload::{CONNECTIONS_PORT, Workload};

/// A program, or a family of them, by another project.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    Bpftrace,
    /// Of bcc's tools those that are compiled ahead, which cost less than the ones in Python
    Bcc,
    Auditd,
    Tcpdump,
    Softflowd,
}

/// What is left out on purpose, and why.
const LEFT_OUT: [(&str, &str); 3] = [
    ("bcc's tools in Python", "those compiled ahead (libbpf-tools) are by the same project and cost less"),
    ("sysdig", "as Debian builds it, it has no BPF probe of its own and needs a kernel module"),
    ("Falco, Tetragon, Tracee, Hubble", "Debian has no packages of them"),
];

impl Peer {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bpftrace => "bpftrace",
            Self::Bcc => "bcc",
            Self::Auditd => "auditd",
            Self::Tcpdump => "tcpdump",
            Self::Softflowd => "softflowd",
        }
    }

    /// What it is to tell of the work, where that is lines of text; packets are counted by the device they go through.
    pub(crate) fn wanted(self, workload: Workload, tag: &str, watched: &str) -> Option<Wanted> {
        let each = match (self, workload) {
            // Both ends are told of; the audit has the call of the one that connects.
            (Self::Bpftrace | Self::Bcc, Workload::Connect) => 2,
            (Self::Bpftrace | Self::Bcc | Self::Auditd, _) => 1,
            (Self::Tcpdump | Self::Softflowd, _) => return None,
        };
        let mark = Mark { tag, path: watched, port: CONNECTIONS_PORT };
        Some(Wanted { each, kinds: &[], texts: self.texts(workload, mark)? })
    }

    /// What each line about an operation contains.
    fn texts(self, workload: Workload, mark: Mark<'_>) -> Option<Box<[String]>> {
        match self {
            Self::Bpftrace => tracers::bpftrace_texts(workload, mark),
            Self::Bcc => tracers::bcc_texts(workload, mark),
            Self::Auditd => audit::texts(workload, mark),
            Self::Tcpdump | Self::Softflowd => None,
        }
    }
}

/// By what an operation is found again.
#[derive(Clone, Copy)]
struct Mark<'a> {
    /// Argument of a program.
    tag: &'a str,
    /// A file that is opened.
    path: &'a str,
    /// Where a connection goes.
    port: u16,
}

/// A peer that cannot be had, or does not run on this kernel: what it was to be measured beside is left out, by name.
#[derive(Debug)]
pub(crate) struct Unavailable(pub(crate) String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// A line about a peer in the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) peer: String,
    /// Its package and version, or why it is left out.
    pub(crate) what: String,
}

/// The peers that are there.
pub(crate) struct Peers {
    had: Vec<(Peer, PathBuf)>,
    lacking: Vec<(Peer, String)>,
}

impl Peers {
    /// From `NAME=FOLDER` of those that are unpacked, and `NAME=REASON` of those that are not.
    pub(crate) fn of(had: &[String], lacking: &[String]) -> Result<Self> {
        Ok(Self {
            had: had.iter().map(|pair| named(pair)).collect::<Result<_>>()?,
            lacking: lacking.iter().map(|pair| named(pair)).collect::<Result<_>>()?,
        })
    }

    /// Starts one beside a workload, and waits until it tells what is done.
    pub(crate) fn start(&self, peer: Peer, workload: Workload, watched: &Path) -> Result<RunningPeer> {
        let Some((_, folder)) = self.had.iter().find(|(had, _)| *had == peer) else {
            let reason = self.lacking.iter().find(|(lacking, _)| *lacking == peer);
            let reason = reason.map_or("its folder was not named with --peer", |(_, reason)| reason);
            bail!(Unavailable(reason.to_owned()));
        };
        let root = folder.join("root");
        Ok(match peer {
            Peer::Bpftrace | Peer::Bcc | Peer::Auditd => {
                RunningPeer::Lines(LinesTool::start(peer, workload, &root, watched)?)
            }
            Peer::Tcpdump => RunningPeer::Tcpdump(Tcpdump::start(&root, watched)?),
            Peer::Softflowd => RunningPeer::Softflowd(Softflowd::start(&root, watched)?),
        })
    }

    /// Which there are, in which versions, and which are left out, and why.
    pub(crate) fn notes(&self, is_named: impl Fn(Peer) -> bool) -> Result<Vec<Note>> {
        let mut notes = Vec::new();
        for (peer, folder) in self.had.iter().filter(|(peer, _)| is_named(*peer)) {
            let version = std::fs::read_to_string(folder.join("version"))?;
            notes.push(Note { peer: peer.name().to_owned(), what: version.trim().to_owned() });
        }
        if !notes.is_empty() {
            let left_out =
                |(peer, why): (&str, &str)| Note { peer: peer.to_owned(), what: format!("left out: {why}") };
            notes.extend(LEFT_OUT.map(left_out));
        }
        Ok(notes)
    }
}

fn named<T: From<String>>(pair: &str) -> Result<(Peer, T)> {
    use clap::ValueEnum as _;
    let Some((name, value)) = pair.split_once('=') else { bail!("expected NAME=VALUE, found {pair:?}") };
    let peer = Peer::from_str(name, false).map_err(|_| anyhow::anyhow!("no peer is called {name:?}"))?;
    Ok((peer, value.to_owned().into()))
}

/// A peer that runs.
pub(crate) enum RunningPeer {
    Lines(LinesTool),
    Tcpdump(Tcpdump),
    Softflowd(Softflowd),
}

impl RunningPeer {
    fn tool(&self) -> &Tool {
        match self {
            Self::Lines(lines) => lines.tool(),
            Self::Tcpdump(tcpdump) => tcpdump.tool(),
            Self::Softflowd(softflowd) => softflowd.tool(),
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.tool().pid()
    }

    /// What it has taken so far, once it is through with what it had to do.
    pub(crate) fn usage(&self) -> Result<Usage> {
        self.tool().settle()?;
        self.tool().usage()
    }

    /// Ends it, and says what it has told.
    pub(crate) fn stop(self, wanted: Option<&Wanted>) -> Result<Account> {
        match self {
            Self::Lines(lines) => lines.stop(wanted),
            Self::Tcpdump(tcpdump) => tcpdump.stop(),
            Self::Softflowd(softflowd) => softflowd.stop(),
        }
    }
}
