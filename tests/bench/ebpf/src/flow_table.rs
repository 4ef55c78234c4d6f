//! Design 4: a table of flows in the kernel that each packet is looked up in, swept by the reader.

use aya_ebpf::btf_maps::PerCpuHashMap;
use aya_ebpf::macros::{btf_map, classifier};
use aya_ebpf::programs::TcContext;

use crate::frame::{self, Key, NEXT};
use crate::tally::{Count, count};

/// Packets and bytes of each flow, by CPU.
#[btf_map]
static FLOWS: PerCpuHashMap<Key, [u64; 2], 65536> = PerCpuHashMap::new();

/// A packet that comes in at the device.
#[classifier]
pub(crate) fn flow_in(ctx: TcContext) -> i32 {
    add(&ctx, false)
}

/// A packet that goes out at the device.
#[classifier]
pub(crate) fn flow_out(ctx: TcContext) -> i32 {
    add(&ctx, true)
}

#[inline(always)]
fn add(ctx: &TcContext, is_sent: bool) -> i32 {
    let Some((key, bytes)) = frame::read(ctx, is_sent) else { return NEXT };
    count(Count::Seen);
    if let Some(totals) = FLOWS.get_ptr_mut(key) {
        // SAFETY: the totals of this CPU.
        unsafe {
            (*totals)[0] += 1;
            (*totals)[1] += u64::from(bytes);
        }
    } else if FLOWS.insert(key, [1, u64::from(bytes)], 0).is_err() {
        count(Count::Dropped);
    }
    NEXT
}
