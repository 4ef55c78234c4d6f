//! Messages of ICMP and ICMPv6.

use crate::packet::{self, Packet};

/// Types of RFC 792 and RFC 4443 that ask, and those that answer them.
const ECHO: (u8, u8) = (8, 0);
const TIMESTAMP: (u8, u8) = (13, 14);
const ECHO_V6: (u8, u8) = (128, 129);
/// Neighbour discovery and multicast listeners (RFC 4861, RFC 2710, RFC 3810): the network's own upkeep.
const UPKEEP_V6: core::ops::RangeInclusive<u8> = 130..=137;
const UPKEEP_V6_REPORT: u8 = 143;

/// What tells flows of messages apart.
#[derive(Clone, Copy)]
pub(super) struct Message {
    /// Identifier of an echo; 0 for others.
    pub(super) id: u16,
    /// Type in the upper byte, and code; of an answer those of what it answers.
    pub(super) asked: u16,
    /// Whether it asks.
    pub(super) is_request: bool,
    /// Whether the kernel sends such messages by itself: answers and errors.
    pub(super) is_kernels: bool,
}

impl Message {
    /// None for messages that are no flow.
    #[inline(always)]
    pub(super) fn of(packet: &Packet) -> Option<Self> {
        let [icmp_type, code, _, _, id_high, id_low]: [u8; 6] = packet.read(0)?;
        let is_v6 = packet.transport.protocol == packet::ICMPV6;
        if is_v6 && (UPKEEP_V6.contains(&icmp_type) || icmp_type == UPKEEP_V6_REPORT) {
            return None;
        }
        let pairs = if is_v6 { [ECHO_V6, ECHO_V6] } else { [ECHO, TIMESTAMP] };
        for (request, answer) in pairs {
            if icmp_type == request || icmp_type == answer {
                return Some(Self {
                    id: u16::from_be_bytes([id_high, id_low]),
                    asked: u16::from(request) << 8 | u16::from(code),
                    is_request: icmp_type == request,
                    is_kernels: icmp_type == answer,
                });
            }
        }
        let asked = u16::from(icmp_type) << 8 | u16::from(code);
        Some(Self { id: 0, asked, is_request: true, is_kernels: true })
    }
}
