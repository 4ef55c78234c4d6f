//! Peers that print a line for each operation.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::probe::Probe;
use super::tool::Tool;
use super::{Peer, audit, sandbox, tracers};
use crate::account::{Account, Wanted};
use crate::lines;
use crate::workload::Workload;

/// One that runs.
pub(crate) struct LinesTool {
    peer: Peer,
    tool: Tool,
    told: PathBuf,
}

impl LinesTool {
    pub(super) fn start(peer: Peer, workload: Workload, root: &Path, watched: &Path) -> Result<Self> {
        let probe = Probe::of(workload, watched)?;
        let mut tool = match peer {
            Peer::Auditd => {
                let rules = audit::rules(workload, watched).context("the audit is asked about it")?;
                Tool::start(root, watched, audit::BODY, &rules, audit::write_config)?
            }
            Peer::Bcc => {
                let arguments = tracers::bcc(workload).context("bcc is asked about it")?;
                Tool::start(root, watched, sandbox::ALONE, &arguments, |_| Ok(()))?
            }
            _ => {
                let arguments = tracers::bpftrace(workload, watched)?;
                Tool::start(root, watched, sandbox::ALONE, &arguments, |_| Ok(()))?
            }
        };
        let told = if peer == Peer::Auditd { tool.file(audit::LOG) } else { tool.output() };
        let texts = peer.texts(workload, probe.mark()?).context("the peer is asked about it")?;
        tool.until_told(|_| {
            probe.round()?;
            Ok(File::open(&told).is_ok_and(|file| lines::count(file, &texts).unwrap_or(0) > 0))
        })?;
        if peer == Peer::Auditd {
            let daemon = audit::processes(tool.pid())?;
            tool.measure(daemon);
        }
        Ok(Self { peer, tool, told })
    }

    pub(super) const fn tool(&self) -> &Tool {
        &self.tool
    }

    pub(super) fn stop(mut self, wanted: Option<&Wanted>) -> Result<Account> {
        let is_audit = self.peer == Peer::Auditd;
        self.tool.signal(if is_audit { Signal::TERM } else { Signal::INT })?;
        let file = File::open(&self.told).with_context(|| format!("open {}", self.told.display()))?;
        let dropped = if is_audit { audit::lost(&self.tool)? } else { tracers::lost(&self.tool)? };
        let told = wanted.map_or(Ok(0), |wanted| lines::count(file, &wanted.texts))?;
        Ok(Account { told, dropped, ..Account::default() })
    }
}
