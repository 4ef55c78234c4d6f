//! Two network namespaces joined by one wire, on which nothing talks but the test.

use std::process::Command;

use serde_json::Value;

use crate::peer::Peer;
use crate::space;
use crate::stage::namespace;

/// Addresses of the two ends, in both families.
pub(crate) const CLIENT: &str = "10.98.0.1";
pub(crate) const SERVER: &str = "10.98.0.2";
pub(crate) const SERVER_V6: &str = "fd98::2";
/// The interface at both ends.
pub(crate) const INTERFACE: &str = "wire0";

/// Which end of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Client,
    Server,
}

/// The wire. Its namespaces live as long as the two processes that hold them, and those as long as this.
pub(crate) struct Wire {
    client: Peer,
    server: Peer,
    /// Inode numbers of the two namespaces.
    namespaces: [u64; 2],
}

impl Wire {
    pub(crate) fn new() -> Self {
        let hold = || {
            let mut command = Command::new("unshare");
            command.args(["--net", "/bin/sh", "-c", "echo held; read line"]);
            let mut holder = Peer::start_by(command, "");
            assert_eq!(holder.line(), "held");
            holder
        };
        let (client, server) = (hold(), hold());
        let namespaces = [&client, &server].map(|holder| namespace(holder.pid(), "net"));
        let wire = Self { client, server, namespaces };
        let far = wire.server.pid();
        wire.run(
            End::Client,
            &format!("ip link add {INTERFACE} type veth peer name {INTERFACE} netns {far}"),
        );
        for (end, number) in [(End::Client, 1), (End::Server, 2)] {
            // Link-local addresses would talk by themselves.
            wire.run(
                end,
                &format!(
                    "ip link set lo up; ip link set {INTERFACE} addrgenmode none; \
                     ip addr add 10.98.0.{number}/24 dev {INTERFACE}; \
                     ip addr add fd98::{number}/64 dev {INTERFACE} nodad; ip link set {INTERFACE} up"
                ),
            );
        }
        wire
    }

    /// Makes packets no larger than this, each of one segment of TCP: as on a network card without offloads.
    pub(crate) fn cut_segments(&self, bytes: u32) {
        for end in [End::Client, End::Server] {
            self.run(end, &format!("ip link set {INTERFACE} mtu {bytes} gso_max_segs 1"));
        }
    }

    /// A command at one end.
    pub(crate) fn command(&self, end: End, program: &str, arguments: &[&str]) -> Command {
        let holder = match end {
            End::Client => &self.client,
            End::Server => &self.server,
        };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", holder.pid())).arg(program).args(arguments);
        command
    }

    /// Runs a shell script at one end, which must succeed, and returns what it wrote.
    pub(crate) fn run(&self, end: End, script: &str) -> String {
        let script = format!("set -e; {script}");
        let output = self.command(end, "/bin/sh", &["-c", &script]).output().expect("start a shell");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {}\n{error}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether a record is of a flow at one of the ends: others on this machine may have the same addresses.
    pub(crate) fn has(&self, record: &Value) -> bool {
        record["type"] == "flow" && self.namespaces.iter().any(|namespace| record["netns"] == *namespace)
    }

    /// Does something at one end. Sockets that are made there stay there.
    pub(crate) fn inside<T: Send>(&self, end: End, what: impl FnOnce() -> T + Send) -> T {
        let holder = match end {
            End::Client => &self.client,
            End::Server => &self.server,
        };
        space::inside(holder.pid(), what)
    }

    /// A peer at one end.
    pub(crate) fn peer(&self, end: End, role: &str) -> Peer {
        Peer::start_by(self.command(end, "/bin/sh", &["-c", "exec \"$PEER\""]), role)
    }
}
