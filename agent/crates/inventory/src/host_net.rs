//! The host's own network namespace: its inode and its addresses. An IO leaf.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::{fs, io};

/// Most addresses of the host that are kept.
pub const HOST_ADDRESSES_MAX: usize = 4096;

/// The host's own network namespace: that of process 1, which is the host's where the agent sees the host's processes.
/// Some hosts let nobody look at their process 1; process 2 (kthreadd) never leaves the first namespace either. Where
/// neither may be looked at, the agent's own stands for it, which in a container is not the host's.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct HostNet {
    /// Inode number of the namespace.
    pub netns: u32,
    /// Addresses of its interfaces.
    pub addresses: HashSet<IpAddr>,
}

impl HostNet {
    /// Reads both from procfs.
    pub fn read() -> io::Result<Self> {
        let of = |process: &str| Self::of(Path::new(process));
        of("/proc/1").or_else(|_| of("/proc/2")).or_else(|_| of("/proc/self"))
    }

    fn of(process: &Path) -> io::Result<Self> {
        // nsfs inode numbers are 32 bit (include/linux/ns_common.h: `unsigned int inum`).
        let netns = fs::metadata(process.join("ns/net"))?.ino() as u32;
        let mut addresses = local_v4(&fs::read_to_string(process.join("net/fib_trie"))?);
        // Absent where IPv6 is off.
        addresses.extend(local_v6(&fs::read_to_string(process.join("net/if_inet6")).unwrap_or_default()));
        Ok(Self { netns, addresses: addresses.into_iter().take(HOST_ADDRESSES_MAX).collect() })
    }
}

/// Lines such as `|-- 10.0.0.1` are leaves; `/32 host LOCAL` below one says that the address is the host's
/// (net/ipv4/fib_trie.c, `fib_trie_seq_show`).
fn local_v4(fib_trie: &str) -> HashSet<IpAddr> {
    let mut leaf = None;
    let mut addresses = HashSet::new();
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            addresses.extend(leaf.map(IpAddr::V4));
        }
    }
    addresses
}

/// The first field is the address in 32 hexadecimal digits (net/ipv6/addrconf.c, `if6_seq_show`).
fn local_v6(if_inet6: &str) -> HashSet<IpAddr> {
    let digits = if_inet6.lines().filter_map(|line| line.split(' ').next());
    let bits = digits.filter_map(|digits| u128::from_str_radix(digits, 16).ok());
    bits.map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_a_namespace() {
        assert_ne!(HostNet::read().unwrap().netns, 0);
    }

    #[test]
    fn reads_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.9.0.0/24 2 0 2\n        \
                    |-- 10.9.0.0\n           /24 link UNICAST\n        |-- 10.9.0.7\n           /32 host LOCAL\n        \
                    |-- 10.9.0.255\n           /32 link BROADCAST\n";
        assert_eq!(local_v4(trie), HashSet::from(["10.9.0.7".parse().unwrap()]));
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fd000000000000000000000000000002 02 40 00 80     eth0\n";
        let expected = HashSet::from(["::1".parse().unwrap(), "fd00::2".parse().unwrap()]);
        assert_eq!(local_v6(inet6), expected);
        assert_eq!(local_v6(""), HashSet::new());
    }
}
