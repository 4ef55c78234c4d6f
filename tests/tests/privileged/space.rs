//! A network namespace with a loopback interface, in which the test itself has sockets.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::peer::Peer;
use crate::stage::namespace;

/// Lives as long as the process that holds it, and as any socket in it.
pub(crate) struct Space {
    holder: Peer,
    number: u64,
}

impl Space {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "/bin/sh", "-c", "ip link set lo up; echo held; read line"]);
        let mut holder = Peer::start_by(command, "");
        assert_eq!(holder.line(), "held");
        let number = namespace(holder.pid(), "net");
        Self { holder, number }
    }

    /// Does something in it. Sockets that are made there stay there.
    pub(crate) fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        inside(self.holder.pid(), what)
    }

    /// Whether a record is of a flow in it.
    pub(crate) fn has(&self, record: &Value) -> bool {
        record["type"] == "flow" && self.is_of(record)
    }

    /// Whether a record is of something in it.
    pub(crate) fn is_of(&self, record: &Value) -> bool {
        record["netns"] == self.number
    }
}

/// Does something in the network namespace of a process, on a thread of its own.
pub(crate) fn inside<T: Send>(pid: u32, what: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            what()
        });
        thread.join().unwrap()
    })
}
