//! Pods, and what pods of one template share.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::Serialize;

use crate::{ContainerPort, Labels};

/// What pods have in common that were made alike. Two pods with equal identities share one, so that what is derived from
/// it is derived once, and a thousand replicas cost little more than one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Identity {
    /// Namespace name.
    pub namespace: Arc<str>,
    /// Pod labels.
    pub labels: Labels,
    /// Ports of all containers, native sidecars included.
    pub ports: Vec<ContainerPort>,
    /// Whether the pods share their node's network namespace.
    pub host_network: bool,
    /// `spec.serviceAccountName`
    pub service_account: Option<Arc<str>>,
    /// What the pods belong to.
    pub workload: Option<WorkloadRef>,
}

/// The object that a pod belongs to, as people know it: the Deployment and not its ReplicaSet.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct WorkloadRef {
    /// Kind, e.g. `Deployment`.
    pub kind: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

/// A pod, as far as identity and policy need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    /// Pod name.
    pub name: Box<str>,
    /// `metadata.uid`; none where the source does not tell it.
    pub uid: Option<PodUid>,
    /// What it shares with others.
    pub identity: Arc<Identity>,
    /// `status.podIPs`. For a host-network pod these are its node's addresses.
    pub ips: PodIps,
    /// `spec.nodeName`. Behind a thin pointer, since there may be as many pods as in a whole cluster.
    pub node: Option<Arc<String>>,
}

impl Pod {
    /// `namespace/name`
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.identity.namespace, self.name)
    }
}

/// A pod's `metadata.uid`. Kubernetes makes them as UUIDs (RFC 9562); kubelet gives static pods a hash of as many digits
/// (kubernetes `pkg/kubelet/config/common.go`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodUid([u8; 16]);

impl PodUid {
    /// From its 32 hexadecimal digits, with dashes where UUIDs have them, or without any.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const DASHES: [usize; 4] = [8, 13, 18, 23];
        let has_dashes = match text.len() {
            32 => false,
            36 => true,
            _ => return None,
        };
        let mut bytes = [0; 16];
        let mut digits = 0;
        for (at, byte) in text.bytes().enumerate() {
            if has_dashes && DASHES.contains(&at) {
                if byte != b'-' {
                    return None;
                }
                continue;
            }
            let digit = char::from(byte).to_digit(16)?;
            bytes[digits / 2] = bytes[digits / 2] << 4 | digit as u8;
            digits += 1;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PodUid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Addresses of a pod: the API admits one of each family (kubernetes `pkg/apis/core/validation`, `podIPs`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PodIps {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl PodIps {
    /// The addresses, v4 first.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// The v4 address.
    #[must_use]
    pub const fn v4(&self) -> Option<Ipv4Addr> {
        self.v4
    }

    /// The v6 address.
    #[must_use]
    pub const fn v6(&self) -> Option<Ipv6Addr> {
        self.v6
    }

    /// Whether it is one of them. A v4 address mapped into v6 is the v4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.iter().any(|own| own == address)
    }
}

impl FromIterator<IpAddr> for PodIps {
    /// Takes the first of each family.
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let mut ips = Self::default();
        for address in addresses {
            match address.to_canonical() {
                IpAddr::V4(address) => _ = ips.v4.get_or_insert(address),
                IpAddr::V6(address) => _ = ips.v6.get_or_insert(address),
            }
        }
        ips
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_uuids_or_hashes() {
        const UID: &str = "0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b";
        assert_eq!(PodUid::parse(UID).unwrap().to_string(), UID);
        assert_eq!(PodUid::parse("0aa1e9f01c2d4e5f8a9b0c1d2e3f4a5b"), PodUid::parse(UID));
        for wrong in ["", "x", &UID[1..], &UID.replace('-', "x"), "0aa1e9f0-1c2d-4e5f-8a9b_0c1d2e3f4a5b"] {
            assert_eq!(PodUid::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_address_of_each_family() {
        let ips: PodIps =
            ["::ffff:10.0.0.1", "10.0.0.2", "fd00::1"].map(|ip| ip.parse().unwrap()).into_iter().collect();
        assert_eq!(ips.iter().map(|ip| ip.to_string()).collect::<Vec<_>>(), ["10.0.0.1", "fd00::1"]);
        assert!(
            ips.contains("::ffff:10.0.0.1".parse().unwrap()) && !ips.contains("10.0.0.2".parse().unwrap())
        );
    }

    #[test]
    fn a_pod_is_small() {
        assert!(size_of::<Pod>() <= 72, "{}", size_of::<Pod>());
    }
}
