//! IP blocks.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// Prefix length under which v4-mapped IPv6 addresses stand (RFC 4291, 2.5.5.2).
const V4_MAPPED_BITS: u8 = 96;

/// A block with its host bits masked and a v4-mapped one turned into the IPv4 block it means.
pub(crate) fn canonical(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= V4_MAPPED_BITS => v6
            .addr()
            .to_ipv4_mapped()
            .and_then(|v4| Ipv4Net::new(v4, v6.prefix_len() - V4_MAPPED_BITS).ok())
            .map_or(net, IpNet::V4),
        _ => net,
    }
    .trunc()
}

/// Reads `address/bits`.
pub(crate) fn parse_cidr(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().map(canonical)
}

/// Whether `inner` lies in `outer` and is smaller than it.
pub(crate) fn strictly_inside(inner: &IpNet, outer: &IpNet) -> bool {
    outer.contains(inner) && inner.prefix_len() > outer.prefix_len()
}

/// `cidr` without the blocks of `except`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    pub(crate) cidr: IpNet,
    pub(crate) except: Box<[IpNet]>,
}

impl Block {
    /// IPv4 and IPv6 never match each other; a v4-mapped address is an IPv4 address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.cidr.contains(&address) && !self.except.iter().any(|except| except.contains(&address))
    }
}

/// Whether the address never leaves the host it is used on.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6 == Ipv6Addr::LOCALHOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cidr: &str, except: &[&str], address: &str, expect: bool) {
        let parse = |text: &str| parse_cidr(text).unwrap();
        let block = Block { cidr: parse(cidr), except: except.iter().map(|text| parse(text)).collect() };
        assert_eq!(
            block.contains(address.parse().unwrap()),
            expect,
            "{address} in {cidr} without {except:?}"
        );
    }

    #[test]
    fn containment() {
        check("10.0.0.0/8", &[], "10.1.2.3", true);
        check("10.0.0.0/8", &[], "11.1.2.3", false);
        check("10.0.0.5/8", &[], "10.9.9.9", true);
        check("10.0.0.0/8", &["10.1.0.0/16"], "10.1.2.3", false);
        check("10.0.0.0/8", &["10.1.0.0/16"], "10.2.2.3", true);
        check("0.0.0.0/0", &[], "::1", false);
        check("::/0", &[], "10.0.0.1", false);
        check("::/0", &[], "::ffff:10.0.0.1", false);
        check("10.0.0.0/8", &[], "::ffff:10.0.0.1", true);
        check("::ffff:10.0.0.0/104", &[], "10.7.0.1", true);
        check("2001:db8::/32", &["2001:db8:1::/48"], "2001:db8:2::1", true);
        check("2001:db8::/32", &["2001:db8:1::/48"], "2001:db8:1::1", false);
        check("192.0.2.7/32", &[], "192.0.2.7", true);
    }

    #[test]
    fn what_is_no_cidr() {
        for text in ["", "10.0.0.1", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "a/8", "::/129", "10.0.0.0/8 "]
        {
            assert_eq!(parse_cidr(text), None, "{text:?}");
        }
    }
}
