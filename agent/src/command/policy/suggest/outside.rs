//! Addresses as blocks, few enough to be read.
//!
//! Up to [`EXACT_MAX`] addresses stand by themselves. More are put together by their /24 (/64), and if more than
//! [`BLOCKS_MAX`] blocks come of that, by their /16 (/48); a block with one address in it stays that address, and none is
//! widened over the address of a pod or node. If there are still too many, the addresses are taken to be anybody's: all of
//! the family, without the private ranges. Private and public addresses are put together apart, and of private ones there is
//! no last step.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Most addresses that stand by themselves.
pub(super) const EXACT_MAX: usize = 4;
/// Most blocks.
pub(super) const BLOCKS_MAX: usize = 8;

/// Ranges of addresses that are nobody's on the internet (RFC 1918, 6598, 3927; 4193, 4291).
const PRIVATE_V4: [([u8; 4], u8); 5] = [
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 168, 0, 0], 16),
];
const PRIVATE_V6: [(u16, u8); 2] = [(0xfc00, 7), (0xfe80, 10)];

/// Addresses that a rule names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Outside {
    Block(IpNet),
    /// All public addresses of a family.
    Everyone {
        v6: bool,
    },
}

impl Outside {
    /// The block, and what is left out of it.
    pub(super) fn block(&self) -> (IpNet, Vec<IpNet>) {
        match self {
            Self::Block(block) => (*block, Vec::new()),
            Self::Everyone { v6 } => (everything(*v6), private(*v6)),
        }
    }
}

fn everything(v6: bool) -> IpNet {
    if v6 { IpNet::V6(Ipv6Net::default()) } else { IpNet::V4(Ipv4Net::default()) }
}

fn private(v6: bool) -> Vec<IpNet> {
    if v6 {
        let block = |(start, length): (u16, u8)| {
            Ipv6Net::new(Ipv6Addr::new(start, 0, 0, 0, 0, 0, 0, 0), length).ok().map(IpNet::V6)
        };
        return PRIVATE_V6.into_iter().filter_map(block).collect();
    }
    let block =
        |(start, length): ([u8; 4], u8)| Ipv4Net::new(Ipv4Addr::from(start), length).ok().map(IpNet::V4);
    PRIVATE_V4.into_iter().filter_map(block).collect()
}

/// Blocks that have all the addresses. `is_inside` says whether a block has the address of a pod or node.
pub(super) fn aggregate(addresses: &[IpAddr], is_inside: &dyn Fn(&IpNet) -> bool) -> Vec<Outside> {
    let mut parts: BTreeMap<(bool, bool), Vec<IpAddr>> = BTreeMap::new();
    for address in addresses {
        let v6 = address.is_ipv6();
        let is_private = private(v6).iter().any(|block| block.contains(address));
        parts.entry((v6, is_private)).or_default().push(*address);
    }
    let mut blocks = Vec::new();
    for ((v6, is_private), mut addresses) in parts {
        addresses.sort_unstable();
        addresses.dedup();
        blocks.extend(part(&addresses, v6, is_private, is_inside));
    }
    blocks
}

fn part(
    addresses: &[IpAddr],
    v6: bool,
    is_private: bool,
    is_inside: &dyn Fn(&IpNet) -> bool,
) -> Vec<Outside> {
    let exact = || addresses.iter().map(|address| IpNet::from(*address)).collect::<Vec<_>>();
    let steps: [u8; 2] = if v6 { [64, 48] } else { [24, 16] };
    let mut blocks = exact();
    if addresses.len() > EXACT_MAX {
        for length in steps {
            blocks = widened(addresses, length, is_inside);
            if blocks.len() <= BLOCKS_MAX {
                break;
            }
        }
        if blocks.len() > BLOCKS_MAX && !is_private {
            return vec![Outside::Everyone { v6 }];
        }
    }
    blocks.into_iter().map(Outside::Block).collect()
}

fn widened(addresses: &[IpAddr], length: u8, is_inside: &dyn Fn(&IpNet) -> bool) -> Vec<IpNet> {
    let mut by_block: BTreeMap<IpNet, Vec<IpAddr>> = BTreeMap::new();
    for address in addresses {
        let block =
            IpNet::new(*address, length).map_or_else(|_| IpNet::from(*address), |block| block.trunc());
        by_block.entry(block).or_default().push(*address);
    }
    let mut blocks = Vec::new();
    for (block, of) in by_block {
        if of.len() == 1 || is_inside(&block) {
            blocks.extend(of.into_iter().map(IpNet::from));
        } else {
            blocks.push(block);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addresses: impl IntoIterator<Item = String>, pods: &[&str], expected: &[&str]) {
        let addresses: Vec<IpAddr> = addresses.into_iter().map(|text| text.parse().unwrap()).collect();
        let pods: Vec<IpAddr> = pods.iter().map(|text| text.parse().unwrap()).collect();
        let blocks = aggregate(&addresses, &|block| pods.iter().any(|pod| block.contains(pod)));
        let shown: Vec<_> = blocks.iter().map(|one| one.block().0.to_string()).collect();
        assert_eq!(shown, expected, "{addresses:?}");
        for address in &addresses {
            let has = |one: &Outside| {
                let (block, except) = one.block();
                block.contains(address) && !except.iter().any(|hole| hole.contains(address))
            };
            assert!(blocks.iter().any(has), "{address} is lost");
        }
    }

    #[test]
    fn blocks_are_as_narrow_as_they_can_be_read() {
        let net = |last: std::ops::Range<u8>| last.map(|last| format!("198.51.100.{last}"));
        check(net(1..3), &[], &["198.51.100.1/32", "198.51.100.2/32"]);
        check(net(1..6), &[], &["198.51.100.0/24"]);
        check(net(1..6).chain(["203.0.113.9".to_owned()]), &[], &["198.51.100.0/24", "203.0.113.9/32"]);
        check((0..40).map(|net| format!("203.0.{net}.1")), &[], &["203.0.0.0/16"]);
        check((0..40).map(|net| format!("203.{net}.7.1")), &[], &["0.0.0.0/0"]);
        check(["2001:db8::1".to_owned()], &[], &["2001:db8::1/128"]);
        check((1..20).map(|net| format!("2001:db8:{net}::1")), &[], &["::/0"]);
    }

    #[test]
    fn private_addresses_are_never_everyones() {
        let many = (0..40).map(|net| format!("10.{net}.0.1"));
        let expected: Vec<_> = many.clone().map(|address| format!("{address}/32")).collect();
        check(many, &[], &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn no_block_is_widened_over_a_pod() {
        let addresses = (1..6).map(|last| format!("10.1.2.{last}"));
        let expected: Vec<_> = addresses.clone().map(|address| format!("{address}/32")).collect();
        check(addresses, &["10.1.2.200"], &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
