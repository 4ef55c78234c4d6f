//! Who is who: processes with their ancestry, cgroups, and the pods, nodes and services behind addresses.
//!
//! Tables are pure and bounded; `cgroup_scan`, `host_net` and `yaml::read` are the only places that touch the system.
#![forbid(unsafe_code)]

mod cgroup_path;
mod cgroup_scan;
mod cgroups;
mod container;
mod containers;
mod directory;
mod document;
mod environment;
mod gone;
mod host_net;
mod manifest;
mod object;
mod processes;
mod redact;
mod resolve;
mod services;
mod source;
mod workload;
mod yaml;

pub use cgroup_path::{CgroupPath, Placement, Runtime, pod_uid};
pub use cgroup_scan::{CGROUP_DEPTH_MAX, CgroupScan, scan_cgroups};
pub use cgroups::{CGROUP_REMOVED_KEEP_MS, CGROUP_RESCAN_INTERVAL_MS, CGROUPS_MAX, Cgroup, Cgroups};
pub use container::{ContainerChange, ContainerObject, ContainerState, Mount, PodRef, UnknownReason};
pub use containers::{CONTAINER_GONE_KEEP_MS, CONTAINERS_MAX, Containers};
pub use directory::{
    ADDRESS_GRACE_MS, ADDRESS_PAST_KEEP_MS, ADDRESSES_PAST_MAX, CgroupOwner, Directory, DirectoryCounters,
    Moment, NAMESPACES_MAX, NODES_MAX, POD_GONE_KEEP_MS, PODS_MAX, Revisions,
};
pub use document::{Contradiction, Inventory, InventoryError, read_inventory};
pub use environment::{VARIABLES_MAX, VariableName};
pub use host_net::{HOST_ADDRESSES_MAX, HostNet};
pub use manifest::{
    MANIFEST_CONTAINERS_MAX, MANIFEST_ENDPOINT_ADDRESSES_MAX, MANIFEST_ENDPOINTS_MAX, MANIFEST_LABELS_MAX,
    MANIFEST_NODE_ADDRESSES_MAX, MANIFEST_OWNERS_MAX, MANIFEST_POD_CIDRS_MAX, MANIFEST_POD_IPS_MAX,
    MANIFEST_POLICY_BYTES_MAX, MANIFEST_PORTS_MAX, MANIFEST_SERVICE_IPS_MAX, MANIFEST_TEXT_BYTES_MAX,
    Manifest, ManifestError, object, object_of,
};
pub use object::{
    Change, ControllerRef, EndpointPort, EndpointSliceObject, NamespaceObject, NodeObject, Object, ObjectKey,
    PodContainer, PodObject, PolicyObject, ResourceKind, ServiceObject, ServicePortObject,
};
pub use processes::{
    EXITED_KEEP_MS, EXITED_PROCESSES_MAX, Intake, PROCESSES_MAX, ProcessCounters, Processes, unknown_process,
};
pub use redact::{PATTERNS_MAX, REDACTED, Redactor, SecretName, SecretPattern};
pub use resolve::{Ends, Resolver};
pub use services::{
    SERVICE_ADDRESSES_MAX, SERVICE_ENDPOINTS_MAX, SERVICE_PORTS_MAX, SERVICES_MAX, ServicePort,
};
pub use source::{Source, SourceBatch};
pub use yaml::{YAML_FILE_BYTES_MAX, YamlError, parse as parse_yaml, read as read_yaml};
