//! Why this kernel throws packets away: `enum skb_drop_reason` (include/net/dropreason-core.h), whose numbers differ between
//! kernels and whose names do not.

use std::collections::BTreeMap;

use agent_common::DROP_REASONS_MAX;

use crate::btf::Btf;

const PREFIX: &str = "SKB_DROP_REASON_";

/// The reasons that say something of the network or of who asks: closed ports, filters, routes, neighbours, room. Left out
/// is what TCP throws away in its ordinary work, such as segments that came twice.
const TOLD: [&str; 38] = [
    "NO_SOCKET",
    "NETFILTER_DROP",
    "SOCKET_FILTER",
    "SOCKET_RCVBUFF",
    "SOCKET_BACKLOG",
    "PROTO_MEM",
    "CPU_BACKLOG",
    "QDISC_DROP",
    "FULL_RING",
    "NOMEM",
    "NEIGH_FAILED",
    "NEIGH_QUEUEFULL",
    "NEIGH_DEAD",
    "IP_RPFILTER",
    "IP_INNOROUTES",
    "IP_OUTNOROUTES",
    "IP_INADDRERRORS",
    "IP_INVALID_SOURCE",
    "IP_INVALID_DEST",
    "IP_LOCAL_SOURCE",
    "IP_LOCALNET",
    "IP_NOPROTO",
    "UNHANDLED_PROTO",
    "IP_CSUM",
    "TCP_CSUM",
    "UDP_CSUM",
    "ICMP_CSUM",
    "PKT_TOO_BIG",
    "PKT_TOO_SMALL",
    "XFRM_POLICY",
    "BPF_CGROUP_EGRESS",
    "TC_INGRESS",
    "TC_EGRESS",
    "XDP",
    "TCP_MD5UNEXPECTED",
    "TCP_MD5FAILURE",
    "TCP_MINTTL",
    "DUP_FRAG",
];

/// Names by number.
#[derive(Clone, Default, Debug)]
pub(crate) struct DropReasons {
    names: BTreeMap<u16, String>,
}

impl DropReasons {
    /// Those of this kernel that are told of; none before 5.17.
    pub(crate) fn of(btf: Option<&Btf>) -> Self {
        let values = btf.and_then(|btf| btf.enum_values("skb_drop_reason")).unwrap_or_default();
        let wanted = |(name, value): (String, u32)| {
            let name = name.strip_prefix(PREFIX)?;
            let value = u16::try_from(value).ok().filter(|&value| usize::from(value) < DROP_REASONS_MAX)?;
            TOLD.contains(&name).then(|| (value, name.to_owned()))
        };
        Self { names: values.into_iter().filter_map(wanted).collect() }
    }

    /// As the kernel programs take them: bit n for reason n.
    pub(crate) fn bits(&self) -> [u64; DROP_REASONS_MAX / 64] {
        let mut bits = [0; DROP_REASONS_MAX / 64];
        for number in self.names.keys() {
            bits[usize::from(number / 64)] |= 1 << (number % 64);
        }
        bits
    }

    /// Whether this kernel gives reasons.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Name of a reason, without its prefix.
    pub(crate) fn name(&self, number: u16) -> String {
        self.names.get(&number).cloned().unwrap_or_else(|| number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_names_its_reasons() {
        let Ok(btf) = Btf::of_running_kernel() else {
            println!("SKIP this_kernel_names_its_reasons: no BTF at {}", crate::btf::VMLINUX);
            return;
        };
        let reasons = DropReasons::of(Some(&btf));
        if reasons.is_empty() {
            println!("SKIP this_kernel_names_its_reasons: it gives none");
            return;
        }
        let (number, _) = reasons.names.iter().find(|(_, name)| *name == "NO_SOCKET").unwrap();
        assert_eq!(reasons.name(*number), "NO_SOCKET");
        assert_ne!(reasons.bits()[usize::from(number / 64)] & 1 << (number % 64), 0);
        assert_eq!(
            reasons.bits().iter().map(|word| word.count_ones() as usize).sum::<usize>(),
            reasons.names.len()
        );
    }

    #[test]
    fn a_kernel_without_types_gives_none() {
        let reasons = DropReasons::of(None);
        assert!(reasons.is_empty());
        assert_eq!(reasons.bits(), [0; 8]);
        assert_eq!(reasons.name(7), "7");
    }
}
