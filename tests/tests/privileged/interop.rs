//! Real programs on a wire of their own, and those who count independently: what the agent says must be what they say.

mod capture;
mod dns;
mod flood;
mod ja4;
mod named;
mod netfilter;
mod program;
mod roles;
mod shaping;
mod tcp;
mod tls;
mod udp;
mod vanish;
mod wire;

pub(crate) use dns::{in_several_segments as dns_in_segments, with_a_real_resolver as dns};
pub(crate) use flood::{connects, half_open, scan};
pub(crate) use named::verdicts as verdict_by_names;
pub(crate) use netfilter::drops;
pub(crate) use roles::play;
pub(crate) use shaping::{loss, netem};
pub(crate) use tcp::agrees_with_tshark as tcp;
pub(crate) use tls::{in_several_segments as tls_in_segments, with_a_real_server as tls};
pub(crate) use udp::{datagrams, echoes};
pub(crate) use vanish::interface as vanish;

use watchfire_tests::Need;

/// What a wire needs, and more.
macro_rules! wired {
    ($($need:expr),*) => {
        &[
            Need::Root,
            Need::Btf,
            Need::CgroupV2,
            Need::Program("unshare"),
            Need::Program("nsenter"),
            Need::Program("ip"),
            $($need,)*
        ]
    };
}

pub(crate) const WIRED: &[Need] = wired![];
/// Those who count independently.
pub(crate) const CAPTURED: &[Need] = wired![Need::Program("tcpdump"), Need::Program("tshark")];
pub(crate) const ECHOES: &[Need] =
    wired![Need::Program("tcpdump"), Need::Program("tshark"), Need::Program("ping")];
pub(crate) const NAMES: &[Need] = wired![Need::Program("dnsmasq"), Need::Program("dig")];
pub(crate) const ENCRYPTED: &[Need] = wired![
    Need::Program("ss"),
    Need::Program("tcpdump"),
    Need::Program("tshark"),
    Need::Program("nginx"),
    Need::Program("openssl"),
    Need::Program("sha256sum")
];
/// A wire that delays and loses.
pub(crate) const NETEM: &[Need] = wired![
    Need::Program("ss"),
    Need::Program("tc"),
    Need::Runs("unshare --net tc qdisc add dev lo root netem delay 1ms")
];
/// A slow wire, and an end that loses what arrives.
pub(crate) const LOSSY: &[Need] = wired![
    Need::Program("ss"),
    Need::Program("tc"),
    Need::Program("nft"),
    Need::Runs("unshare --net tc qdisc add dev lo root tbf rate 1mbit burst 16kb limit 64kb"),
    Need::Runs("unshare --net nft add table inet t")
];
pub(crate) const WALLED: &[Need] =
    wired![Need::Program("nft"), Need::Runs("unshare --net nft add table inet t")];
/// Forged packets.
pub(crate) const FORGED: &[Need] = wired![Need::Program("ss"), Need::Program("hping3")];
