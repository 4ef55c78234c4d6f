//! Addresses that no rule tells from each other.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// Most borders among which an address is looked for: beyond, that takes longer than to judge each address by itself.
const BORDERS_MAX: usize = 1024;

/// How addresses of pods fall into classes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum AddressClasses {
    /// Those between two borders are alike.
    Between(Arc<[Border]>),
    /// Each is one of its own.
    Each,
}

/// The class of an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum AddressClass {
    /// Behind so many borders.
    Behind(u32),
    Itself(IpAddr),
}

/// The first address of a block or the first behind it: whether it is IPv6, and its bits from the left.
type Border = (bool, u128);

impl AddressClasses {
    /// Where nothing but these blocks is asked for.
    pub(crate) fn of(blocks: impl Iterator<Item = IpNet>) -> Self {
        let mut borders = Vec::new();
        for block in blocks {
            let first = border(block.network());
            borders.push(first);
            borders.extend(behind(&block, first));
            if borders.len() > 2 * BORDERS_MAX {
                borders.sort_unstable();
                borders.dedup();
                if borders.len() > BORDERS_MAX {
                    return Self::Each;
                }
            }
        }
        borders.sort_unstable();
        borders.dedup();
        if borders.len() > BORDERS_MAX { Self::Each } else { Self::Between(borders.into()) }
    }

    pub(crate) fn class(&self, address: IpAddr) -> AddressClass {
        match self {
            Self::Between(borders) if borders.is_empty() => AddressClass::Behind(0),
            Self::Between(borders) => {
                let own = border(address.to_canonical());
                let behind = borders.partition_point(|border| *border <= own);
                AddressClass::Behind(u32::try_from(behind).unwrap_or(u32::MAX))
            }
            Self::Each => AddressClass::Itself(address),
        }
    }
}

fn border(address: IpAddr) -> Border {
    match address {
        IpAddr::V4(v4) => (false, u128::from(v4.to_bits()) << 96),
        IpAddr::V6(v6) => (true, v6.to_bits()),
    }
}

/// The first address behind a block; none where it reaches the last of its family.
fn behind(block: &IpNet, first: Border) -> Option<Border> {
    let size = 1_u128.checked_shl(128 - u32::from(block.prefix_len()))?;
    Some((first.0, first.1.checked_add(size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_class_are_in_the_same_blocks() {
        let blocks: Vec<IpNet> = [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "0.0.0.0/0",
            "255.255.255.255/32",
            "::/0",
            "2001:db8::/32",
            "ffff::/16",
        ]
        .iter()
        .map(|block| block.parse().unwrap())
        .collect();
        let classes = AddressClasses::of(blocks.iter().copied());
        let addresses: Vec<IpAddr> = [
            "0.0.0.0",
            "9.255.255.255",
            "10.0.0.0",
            "10.0.255.255",
            "10.1.0.0",
            "10.1.255.255",
            "10.2.0.0",
            "11.0.0.0",
            "255.255.255.254",
            "255.255.255.255",
            "::",
            "2001:db8::1",
            "2001:db9::",
            "ffff::1",
            "::ffff:10.1.2.3",
        ]
        .iter()
        .map(|address| address.parse().unwrap())
        .collect();
        let holding = |address: &IpAddr| -> Vec<bool> {
            blocks.iter().map(|block| block.contains(&address.to_canonical())).collect()
        };
        for one in &addresses {
            for other in &addresses {
                if classes.class(*one) == classes.class(*other) {
                    assert_eq!(holding(one), holding(other), "{one} {other}");
                }
            }
        }
        assert_eq!(classes.class(addresses[4]), classes.class(addresses[14]));
        assert_eq!(AddressClasses::of(std::iter::empty()).class(addresses[0]), AddressClass::Behind(0));
        let many = (0..2000_u32).map(|number| IpNet::from(IpAddr::from((number * 2).to_be_bytes())));
        assert_eq!(AddressClasses::of(many), AddressClasses::Each);
    }
}
