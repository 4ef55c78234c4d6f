//! The node's programs: how each is started, and when it is ready.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::ValueEnum;

use super::identity::{ACCOUNT_KEY, FRONT_PROXY, KUBELET_CLIENT, SERVER_CERTIFICATE, TOKENS};
use super::plan::{ETCD_CLIENTS, ETCD_PEERS, NODE_ADDRESS, NODE_NAME, PODS, PROXY_HEALTH, SERVICES, path};
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

    /// The program and its arguments.
    pub(super) fn command_line(self) -> Vec<String> {
        let kubeconfig = format!("--kubeconfig={}", path(&format!("{}.kubeconfig", self.name())));
        let line = match self {
            Self::Containerd => vec!["containerd".into(), "--config".into(), path("containerd.toml")],
            Self::Etcd => vec![
                "etcd".into(),
                "--name=node".into(),
                format!("--data-dir={}", path("etcd")),
                format!("--listen-client-urls=http://{ETCD_CLIENTS}"),
                format!("--advertise-client-urls=http://{ETCD_CLIENTS}"),
                format!("--listen-peer-urls=http://{ETCD_PEERS}"),
                format!("--initial-advertise-peer-urls=http://{ETCD_PEERS}"),
                format!("--initial-cluster=node=http://{ETCD_PEERS}"),
                // Nothing here outlives a power cut.
                "--unsafe-no-fsync".into(),
            ],
            Self::Apiserver => vec![
                "kube-apiserver".into(),
                format!("--etcd-servers=http://{ETCD_CLIENTS}"),
                format!("--bind-address={NODE_ADDRESS}"),
                format!("--advertise-address={NODE_ADDRESS}"),
                "--secure-port=6443".into(),
                format!("--cert-dir={}", path("apiserver")),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                format!("--service-account-signing-key-file={}", path(ACCOUNT_KEY)),
                format!("--service-account-key-file={}", path(ACCOUNT_KEY)),
                format!("--token-auth-file={}", path(TOKENS)),
                "--authorization-mode=Node,RBAC".into(),
                "--enable-admission-plugins=NodeRestriction".into(),
                // Beside tokens; the other parts learn from this one whom it trusts.
                format!("--client-ca-file={}", KUBELET_CLIENT.certificate()),
                format!("--requestheader-client-ca-file={}", FRONT_PROXY.certificate()),
                "--requestheader-allowed-names=front-proxy-client".into(),
                "--requestheader-username-headers=X-Remote-User".into(),
                "--requestheader-group-headers=X-Remote-Group".into(),
                "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
                format!("--proxy-client-cert-file={}", FRONT_PROXY.certificate()),
                format!("--proxy-client-key-file={}", FRONT_PROXY.key()),
                "--allow-privileged=true".into(),
                format!("--service-cluster-ip-range={SERVICES}"),
                "--kubelet-preferred-address-types=InternalIP".into(),
                format!("--kubelet-client-certificate={}", KUBELET_CLIENT.certificate()),
                format!("--kubelet-client-key={}", KUBELET_CLIENT.key()),
            ],
            Self::ControllerManager => vec![
                "kube-controller-manager".into(),
                kubeconfig.clone(),
                kubeconfig.replace("--", "--authentication-"),
                kubeconfig.replace("--", "--authorization-"),
                "--use-service-account-credentials=true".into(),
                format!("--service-account-private-key-file={}", path(ACCOUNT_KEY)),
                format!("--root-ca-file={}", path(SERVER_CERTIFICATE)),
                "--allocate-node-cidrs=true".into(),
                format!("--flex-volume-plugin-dir={}", path("kubelet/volume-plugins")),
                format!("--cluster-cidr={PODS}"),
                format!("--service-cluster-ip-range={SERVICES}"),
                format!("--bind-address={NODE_ADDRESS}"),
                "--leader-elect=false".into(),
                "--kube-api-qps=200".into(),
                "--kube-api-burst=400".into(),
            ],
            Self::Scheduler => vec![
                "kube-scheduler".into(),
                kubeconfig.clone(),
                kubeconfig.replace("--", "--authentication-"),
                kubeconfig.replace("--", "--authorization-"),
                format!("--bind-address={NODE_ADDRESS}"),
                "--leader-elect=false".into(),
            ],
            Self::Kubelet => vec![
                "kubelet".into(),
                kubeconfig,
                format!("--config={}", path("kubelet.yaml")),
                format!("--root-dir={}", path("kubelet")),
                format!("--cert-dir={}", path("kubelet/pki")),
                format!("--hostname-override={NODE_NAME}"),
                format!("--node-ip={NODE_ADDRESS}"),
            ],
            Self::Proxy => vec!["kube-proxy".into(), format!("--config={}", path("proxy.yaml"))],
        };
        line
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

    #[test]
    fn the_part_of_an_option_is_put_before_its_name() {
        let line = Part::Scheduler.command_line();
        let file = path("scheduler.kubeconfig");
        assert!(line.contains(&format!("--authentication-kubeconfig={file}")), "{line:?}");
        assert!(line.contains(&format!("--kubeconfig={file}")), "{line:?}");
    }
}
