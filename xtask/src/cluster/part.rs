//! The node's programs: how each is started, and when it is ready.

use std::net::TcpStream;

use clap::ValueEnum;

use super::plan::{ETCD_CLIENTS, NODE_ADDRESS, NODE_NAME, PROXY_HEALTH};
use super::{http, tools};

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
            Self::Etcd => http::is_healthy(ETCD_CLIENTS, "/health"),
            Self::Apiserver => tools::kubectl(&["get", "--raw", "/readyz"]).is_ok(),
            // Without it no pod is admitted; it comes from the controller manager.
            Self::ControllerManager => tools::kubectl(&["get", "serviceaccount", "default"]).is_ok(),
            Self::Scheduler => TcpStream::connect((NODE_ADDRESS, 10259)).is_ok(),
            Self::Kubelet => {
                let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
                tools::kubectl(&["get", "node", NODE_NAME, "-o", ready]).is_ok_and(|text| text == "True")
            }
            Self::Proxy => http::is_healthy(PROXY_HEALTH, "/healthz"),
        }
    }
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
