//! Operations like the work's, done before it, by which a peer is seen to tell what is done.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::Mark;
use crate::network::{BROADCAST, NEAR};
use crate::workload::{NOTHING, Workload};

/// Operations of a round: what they make a program print is more than it keeps to itself before it writes.
const ROUND: usize = 128;
/// Datagrams of a round: more than libpcap keeps in a block before it hands it on.
const ROUND_DATAGRAMS: usize = 2000;
/// Where probing datagrams go: the port that discards, of everybody on the link, so that nobody answers.
pub(super) const DATAGRAM_PORT: u16 = 9;

/// What programs are marked with that are started for a probe.
const TAG: &str = "probe-of-the-benchmark";
/// What both the work's own file and the one that is opened for a probe are called at first.
pub(super) const FILES: &str = "watched-";

/// Operations of a workload, which a process of its own does: an audit does not look at one that is older than itself.
#[derive(clap::Args)]
pub(crate) struct Probe {
    workload: Workload,
    /// What is opened
    #[arg(long)]
    path: PathBuf,
    /// Where connections go to and come from
    #[arg(long)]
    port: u16,
}

impl Probe {
    /// For a workload with that file.
    pub(super) fn of(workload: Workload, watched: &Path) -> Result<Self> {
        let path = watched.with_file_name(format!("{FILES}probe"));
        std::fs::write(&path, "x").with_context(|| format!("write {}", path.display()))?;
        // A port that is free now.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        Ok(Self { workload, path, port })
    }

    /// By what its operations are found.
    pub(super) fn mark(&self) -> Result<Mark<'_>> {
        let path = self.path.to_str().context("temporary folders are named in UTF-8")?;
        Ok(Mark { tag: TAG, path, port: self.port })
    }

    /// Has some done.
    pub(super) fn round(&self) -> Result<()> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.args(["probe", self.workload.name(), "--port", &self.port.to_string(), "--path"]);
        let status = command.arg(&self.path).stdin(Stdio::null()).status()?;
        ensure!(status.success(), "a probe ended with {status}");
        Ok(())
    }

    /// Does some.
    pub(crate) fn run(&self) -> Result<()> {
        let own = std::env::current_exe().context("find this program")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        for _ in 0..ROUND {
            match self.workload {
                Workload::Exec => {
                    let mut program = Command::new(&own);
                    program.args([NOTHING, TAG]).stdin(Stdio::null()).status()?;
                }
                Workload::Connect => {
                    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
                    drop(listener.accept()?);
                }
                Workload::Open => drop(File::open(&self.path)?),
                Workload::Getppid | Workload::Stream | Workload::Datagram => {}
            }
        }
        Ok(())
    }
}

/// Sends datagrams out of the near end of the link.
pub(super) fn datagrams() -> Result<()> {
    let socket = UdpSocket::bind((NEAR, 0))?;
    socket.set_broadcast(true)?;
    for _ in 0..ROUND_DATAGRAMS {
        // What the device has no room for is no use as a probe, nor a fault.
        let _ = socket.send_to(&[7; 64], (BROADCAST, DATAGRAM_PORT));
    }
    Ok(())
}
