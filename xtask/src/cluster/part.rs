//! The node's programs: how each is started, and when it is ready.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::ValueEnum;

use super::plan::{ETCD_CLIENTS, NODE_ADDRESS, NODE_NAME, PROXY_HEALTH};
use super::tools;

const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A program of the node, in the order in which they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    Containerd,
    Etcd,
    Apiserver,
    ControllerManager,
    Scheduler,
    Kubelet,
    Proxy,
}

impl Part {
    /// Its name on the command line, in the journal, and of its log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Etcd => "etcd",
            Self::Apiserver => "apiserver",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
            Self::Kubelet => "kubelet",
            Self::Proxy => "proxy",
        }
    }

    /// Whether it takes more than containerd does.
    pub(super) fn is_of_kubernetes(self) -> bool {
        self != Self::Containerd
    }

    /// Whether others need it to be ready before they start.
    pub(super) fn is_first(self) -> bool {
        matches!(self, Self::Containerd | Self::Etcd | Self::Apiserver)
    }

    /// Whether it does its work by now.
    pub(super) fn is_ready(self) -> bool {
        match self {
            Self::Containerd => tools::ctr(&["version"]).is_ok(),
            Self::Etcd => is_healthy(ETCD_CLIENTS, "/health"),
            Self::Apiserver => tools::kubectl(&["get", "--raw", "/readyz"]).is_ok(),
            // Without it no pod is admitted; it comes from the controller manager.
            Self::ControllerManager => tools::kubectl(&["get", "serviceaccount", "default"]).is_ok(),
            Self::Scheduler => TcpStream::connect((NODE_ADDRESS, 10259)).is_ok(),
            Self::Kubelet => {
                let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
                tools::kubectl(&["get", "node", NODE_NAME, "-o", ready]).is_ok_and(|text| text == "True")
            }
            Self::Proxy => is_healthy(PROXY_HEALTH, "/healthz"),
        }
    }
}

/// Whether a page that says how its server is says that it is well.
fn is_healthy(address: &str, page: &str) -> bool {
    let ask = || -> Option<bool> {
        let mut stream =
            TcpStream::connect_timeout(&address.parse::<SocketAddr>().ok()?, ANSWER_LIMIT).ok()?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
        write!(stream, "GET {page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for part in Part::value_variants() {
            assert_eq!(part.to_possible_value().unwrap().get_name(), part.name());
        }
    }
}
