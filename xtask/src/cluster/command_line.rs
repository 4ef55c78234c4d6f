//! What each of the node's programs is started with.

use super::identity::{ACCOUNT_KEY, FRONT_PROXY, KUBELET_CLIENT, SERVER_CERTIFICATE, TOKENS};
use super::part::Part;
use super::plan::{ETCD_CLIENTS, ETCD_PEERS, NODE_ADDRESS, NODE_NAME, PODS, SERVICES, path};

impl Part {
    /// The program and its arguments.
    pub(super) fn command_line(self) -> Vec<String> {
        let kubeconfig = format!("--kubeconfig={}", path(&format!("{}.kubeconfig", self.name())));
        match self {
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_an_option_is_put_before_its_name() {
        let line = Part::Scheduler.command_line();
        let file = path("scheduler.kubeconfig");
        assert!(line.contains(&format!("--authentication-kubeconfig={file}")), "{line:?}");
        assert!(line.contains(&format!("--kubeconfig={file}")), "{line:?}");
    }
}
