//! Community ID, version 1 (github.com/corelight/community-id-spec).

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use watchfire_model::{Icmp, Protocol};

/// The specification's default.
const SEED: u16 = 0;

/// The Community ID of a flow, the same for both of its directions. `icmp` is what an ICMP flow asks for, of the `client`.
/// Empty, as the specification has it, for an ICMP flow of which that is not known.
#[must_use]
pub fn community_id(
    protocol: Protocol,
    client: SocketAddr,
    server: SocketAddr,
    icmp: Option<Icmp>,
) -> String {
    let (mut first, mut second) = match (protocol, icmp) {
        (Protocol::Tcp | Protocol::Udp | Protocol::Sctp, _) => {
            ((octets(client), Some(client.port())), (octets(server), Some(server.port())))
        }
        (Protocol::Icmp | Protocol::Icmpv6, None) => return String::new(),
        (Protocol::Icmp | Protocol::Icmpv6, Some(icmp)) => {
            let counterpart = counterpart(protocol, icmp.icmp_type);
            let second = u16::from(counterpart.unwrap_or(icmp.code));
            let ends = ((octets(client), Some(u16::from(icmp.icmp_type))), (octets(server), Some(second)));
            if counterpart.is_none() {
                // No answer is expected: there is no other direction that would have to give the same.
                return hash(&ends.0, &ends.1, protocol);
            }
            ends
        }
        (Protocol::Other(_), _) => ((octets(client), None), (octets(server), None)),
    };
    if second < first {
        (first, second) = (second, first);
    }
    hash(&first, &second, protocol)
}

/// Address in network order, and port where the protocol has ports. The numerically smaller one goes first.
type End = (Vec<u8>, Option<u16>);

fn hash((first, first_port): &End, (second, second_port): &End, protocol: Protocol) -> String {
    let mut sha1 = Sha1::new();
    sha1.update(SEED.to_be_bytes());
    sha1.update(first);
    sha1.update(second);
    sha1.update([number(protocol), 0]);
    for port in [first_port, second_port].into_iter().flatten() {
        sha1.update(port.to_be_bytes());
    }
    format!("1:{}", STANDARD.encode(sha1.finalize()))
}

fn octets(end: SocketAddr) -> Vec<u8> {
    match end.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

const fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Icmp => 1,
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Icmpv6 => 58,
        Protocol::Sctp => 132,
        Protocol::Other(number) => number,
    }
}

/// The type that answers an ICMP type, or that it answers; stands for a port. The specification takes the pairs of Zeek.
const fn counterpart(protocol: Protocol, icmp_type: u8) -> Option<u8> {
    Some(match (protocol, icmp_type) {
        // Echo, router solicitation, timestamp, information, address mask.
        (Protocol::Icmp, 8) => 0,
        (Protocol::Icmp, 0) => 8,
        (Protocol::Icmp, 10) => 9,
        (Protocol::Icmp, 9) => 10,
        (Protocol::Icmp, 13) => 14,
        (Protocol::Icmp, 14) => 13,
        (Protocol::Icmp, 15) => 16,
        (Protocol::Icmp, 16) => 15,
        (Protocol::Icmp, 17) => 18,
        (Protocol::Icmp, 18) => 17,
        // Echo, multicast listener, router solicitation, neighbour solicitation, node information, home agent.
        (Protocol::Icmpv6, 128) => 129,
        (Protocol::Icmpv6, 129) => 128,
        (Protocol::Icmpv6, 130) => 131,
        (Protocol::Icmpv6, 131) => 130,
        (Protocol::Icmpv6, 133) => 134,
        (Protocol::Icmpv6, 134) => 133,
        (Protocol::Icmpv6, 135) => 136,
        (Protocol::Icmpv6, 136) => 135,
        (Protocol::Icmpv6, 139) => 140,
        (Protocol::Icmpv6, 140) => 139,
        (Protocol::Icmpv6, 144) => 145,
        (Protocol::Icmpv6, 145) => 144,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(protocol: u8, from: &str, to: &str, ports: (u16, u16), expected: &str) {
        let [from, to]: [IpAddr; 2] = [from, to].map(|ip| ip.parse().unwrap());
        let (client, server) = (SocketAddr::new(from, ports.0), SocketAddr::new(to, ports.1));
        let id = community_id(protocol.into(), client, server, None);
        assert_eq!(id, expected, "{protocol} {client} {server}");
        assert_eq!(community_id(protocol.into(), server, client, None), expected, "the other way round");
    }

    fn check_icmp(protocol: u8, from: &str, to: &str, (icmp_type, code): (u8, u8), expected: &str) {
        let [client, server] = [from, to].map(|ip| SocketAddr::new(ip.parse().unwrap(), 0));
        let icmp = Icmp { icmp_type, code, id: 7 };
        let id = community_id(protocol.into(), client, server, Some(icmp));
        assert_eq!(id, expected, "{protocol} {client} {server} {icmp_type} {code}");
    }

    #[test]
    fn published_values_with_ports() {
        let v6 = "2001:470:e5bf:dead:4957:2174:e82c:4887";
        for (protocol, from, to, ports, expected) in [
            (6, "128.232.110.120", "66.35.250.204", (34855, 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            (6, v6, "2607:f8b0:400c:c03::1a", (63943, 25), "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
            (6, "10.0.0.1", "10.0.0.2", (10, 11569), "1:SXBGMX1lBOwhhoDrZynfROxnhnM="),
            (17, "192.168.1.52", "8.8.8.8", (54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (132, "192.168.170.8", "192.168.170.56", (7, 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            (132, "192.168.170.8", "192.168.170.56", (7, 80), "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="),
            // Protocols without ports.
            (46, "10.1.12.1", "10.1.12.2", (0, 0), "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
            (46, "10.1.24.4", "10.1.12.1", (0, 0), "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="),
        ] {
            check(protocol, from, to, ports, expected);
        }
    }

    #[test]
    fn published_values_of_icmp() {
        let (near, far) = ("fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea");
        let host = "3ffe:507:0:1:200:86ff:fe05:80da";
        for (protocol, from, to, icmp, expected) in [
            // Echo, either end first.
            (1, "192.168.0.89", "192.168.0.1", (8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (1, "192.168.0.1", "192.168.0.89", (0, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            // Without a counterpart the code counts, and the direction.
            (1, "192.168.0.89", "192.168.0.1", (20, 0), "1:3o2RFccXzUgjl7zDpqmY7yJi8rI="),
            (1, "192.168.0.89", "192.168.0.1", (20, 1), "1:tz/fHIDUHs19NkixVVoOZywde+I="),
            (1, "10.0.0.1", "10.0.0.2", (11, 0), "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
            (58, near, far, (135, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
            (58, far, near, (136, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
            (58, far, near, (135, 0), "1:zavyT/cezQr1fmImYCwYnMXbgck="),
            (58, "3ffe:501:1800:2345::2", host, (3, 0), "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="),
            (58, host, "3ffe:501:0:1001::2", (128, 0), "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
            (58, near, "ff02::2", (133, 0), "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="),
            (58, far, "ff02::1", (134, 0), "1:pkvHqCL88/tg1k4cPigmZXUtL00="),
        ] {
            check_icmp(protocol, from, to, icmp, expected);
        }
    }

    #[test]
    fn icmp_that_is_not_known_has_none() {
        let end = "192.0.2.1:0".parse().unwrap();
        assert_eq!(community_id(Protocol::Icmp, end, end, None), "");
    }
}
