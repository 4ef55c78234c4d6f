//! Connections that stay open, in processes of their own, each with no more than a process may have open.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::connections::HELD;
use crate::network;

/// Connections of a process: two descriptors each, and one address has some 14,000 ports to give at once.
const CONNECTIONS_OF_PROCESS: u32 = 8000;
/// Port of the first process.
const PORT: u16 = 20_100;

/// So many ends; dropping it closes them.
#[derive(Default)]
pub(super) struct Held {
    ends: u32,
    holders: Vec<Child>,
}

impl Held {
    /// Opens so many, unless they are open already. Two ends are a connection.
    pub(super) fn resize(&mut self, ends: u32, pods: u32, alike: bool) -> Result<()> {
        if self.ends == ends {
            return Ok(());
        }
        self.close();
        let connections = ends / 2;
        let holders = connections.div_ceil(CONNECTIONS_OF_PROCESS);
        let own = std::env::current_exe().context("find this program")?;
        for holder in 0..holders {
            let first = holder * CONNECTIONS_OF_PROCESS;
            let count = CONNECTIONS_OF_PROCESS.min(connections - first);
            let mut command = Command::new("ip");
            command.args(["netns", "exec", network::NAMESPACE]).arg(&own).arg("hold");
            // Alike, each process has a pair of its own.
            let pair = if alike { holder } else { first };
            for (name, value) in [("connections", count), ("first", pair), ("pods", pods)] {
                command.args([format!("--{name}"), value.to_string()]);
            }
            command.args(["--port", &(PORT + u16::try_from(holder)?).to_string()]);
            command.args(alike.then_some("--alike"));
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start `hold`")?;
            let mut line = String::new();
            BufReader::new(child.stdout.take().context("its output is piped")?).read_line(&mut line)?;
            self.holders.push(child);
            ensure!(line.trim() == HELD, "not all connections could be opened");
        }
        self.ends = ends;
        Ok(())
    }

    fn close(&mut self) {
        for mut holder in self.holders.drain(..) {
            // The end of its input ends it.
            drop(holder.stdin.take());
            let _ = holder.wait();
        }
        self.ends = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.close();
    }
}
