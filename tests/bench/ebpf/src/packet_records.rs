//! Design 3: a record for each packet, put together to flows by the reader.

use aya_ebpf::btf_maps::RingBuf;
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::{btf_map, classifier};
use aya_ebpf::programs::TcContext;

use crate::frame::{self, NEXT};
use crate::tally::{Count, count};

#[btf_map]
static PACKET_RING: RingBuf<[u64; 4], { 8 << 20 }> = RingBuf::new();

/// A packet that comes in at the device.
#[classifier]
pub(crate) fn packet_in(ctx: TcContext) -> i32 {
    tell(&ctx, false)
}

/// A packet that goes out at the device.
#[classifier]
pub(crate) fn packet_out(ctx: TcContext) -> i32 {
    tell(&ctx, true)
}

#[inline(always)]
fn tell(ctx: &TcContext, is_sent: bool) -> i32 {
    let Some((key, bytes)) = frame::read(ctx, is_sent) else { return NEXT };
    count(Count::Seen);
    let Some(mut room) = PACKET_RING.reserve(0) else {
        count(Count::Dropped);
        return NEXT;
    };
    let pair = |at: usize| u64::from(key[at]) | u64::from(key[at + 1]) << 32;
    // SAFETY: a helper call without arguments.
    let time = unsafe { bpf_ktime_get_boot_ns() };
    room.write([time, pair(0), pair(2), u64::from(bytes)]);
    // The kernel wakes the reader where it has caught up.
    room.submit(0);
    NEXT
}
