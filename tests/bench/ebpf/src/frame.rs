//! Reading an Ethernet frame, straight from its memory.

use aya_ebpf::programs::TcContext;

/// `TC_ACT_UNSPEC`: the next program decides.
pub(crate) const NEXT: i32 = -1;

const ETHERNET_BYTES: usize = 14;
/// An IPv4 header without options and the ports behind it.
const NEEDED_BYTES: usize = ETHERNET_BYTES + 20 + 4;
const ETHERTYPE_IPV4: u16 = 0x0800;

/// What tells flows apart: both addresses, both ports, and the protocol with the direction above it.
pub(crate) type Key = [u32; 4];

/// The key of an IPv4 packet and its length, bytes.
#[inline(always)]
pub(crate) fn read(ctx: &TcContext, is_sent: bool) -> Option<(Key, u32)> {
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + NEEDED_BYTES > end {
        return None;
    }
    let at = |offset: usize| (start + offset) as *const u8;
    // SAFETY: within what was just compared with the end of the packet.
    unsafe {
        if u16::from_be(at(12).cast::<u16>().read_unaligned()) != ETHERTYPE_IPV4 {
            return None;
        }
        let protocol = u32::from(*at(ETHERNET_BYTES + 9));
        let source = at(ETHERNET_BYTES + 12).cast::<u32>().read_unaligned();
        let destination = at(ETHERNET_BYTES + 16).cast::<u32>().read_unaligned();
        let ports = at(ETHERNET_BYTES + 20).cast::<u32>().read_unaligned();
        Some(([source, destination, ports, protocol | u32::from(is_sent) << 8], ctx.len()))
    }
}
