//! One group of runs: without, with, with, without, so that what drifts in one direction falls out of the ratio.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result, ensure};

use crate::cpu_clock;
use crate::network;
use crate::workload::{Done, Workload};

/// How the work of a cell is run.
#[derive(Clone, Copy)]
pub(crate) struct Runs<'a> {
    pub(crate) workload: Workload,
    pub(crate) operations: u64,
    pub(crate) tag: &'a str,
    pub(crate) file: &'a Path,
}

impl Runs<'_> {
    /// Runs the work once.
    pub(crate) fn once(&self) -> Result<Done> {
        let own = std::env::current_exe().context("find this program")?;
        let service = self.workload.service().map(Served::start).transpose()?;
        let mut command = if service.is_some() {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", network::NAMESPACE]).arg(own);
            command
        } else {
            Command::new(own)
        };
        command.args(["work", self.workload.name(), "--tag", self.tag, "--operations"]);
        command.arg(self.operations.to_string()).arg("--file").arg(self.file);
        if let Some(service) = &service {
            command.args(["--to", &service.address]);
        }
        let service_ns =
            || service.as_ref().map_or(Ok(0), |service| cpu_clock::nanoseconds(service.child.id()));
        let service_before = service_ns()?;
        let output =
            command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("start the work")?;
        ensure!(output.status.success(), "the work {} ended with {}", self.workload.name(), output.status);
        let mut done: Done = serde_json::from_slice(&output.stdout).context("what the work told")?;
        done.own_ns += service_ns()? - service_before;
        ensure!(
            done.operations == self.operations,
            "{}: {} of {} operations were done",
            self.workload.name(),
            done.operations,
            self.operations
        );
        Ok(done)
    }
}

/// The other end of the work; dropping it ends it.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(service: crate::workload::Service) -> Result<Self> {
        let own = std::env::current_exe().context("find this program")?;
        let mut command = Command::new(own);
        command.args(["serve", service.name()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start the other end")?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut served = Self { child, address: String::new() };
        BufReader::new(output).read_line(&mut served.address)?;
        served.address.truncate(served.address.trim_end().len());
        ensure!(!served.address.is_empty(), "the other end of the work did not start");
        Ok(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
