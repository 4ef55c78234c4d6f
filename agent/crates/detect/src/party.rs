//! Who stands at an end of a flow, by what stays: addresses of pods come and go.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use watchfire_model::{EndpointView, Party, PartyKind};

/// Addresses outside that are one destination, by the length of their prefix: what one operator is given at the least
/// (RFC 6177; the longest prefix that is routed between networks).
const V4_PREFIX: u8 = 24;
const V6_PREFIX: u8 = 48;

const API_SERVER: &str = "kube-apiserver";

/// Who opened a flow. Of the world there is one of each kind of address, since anybody may come from anywhere.
pub(crate) fn source(end: &EndpointView) -> Party {
    party(end, |ip| class(ip).into())
}

/// Who a flow went to. Of the world there is one of each network.
pub(crate) fn destination(end: &EndpointView) -> Party {
    party(end, |ip| match (class(ip), ip) {
        ("public" | "private", IpAddr::V4(_)) => network(ip, V4_PREFIX),
        ("public" | "private", IpAddr::V6(_)) => network(ip, V6_PREFIX),
        (class, _) => class.into(),
    })
}

fn party(end: &EndpointView, range: impl FnOnce(IpAddr) -> Arc<str>) -> Party {
    match (&end.pod, &end.service, end.kind) {
        (Some(pod), ..) => Party::from(pod),
        (None, Some(service), "unresolved") => Party::from(service),
        (None, _, "node") => Party::named(PartyKind::Node, end.detail.clone()),
        (None, _, "world") if end.api_server => Party::named(PartyKind::World, Some(API_SERVER.into())),
        (None, _, "world") => {
            let ip = end.backend.and_then(|backend| backend.address).unwrap_or(end.address).ip();
            Party::named(PartyKind::World, Some(range(ip)))
        }
        _ => Party::named(PartyKind::Unresolved, None),
    }
}

fn network(ip: IpAddr, prefix: u8) -> Arc<str> {
    IpNet::new(ip, prefix).map_or_else(|_| class(ip).into(), |network| network.trunc().to_string().into())
}

/// The kind of an address (IANA special-purpose registries of both families).
fn class(ip: IpAddr) -> &'static str {
    match ip.to_canonical() {
        ip if ip.is_loopback() => "loopback",
        ip if ip.is_multicast() => "multicast",
        IpAddr::V4(ip) if ip.is_link_local() => "link-local",
        IpAddr::V4(ip) if ip.is_private() => "private",
        // Shared between a carrier and its customers (RFC 6598).
        IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64 => "private",
        IpAddr::V6(ip) if ip.is_unicast_link_local() => "link-local",
        IpAddr::V6(ip) if ip.is_unique_local() => "private",
        _ => "public",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(address: &str) -> EndpointView {
        EndpointView {
            address: address.parse().unwrap(),
            pod: None,
            kind: "world",
            detail: None,
            api_server: false,
            names: Vec::new(),
            service: None,
            backend: None,
        }
    }

    #[test]
    fn the_world_has_few_sources_and_its_destinations_are_networks() {
        for (address, as_source, as_destination) in [
            ("203.0.113.9:443", "world public", "world 203.0.113.0/24"),
            ("10.9.8.7:443", "world private", "world 10.9.8.0/24"),
            ("100.64.0.1:443", "world private", "world 100.64.0.0/24"),
            ("169.254.169.254:80", "world link-local", "world link-local"),
            ("127.0.0.1:80", "world loopback", "world loopback"),
            ("224.0.0.251:5353", "world multicast", "world multicast"),
            ("[2001:db8:1:2::3]:443", "world public", "world 2001:db8:1::/48"),
            ("[fd00:1:2:3::4]:443", "world private", "world fd00:1:2::/48"),
            ("[fe80::1]:443", "world link-local", "world link-local"),
        ] {
            let end = world(address);
            assert_eq!(source(&end).to_string(), as_source, "{address}");
            assert_eq!(destination(&end).to_string(), as_destination, "{address}");
        }
    }

    #[test]
    fn others_are_who_they_are() {
        let end = |kind| EndpointView { kind, detail: Some("a".into()), ..world("10.0.0.1:80") };
        assert_eq!(source(&end("node")).to_string(), "node a");
        assert_eq!(source(&end("unresolved")).to_string(), "unresolved");
        let api = EndpointView { api_server: true, ..world("10.0.0.1:443") };
        assert_eq!(destination(&api).to_string(), "world kube-apiserver");
    }
}
