//! Services and their EndpointSlices.

use std::net::IpAddr;

use serde::Deserialize;
use watchfire_model::Protocol;

use super::bounded::{Address, LabelMap, List, PortNumber, Text, address};
use super::meta::Meta;
use super::{MANIFEST_PORTS_MAX, Written, Wrong};
use crate::{EndpointPort, EndpointSliceObject, Object, ServiceObject, ServicePortObject};

/// Most addresses of a service in each place that tells some.
pub const MANIFEST_SERVICE_IPS_MAX: usize = 256;
/// Most endpoints of a slice: the API's own limit.
pub const MANIFEST_ENDPOINTS_MAX: usize = 1000;
/// Most addresses of an endpoint: the API's own limit.
pub const MANIFEST_ENDPOINT_ADDRESSES_MAX: usize = 100;

/// What stands in the place of an address in a service that has none.
const HEADLESS: &str = "None";

#[derive(Deserialize)]
pub(super) struct Service {
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<ClusterIp>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: List<ClusterIp, MANIFEST_SERVICE_IPS_MAX>,
    #[serde(rename = "externalIPs")]
    external_ips: List<Address, MANIFEST_SERVICE_IPS_MAX>,
    ports: List<Port, MANIFEST_PORTS_MAX>,
    selector: LabelMap,
}

/// An address, or `None` for a headless service.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "Text")]
struct ClusterIp(Option<IpAddr>);

impl TryFrom<Text> for ClusterIp {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        if text == HEADLESS { Ok(Self(None)) } else { address(&text).map(Self) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[serde(default)]
    name: Text,
    port: PortNumber,
    node_port: Option<u16>,
    protocol: Option<Protocol>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    load_balancer: Option<LoadBalancer>,
}

#[derive(Deserialize)]
struct LoadBalancer {
    #[serde(default)]
    ingress: List<Ingress, MANIFEST_SERVICE_IPS_MAX>,
}

/// Some load balancers have a name instead of an address.
#[derive(Deserialize)]
struct Ingress {
    ip: Option<Address>,
}

impl Written for Service {
    fn metadata(&self) -> &Meta {
        &self.metadata
    }

    fn into_object(self) -> Result<Object, Wrong> {
        Ok(Object::Service(self.into()))
    }
}

impl From<Service> for ServiceObject {
    fn from(service: Service) -> Self {
        let key = service.metadata.key();
        let (spec, status) = (service.spec.unwrap_or_default(), service.status.unwrap_or_default());
        let cluster =
            if spec.cluster_ips.0.is_empty() { Vec::from_iter(spec.cluster_ip) } else { spec.cluster_ips.0 };
        let ingress = status.load_balancer.map(|balancer| balancer.ingress.0).unwrap_or_default();
        let mut ips: Vec<IpAddr> = Vec::new();
        let all = cluster.into_iter().map(|ip| ip.0);
        let all = all.chain(spec.external_ips.0.into_iter().map(|ip| ip.0));
        for ip in all.chain(ingress.into_iter().map(|ingress| ingress.ip?.0)).flatten() {
            if !ips.contains(&ip) {
                ips.push(ip);
            }
        }
        let port = |Port { name, port, node_port, protocol }| ServicePortObject {
            name: name.0,
            port: port.0,
            node_port: node_port.filter(|port| *port != 0),
            protocol: protocol.unwrap_or(Protocol::Tcp),
        };
        Self {
            namespace: key.namespace,
            name: key.name,
            ips,
            ports: spec.ports.0.into_iter().map(port).collect(),
            labels: service.metadata.labels.0,
            selector: spec.selector.0,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointSlice {
    metadata: Meta,
    address_type: Option<Text>,
    #[serde(default)]
    endpoints: List<Endpoint, MANIFEST_ENDPOINTS_MAX>,
    #[serde(default)]
    ports: List<SlicePort, MANIFEST_PORTS_MAX>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(default)]
    addresses: List<Text, MANIFEST_ENDPOINT_ADDRESSES_MAX>,
    conditions: Option<Conditions>,
}

#[derive(Deserialize, Clone, Copy)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
}

#[derive(Deserialize)]
struct SlicePort {
    name: Option<Text>,
    port: Option<PortNumber>,
    protocol: Option<Protocol>,
}

impl Written for EndpointSlice {
    fn metadata(&self) -> &Meta {
        &self.metadata
    }

    fn into_object(self) -> Result<Object, Wrong> {
        let key = self.metadata.key();
        let mut addresses = Vec::new();
        // Slices of names lead nowhere that could be seen on the wire.
        let is_named = matches!(&self.address_type, Some(Text(kind)) if kind == "FQDN");
        for (number, endpoint) in self.endpoints.0.iter().enumerate().filter(|_| !is_named) {
            for (index, Text(text)) in endpoint.addresses.0.iter().enumerate() {
                let read = address(text).map_err(|message| Wrong {
                    path: format!("endpoints[{number}].addresses[{index}]"),
                    message,
                })?;
                addresses.extend(read.filter(|_| serves(endpoint.conditions)));
            }
        }
        let port = |SlicePort { name, port, protocol }| EndpointPort {
            name: name.unwrap_or_default().0,
            port: port.map(|port| port.0),
            protocol: protocol.unwrap_or(Protocol::Tcp),
        };
        let mut labels = self.metadata.labels.0;
        Ok(Object::EndpointSlice(EndpointSliceObject {
            namespace: key.namespace,
            name: key.name,
            service: labels.remove("kubernetes.io/service-name").unwrap_or_default(),
            addresses,
            ports: self.ports.0.into_iter().map(port).collect(),
        }))
    }
}

/// discovery/v1 EndpointConditions: what is not said counts as true.
fn serves(conditions: Option<Conditions>) -> bool {
    conditions.and_then(|conditions| conditions.serving.or(conditions.ready)).unwrap_or(true)
}
