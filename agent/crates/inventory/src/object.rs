//! What sources tell of the cluster: objects of the Kubernetes API, reduced to what identity and policy need. The API,
//! kubelet, a folder of manifests and a container runtime all speak in these terms.

use std::net::IpAddr;

use serde_json::Value;
use watchfire_model::{ContainerPort, Labels, Protocol};

/// A kind of object that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ResourceKind {
    /// `v1` Namespace
    Namespace,
    /// `v1` Node
    Node,
    /// `v1` Pod
    Pod,
    /// `v1` Service
    Service,
    /// `discovery.k8s.io/v1` EndpointSlice
    EndpointSlice,
    /// `networking.k8s.io/v1` NetworkPolicy
    NetworkPolicy,
    /// `cilium.io/v2` CiliumNetworkPolicy
    CiliumNetworkPolicy,
    /// `cilium.io/v2` CiliumClusterwideNetworkPolicy
    CiliumClusterwideNetworkPolicy,
    /// `cilium.io/v2` CiliumCIDRGroup (`v2alpha1` in older releases)
    CiliumCidrGroup,
    /// `policy.networking.k8s.io/v1alpha1` AdminNetworkPolicy
    AdminNetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha1` BaselineAdminNetworkPolicy
    BaselineAdminNetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha2` ClusterNetworkPolicy
    ClusterNetworkPolicy,
    /// `security.istio.io/v1` PeerAuthentication
    PeerAuthentication,
    /// `security.istio.io/v1` AuthorizationPolicy
    AuthorizationPolicy,
}

/// Something that a source told.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// All objects of a kind are told from the beginning: those that do not come before [`Change::ListEnds`] are gone.
    ListBegins(ResourceKind),
    /// The list is complete.
    ListEnds(ResourceKind),
    /// The kind does not exist at this source, or no longer: none of its objects does.
    Absent(ResourceKind),
    /// An object is new or has changed.
    Apply(Box<Object>),
    /// An object was deleted.
    Delete(ResourceKind, ObjectKey),
}

/// How an object is known within its kind.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ObjectKey {
    /// `metadata.namespace`; empty for kinds that have none.
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`; empty where the source does not tell it.
    pub uid: String,
}

/// An object.
#[derive(Clone, PartialEq, Debug)]
pub enum Object {
    /// Namespace
    Namespace(NamespaceObject),
    /// Node
    Node(NodeObject),
    /// Pod
    Pod(PodObject),
    /// Service
    Service(ServiceObject),
    /// EndpointSlice
    EndpointSlice(EndpointSliceObject),
    /// A policy of any kind, whole: the policy engine reads it.
    Policy(PolicyObject),
}

impl Object {
    /// Which kind it is of.
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        match self {
            Self::Namespace(_) => ResourceKind::Namespace,
            Self::Node(_) => ResourceKind::Node,
            Self::Pod(_) => ResourceKind::Pod,
            Self::Service(_) => ResourceKind::Service,
            Self::EndpointSlice(_) => ResourceKind::EndpointSlice,
            Self::Policy(policy) => policy.kind,
        }
    }
}

/// A Namespace.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NamespaceObject {
    /// Name.
    pub name: String,
    /// `metadata.labels`
    pub labels: Labels,
}

/// A Node.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NodeObject {
    /// Name.
    pub name: String,
    /// `metadata.labels`
    pub labels: Labels,
    /// `status.addresses` that are addresses.
    pub ips: Vec<IpAddr>,
    /// `spec.podCIDRs`, as they are written.
    pub pod_cidrs: Vec<String>,
}

/// A Pod.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PodObject {
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
    /// Annotation `kubernetes.io/config.mirror` of a static pod's mirror: the uid that kubelet knows it by, and that its
    /// cgroups carry.
    pub mirror_uid: Option<String>,
    /// `metadata.labels`
    pub labels: Labels,
    /// `metadata.creationTimestamp`, seconds since 1970.
    pub created_unix_s: Option<i64>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub is_deleting: bool,
    /// Whether `status.phase` is Succeeded or Failed: its address may belong to another.
    pub is_ended: bool,
    /// `spec.nodeName`
    pub node: Option<String>,
    /// `spec.serviceAccountName`
    pub service_account: Option<String>,
    /// `spec.hostNetwork`
    pub host_network: bool,
    /// Ports of all containers, native sidecars included.
    pub ports: Vec<ContainerPort>,
    /// `status.podIPs`, or else `status.podIP`.
    pub ips: Vec<IpAddr>,
    /// The controller among `metadata.ownerReferences`.
    pub controller: Option<ControllerRef>,
    /// Containers of `status`, of all three lists, that have been made.
    pub containers: Vec<PodContainer>,
}

/// Who made a pod: an entry of `metadata.ownerReferences` with `controller: true`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ControllerRef {
    /// `kind`
    pub kind: String,
    /// `name`
    pub name: String,
}

/// A container as the status of its pod tells it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PodContainer {
    /// Name within the pod.
    pub name: String,
    /// `containerID` without the runtime before `://`.
    pub id: String,
    /// `image`
    pub image: String,
    /// `imageID`
    pub image_id: String,
}

/// A Service.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ServiceObject {
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// `spec.clusterIPs` (without `None`), `spec.externalIPs` and addresses of `status.loadBalancer.ingress`.
    pub ips: Vec<IpAddr>,
    /// `spec.ports`
    pub ports: Vec<ServicePortObject>,
    /// `metadata.labels`
    pub labels: Labels,
    /// `spec.selector`
    pub selector: Labels,
}

/// A port of a Service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServicePortObject {
    /// `name`; empty for the only port of a service.
    pub name: String,
    /// `port`
    pub port: u16,
    /// `nodePort`, where there is one.
    pub node_port: Option<u16>,
    /// `protocol`
    pub protocol: Protocol,
}

/// An EndpointSlice.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct EndpointSliceObject {
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// Label `kubernetes.io/service-name`; empty for a slice of no service.
    pub service: String,
    /// Addresses of endpoints that serve: `conditions.serving`, or else `conditions.ready`, is not false.
    pub addresses: Vec<IpAddr>,
    /// `ports`
    pub ports: Vec<EndpointPort>,
}

/// A port of all endpoints of a slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointPort {
    /// `name`, that of the service's port.
    pub name: String,
    /// `port`; none stands for all ports.
    pub port: Option<u16>,
    /// `protocol`
    pub protocol: Protocol,
}

/// A policy.
#[derive(Clone, PartialEq, Debug)]
pub struct PolicyObject {
    /// Which kind.
    pub kind: ResourceKind,
    /// `metadata.namespace`, `metadata.name` and `metadata.uid`.
    pub key: ObjectKey,
    /// The whole object, `apiVersion` and `kind` included, without `metadata.managedFields` and `status`.
    pub value: Value,
}
