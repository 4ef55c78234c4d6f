//! From messages of the runtime to what the inventory keeps, within limits.

use std::net::IpAddr;

use watchfire_inventory::{ContainerObject, ContainerState, Mount, PodObject, PodRef};
use watchfire_model::Labels;

use crate::info::Info;
use crate::limits::{IDENTIFIER_BYTES_MAX, LABELS_MAX, MOUNTS_MAX, POD_ADDRESSES_MAX, TEXT_BYTES_MAX};
use crate::proto::{self, container_state};

/// Labels that kubelet puts on sandboxes and containers beside the pod's own (kubernetes
/// `staging/src/k8s.io/kubelet/pkg/types/labels.go`).
const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";

/// Converts, and counts what it cuts.
#[derive(Default, Debug)]
pub(crate) struct Convert {
    /// `VersionResponse.runtime_name`
    pub(crate) runtime: String,
    pub(crate) cut: u64,
    pub(crate) info_unreadable: u64,
}

/// A sandbox, and the pod that it is the sandbox of.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Sandbox {
    pub(crate) container: ContainerObject,
    pub(crate) pod: PodObject,
}

/// Whether an id of a runtime is fit to be a key.
pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= IDENTIFIER_BYTES_MAX
}

impl Convert {
    pub(crate) fn listed_container(
        &mut self,
        listed: proto::Container,
        pod: Option<PodRef>,
    ) -> ContainerObject {
        let image_ref = self.text(listed.image_ref);
        ContainerObject {
            name: self.text(listed.metadata.unwrap_or_default().name),
            image: self.image(listed.image),
            image_digest: digest(&image_ref),
            image_ref,
            runtime: self.runtime.clone(),
            pod: pod.or_else(|| self.pod_of_labels(&listed.labels)),
            sandbox_id: self.text(listed.pod_sandbox_id),
            state: state(listed.state),
            labels: self.labels(listed.labels),
            created_unix_ns: time(listed.created_at),
            id: listed.id,
            ..ContainerObject::default()
        }
    }

    pub(crate) fn container(
        &mut self,
        status: proto::ContainerStatus,
        info: Info,
        sandbox_id: String,
        pod: Option<PodRef>,
    ) -> ContainerObject {
        self.info_unreadable += u64::from(info.is_unreadable);
        let image_ref = self.text(status.image_ref);
        ContainerObject {
            name: self.text(status.metadata.unwrap_or_default().name),
            image: self.image(status.image),
            image_digest: digest(&image_ref),
            image_ref,
            runtime: self.runtime.clone(),
            pod: pod.or_else(|| self.pod_of_labels(&status.labels)),
            sandbox_id: self.text(sandbox_id),
            is_sandbox: false,
            state: state(status.state),
            privileged: info.privileged,
            mounts: self.mounts(status.mounts),
            labels: self.labels(status.labels),
            created_unix_ns: time(status.created_at),
            started_unix_ns: time(status.started_at),
            pid: info.pid,
            id: status.id,
            is_complete: true,
        }
    }

    pub(crate) fn listed_sandbox(&mut self, listed: proto::PodSandbox) -> ContainerObject {
        ContainerObject {
            runtime: self.runtime.clone(),
            pod: listed.metadata.and_then(|metadata| self.pod_of_metadata(metadata)),
            sandbox_id: listed.id.clone(),
            is_sandbox: true,
            state: sandbox_state(listed.state),
            labels: self.labels(listed.labels),
            created_unix_ns: time(listed.created_at),
            id: listed.id,
            ..ContainerObject::default()
        }
    }

    pub(crate) fn sandbox(&mut self, status: proto::PodSandboxStatus, info: Info) -> Sandbox {
        self.info_unreadable += u64::from(info.is_unreadable);
        let mut container = self.listed_sandbox(proto::PodSandbox {
            id: status.id,
            metadata: status.metadata,
            state: status.state,
            created_at: status.created_at,
            labels: status.labels,
        });
        container.privileged = info.privileged;
        container.pid = info.pid;
        container.is_complete = true;
        let options =
            status.linux.and_then(|linux| linux.namespaces).and_then(|namespaces| namespaces.options);
        let named = container.pod.clone().unwrap_or_default();
        let mut labels = container.labels.clone();
        labels.retain(|key, _| ![POD_NAME, POD_NAMESPACE, POD_UID].contains(&key.as_str()));
        let pod = PodObject {
            namespace: named.namespace,
            name: named.name,
            uid: named.uid,
            labels,
            created_unix_s: container.created_unix_ns.map(|nanoseconds| nanoseconds / 1_000_000_000),
            is_ended: container.state == ContainerState::Exited,
            host_network: options.is_some_and(|options| options.network == proto::NAMESPACE_OF_NODE),
            ips: self.addresses(status.network.unwrap_or_default()),
            ..PodObject::default()
        };
        Sandbox { container, pod }
    }

    fn pod_of_metadata(&mut self, metadata: proto::PodSandboxMetadata) -> Option<PodRef> {
        let pod = PodRef {
            namespace: self.text(metadata.namespace),
            name: self.text(metadata.name),
            uid: self.text(metadata.uid),
        };
        (!pod.name.is_empty() || !pod.uid.is_empty()).then_some(pod)
    }

    fn pod_of_labels(&mut self, labels: &Labels) -> Option<PodRef> {
        let mut get = |key: &str| labels.get(key).map(|value| self.text(value.clone()));
        Some(PodRef { namespace: get(POD_NAMESPACE)?, name: get(POD_NAME)?, uid: get(POD_UID)? })
    }

    /// What was asked for, unless the first tag is told and only an id was kept of that.
    fn image(&mut self, image: Option<proto::ImageSpec>) -> String {
        let image = image.unwrap_or_default();
        let is_id = image.image.is_empty() || image.image.starts_with("sha256:");
        self.text(match image.user_specified_image {
            asked if is_id && !asked.is_empty() => asked,
            _ => image.image,
        })
    }

    fn addresses(&mut self, network: proto::PodSandboxNetworkStatus) -> Vec<IpAddr> {
        let texts = [network.ip].into_iter().chain(network.additional_ips.into_iter().map(|more| more.ip));
        let mut addresses: Vec<IpAddr> = texts.filter_map(|text| text.parse().ok()).collect();
        self.cut += addresses.len().saturating_sub(POD_ADDRESSES_MAX) as u64;
        addresses.truncate(POD_ADDRESSES_MAX);
        addresses
    }

    fn mounts(&mut self, mounts: Vec<proto::Mount>) -> Vec<Mount> {
        self.cut += mounts.len().saturating_sub(MOUNTS_MAX) as u64;
        let mut mount = |mount: proto::Mount| Mount {
            host_path: self.text(mount.host_path),
            container_path: self.text(mount.container_path),
            is_read_only: mount.readonly,
        };
        mounts.into_iter().take(MOUNTS_MAX).map(&mut mount).collect()
    }

    fn labels(&mut self, labels: Labels) -> Labels {
        self.cut += labels.len().saturating_sub(LABELS_MAX) as u64;
        labels.into_iter().take(LABELS_MAX).map(|(key, value)| (self.text(key), self.text(value))).collect()
    }

    fn text(&mut self, mut text: String) -> String {
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            self.cut += 1;
        }
        // What was decoded may have room for more.
        text.shrink_to_fit();
        text
    }
}

fn digest(image_ref: &str) -> Option<String> {
    image_ref.split_once('@').map(|(_, digest)| digest.to_owned())
}

const fn state(state: i32) -> ContainerState {
    match state {
        container_state::CREATED => ContainerState::Created,
        container_state::RUNNING => ContainerState::Running,
        container_state::EXITED => ContainerState::Exited,
        _ => ContainerState::Unknown,
    }
}

const fn sandbox_state(state: i32) -> ContainerState {
    if state == proto::SANDBOX_READY { ContainerState::Running } else { ContainerState::Exited }
}

/// Zero stands for what has not happened.
fn time(nanoseconds: i64) -> Option<i64> {
    (nanoseconds > 0).then_some(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images() {
        for (image, asked, expected) in [
            ("docker.io/library/web:1", "web:1", "docker.io/library/web:1"),
            ("sha256:ab", "web:1", "web:1"),
            ("", "web:1", "web:1"),
            ("sha256:ab", "", "sha256:ab"),
        ] {
            let image = proto::ImageSpec { image: image.to_owned(), user_specified_image: asked.to_owned() };
            assert_eq!(Convert::default().image(Some(image)), expected);
        }
        assert_eq!(digest("repo/web@sha256:ab").as_deref(), Some("sha256:ab"));
        assert_eq!(digest("sha256:ab"), None);
    }

    #[test]
    fn pods_are_named_by_labels_where_there_is_no_sandbox() {
        let labels = [(POD_NAME, "web"), (POD_NAMESPACE, "shop"), (POD_UID, "u")];
        let labels: Labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let listed = |labels| proto::Container { id: "c".to_owned(), labels, ..proto::Container::default() };
        let mut convert = Convert::default();
        let pod = convert.listed_container(listed(labels), None).pod;
        assert_eq!(pod.map(|pod| (pod.namespace, pod.uid)), Some(("shop".to_owned(), "u".to_owned())));
        assert_eq!(convert.listed_container(listed(Labels::new()), None).pod, None);
    }

    #[test]
    fn pods_of_the_hosts_network_and_ended_ones() {
        let options = Some(proto::NamespaceOption { network: proto::NAMESPACE_OF_NODE });
        let namespaces = Some(proto::Namespace { options });
        let ips = ["fd00::1", "none", ""].map(|ip| proto::PodIp { ip: ip.to_owned() }).to_vec();
        let status = proto::PodSandboxStatus {
            state: 1,
            created_at: 5_000_000_000,
            linux: Some(proto::LinuxPodSandboxStatus { namespaces }),
            network: Some(proto::PodSandboxNetworkStatus { ip: "10.0.0.1".to_owned(), additional_ips: ips }),
            ..proto::PodSandboxStatus::default()
        };
        let pod = Convert::default().sandbox(status, Info::default()).pod;
        assert!(pod.host_network && pod.is_ended);
        assert_eq!((pod.ips.len(), pod.created_unix_s), (2, Some(5)));
    }

    #[test]
    fn limits_are_counted() {
        let mut convert = Convert::default();
        let long = "é".repeat(TEXT_BYTES_MAX);
        assert_eq!(convert.text(long).len(), TEXT_BYTES_MAX);
        let labels = (0..LABELS_MAX + 3).map(|number| (number.to_string(), String::new())).collect();
        assert_eq!(convert.labels(labels).len(), LABELS_MAX);
        let ip = proto::PodIp { ip: "10.0.0.1".to_owned() };
        let network = proto::PodSandboxNetworkStatus {
            ip: String::new(),
            additional_ips: vec![ip; POD_ADDRESSES_MAX + 2],
        };
        assert_eq!(convert.addresses(network).len(), POD_ADDRESSES_MAX);
        assert_eq!(convert.cut, 1 + 3 + 2);
    }
}
