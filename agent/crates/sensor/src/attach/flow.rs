//! Flows besides TCP connections, what can be read from first bytes, and drops.

use super::{Hook, Probe, Rung};

/// The probe that sees what opens TLS.
pub(crate) const PACKETS: &str = "packets";

pub(super) const PROBES: [Probe; 2] = [
    Probe {
        name: PACKETS,
        purpose: "UDP, ICMP and SCTP flows, DNS, what opens TLS",
        wanted: |options| options.flows.datagrams || options.flows.payloads,
        structs: &[],
        rungs: &[Rung {
            hook: "cgroup/skb + cgroup/sock_release",
            programs: &[
                ("packet_ingress", Hook::CgroupIngress),
                ("packet_egress", Hook::CgroupEgress),
                ("socket_release", Hook::Cgroup),
            ],
        }],
    },
    Probe {
        name: "drops",
        purpose: "packets that the kernel throws away",
        wanted: |options| options.flows.drops,
        structs: &["sk_buff", "net_device", "sock"],
        rungs: &[Rung {
            hook: "tp_btf/kfree_skb",
            programs: &[("packet_dropped", Hook::TpBtfArguments("kfree_skb", 3))],
        }],
    },
];
