//! The entries of `services`.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use watchfire_model::Protocol;

use crate::{SERVICE_ADDRESSES_MAX, SERVICE_ENDPOINTS_MAX, SERVICE_PORTS_MAX};

/// A service, as it is declared.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) cluster_ips: Vec<IpAddr>,
    pub(super) ports: Vec<Port>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// A port of a service.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) name: Option<String>,
    pub(super) port: u16,
    pub(super) target: TargetPort,
    pub(super) protocol: Protocol,
}

/// The port of the backends behind a service's port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum TargetPort {
    Number(u16),
    /// A port of a container, by its name.
    Name(String),
}

/// A backend of a service. Its port, where it is told, stands over the target port.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) ip: IpAddr,
    pub(super) port: Option<u16>,
}

/// At most `MAX` entries.
#[derive(Deserialize)]
#[serde(try_from = "Vec<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Limited<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for Limited<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for Limited<T, MAX> {
    type Error = String;

    fn try_from(list: Vec<T>) -> Result<Self, String> {
        if list.len() > MAX {
            return Err(format!("found {} entries, expected at most {MAX}", list.len()));
        }
        Ok(Self(list))
    }
}

impl<T, const MAX: usize> IntoIterator for Limited<T, MAX> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceEntry {
    namespace: String,
    name: String,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Limited<IpAddr, SERVICE_ADDRESSES_MAX>,
    ports: Limited<PortEntry, SERVICE_PORTS_MAX>,
    #[serde(default)]
    endpoints: Limited<EndpointEntry, SERVICE_ENDPOINTS_MAX>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PortEntry {
    name: Option<String>,
    port: PortNumber,
    target_port: Option<Target>,
    #[serde(default = "tcp")]
    protocol: ServiceProtocol,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointEntry {
    ip: IpAddr,
    port: Option<PortNumber>,
}

/// A port that something can be sent to.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u16")]
struct PortNumber(u16);

impl TryFrom<u16> for PortNumber {
    type Error = &'static str;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        if number == 0 { Err("found 0, expected a whole number from 1 to 65535") } else { Ok(Self(number)) }
    }
}

/// A protocol that services have (core/v1 `ServicePort`).
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Protocol")]
struct ServiceProtocol(Protocol);

impl TryFrom<Protocol> for ServiceProtocol {
    type Error = String;

    fn try_from(protocol: Protocol) -> Result<Self, String> {
        match protocol {
            Protocol::Tcp | Protocol::Udp | Protocol::Sctp => Ok(Self(protocol)),
            other => Err(format!("found {other}, expected TCP, UDP or SCTP")),
        }
    }
}

const fn tcp() -> ServiceProtocol {
    ServiceProtocol(Protocol::Tcp)
}

/// A number or a name (core/v1 `ServicePort.targetPort`).
struct Target(TargetPort);

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl Visitor<'_> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 1 to 65535 or the name of a port")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Target, E> {
        match u16::try_from(number) {
            Ok(number @ 1..) => Ok(Target(TargetPort::Number(number))),
            _ => Err(E::custom(format_args!("found {number}, expected a whole number from 1 to 65535"))),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Target, E> {
        self.visit_u64(u64::try_from(number).unwrap_or(0))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Target, E> {
        Ok(Target(TargetPort::Name(name.to_owned())))
    }
}

impl From<ServiceEntry> for Service {
    fn from(entry: ServiceEntry) -> Self {
        let ServiceEntry { namespace, name, cluster_ips, ports, endpoints } = entry;
        let port = |PortEntry { name, port: PortNumber(port), target_port, protocol }| {
            let target = target_port.map_or(TargetPort::Number(port), |Target(target)| target);
            Port { name, port, target, protocol: protocol.0 }
        };
        let endpoint = |EndpointEntry { ip, port }: EndpointEntry| Endpoint {
            ip,
            port: port.map(|PortNumber(port)| port),
        };
        Self {
            namespace,
            name,
            cluster_ips: cluster_ips.0,
            ports: ports.into_iter().map(port).collect(),
            endpoints: endpoints.into_iter().map(endpoint).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use crate::Directory;
    use crate::document::tests::{directory, parse};

    use super::*;

    fn mistake(text: &str) -> String {
        let error = parse(text).unwrap_err();
        error.source().map_or_else(|| error.to_string(), ToString::to_string)
    }

    fn backends(directory: &Directory, address: &str, protocol: Protocol) -> Option<Vec<String>> {
        let service = directory.service(address.parse().unwrap(), protocol)?;
        Some(service.backends.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn services_are_found_by_address_port_and_protocol() {
        let directory = directory(
            "pods:\n\
             - {namespace: kube-system, name: dns-1, ips: [10.244.0.5, fd00::5], ports: [{name: dns, port: 5353, protocol: UDP}]}\n\
             services:\n\
             - namespace: kube-system\n  \
               name: dns\n  \
               clusterIPs: [10.96.0.10, 'fd96::a']\n  \
               ports:\n  \
               - {name: dns, port: 53, targetPort: dns, protocol: UDP}\n  \
               - {name: dns-tcp, port: 53}\n  \
               - {name: metrics, port: 9153, targetPort: 9154}\n  \
               endpoints: [{ip: 10.244.0.5}, {ip: 'fd00::5'}]\n\
             - namespace: shop\n  \
               name: none\n  \
               clusterIPs: [10.96.0.11]\n  \
               ports: [{port: 80}]\n\
             - namespace: shop\n  \
               name: api\n  \
               clusterIPs: ['::ffff:10.96.0.12']\n  \
               ports: [{port: 80, targetPort: http}]\n  \
               endpoints: [{ip: 192.0.2.7, port: 8080}, {ip: 192.0.2.7, port: 8081}]\n",
        );
        assert_eq!(directory.services(), 3);
        for (address, protocol, expected) in [
            ("10.96.0.10:53", Protocol::Udp, Some(vec!["10.244.0.5:5353"])),
            ("[fd96::a]:53", Protocol::Udp, Some(vec!["[fd00::5]:5353"])),
            ("10.96.0.10:53", Protocol::Tcp, Some(vec!["10.244.0.5:53"])),
            ("[::ffff:10.96.0.10]:9153", Protocol::Tcp, Some(vec!["10.244.0.5:9154"])),
            ("10.96.0.10:9153", Protocol::Udp, None),
            ("10.96.0.10:80", Protocol::Tcp, None),
            ("10.96.0.11:80", Protocol::Tcp, Some(vec![])),
            ("10.96.0.12:80", Protocol::Tcp, Some(vec!["192.0.2.7:8080", "192.0.2.7:8081"])),
        ] {
            let expected = expected.map(|backends| backends.into_iter().map(str::to_owned).collect());
            assert_eq!(backends(&directory, address, protocol), expected, "{address} {protocol}");
        }
        let dns = directory.service("10.96.0.10:53".parse().unwrap(), Protocol::Udp).unwrap();
        assert_eq!((&*dns.namespace, &*dns.name), ("kube-system", "dns"));
    }

    #[test]
    fn contradictions_are_named() {
        let service = |name: &str, more: &str| {
            format!("- {{namespace: a, name: {name}, clusterIPs: [10.96.0.1], {more}}}\n")
        };
        for (first, second, expected) in [
            (
                service("b", "ports: [{port: 80}]"),
                service("b", "ports: [{port: 81}]"),
                "service a/b is declared twice",
            ),
            (
                service("b", "ports: [{port: 80}]"),
                service("c", "ports: [{port: 80, protocol: UDP}, {port: 80}]"),
                "services a/b and a/c have the same address 10.96.0.1:80, TCP",
            ),
            (
                service("b", "ports: [{port: 80}], endpoints: [{ip: 10.0.0.1}, {ip: '::ffff:10.0.0.1'}]"),
                String::new(),
                "service a/b has the endpoint 10.0.0.1 twice",
            ),
            (
                service("b", "ports: [{port: 80}, {port: 81}], endpoints: [{ip: 10.0.0.1, port: 8080}]"),
                String::new(),
                "endpoint 10.0.0.1 of service a/b has a port, expected none: the service has several ports, each with a targetPort",
            ),
            (
                service("b", "ports: [{name: web, port: 80, targetPort: http}], endpoints: [{ip: 10.0.0.1}]"),
                String::new(),
                "port web of service a/b has targetPort http, expected a number or the name of a port of the pod at each endpoint: 10.0.0.1 has none of that name",
            ),
        ] {
            assert_eq!(mistake(&format!("services:\n{first}{second}")), expected);
        }
    }

    #[test]
    fn wrong_forms_are_named() {
        let service = |more: &str| format!("services:\n- namespace: a\n  name: b\n  {more}\n");
        for (text, expected) in [
            (
                "services:\n- namespace: a\n  name: b\n  ports: []\n".to_owned(),
                "inventory.yaml:4:3: services[0]: missing field `clusterIPs`",
            ),
            (
                service("clusterIPs: [None]"),
                "inventory.yaml:4:16: services[0].clusterIPs[0]: invalid IP address syntax",
            ),
            (
                service("ports: [{port: 0}]"),
                "inventory.yaml:4:18: services[0].ports[0].port: found 0, expected a whole number from 1 to 65535",
            ),
            (
                service("ports: [{port: 80, targetPort: 70000}]"),
                "inventory.yaml:4:34: services[0].ports[0].targetPort: found 70000, expected a whole number from 1 to 65535",
            ),
            (
                service("ports: [{port: 80, targetPort: [80]}]"),
                "inventory.yaml:4:22: services[0].ports[0].targetPort: found sequence, expected a whole number from 1 to 65535 or the name of a port",
            ),
            (
                service("ports: [{port: 80, protocol: ICMP}]"),
                "inventory.yaml:4:32: services[0].ports[0].protocol: found ICMP, expected TCP, UDP or SCTP",
            ),
            (
                service("endpoints: [{ip: 10.0.0.1, ready: true}]"),
                "inventory.yaml:4:30: services[0].endpoints[0].ready: unknown field `ready`, expected one of ip, port",
            ),
        ] {
            assert_eq!(mistake(&text), expected, "{text}");
        }
    }

    #[test]
    fn limits_are_named() {
        let ports = vec!["{port: 80}"; SERVICE_PORTS_MAX + 1].join(", ");
        let text = format!("services:\n- namespace: a\n  name: b\n  ports: [{ports}]\n");
        let expected = "inventory.yaml:4:10: services[0].ports: found 257 entries, expected at most 256";
        assert_eq!(mistake(&text), expected);
        let service = "- {namespace: a, name: b, clusterIPs: [], ports: []}\n";
        let text = format!("services:\n{}", service.repeat(crate::SERVICES_MAX + 1));
        let expected = "inventory.yaml:2:3: services: found 16385 entries, expected at most 16384";
        assert_eq!(mistake(&text), expected);
    }
}
