//! IP blocks.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::mix::Mix;

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

/// A block, or an address as one of this length: family, length and the bits of the prefix, which are the first.
pub(crate) type BlockKey = (bool, u8, u128);

pub(crate) fn key_of(address: IpAddr, length: u8) -> BlockKey {
    let bits = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    (address.is_ipv6(), length, bits & !u128::MAX.checked_shr(length.into()).unwrap_or(0))
}

/// Many blocks, in which an address is looked for once for each of their lengths.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct BlockSet {
    blocks: HashSet<BlockKey, Mix>,
    lengths: BTreeSet<(bool, u8)>,
}

impl FromIterator<IpNet> for BlockSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(blocks: I) -> Self {
        let blocks: HashSet<_, Mix> =
            blocks.into_iter().map(|block| key_of(block.addr(), block.prefix_len())).collect();
        let lengths = blocks.iter().map(|(is_v6, length, _)| (*is_v6, *length)).collect();
        Self { blocks, lengths }
    }
}

impl BlockSet {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let own_family = self.lengths.iter().filter(|(is_v6, _)| *is_v6 == address.is_ipv6());
        own_family.into_iter().any(|(_, length)| self.blocks.contains(&key_of(address, *length)))
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
