//! Limits on floods: each cgroup may tell so much of each kind, and no more.

use agent_common::{Kind, LossKey};
use aya_ebpf::btf_maps::{Array, LruHashMap};
use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_map_update_elem};
use aya_ebpf::macros::btf_map;

use crate::account::{Count, count, lose};
use crate::maps::{lookup, slot};
use crate::settings::{RATE_BURST_NS, RATE_INTERVAL_NS};
use crate::task::{self, Task};

/// Buckets kept; the one that was not used for longest makes room.
const BUCKETS_MAX: usize = 16384;

/// Part of a burst that a cgroup may put into the priority ring at once: as many records as fit there whatever they hold.
const PRIORITY_BURST_PART: u64 = 16;

/// When the bucket will be full again, CLOCK_BOOTTIME in nanoseconds: the generic cell rate algorithm (ITU-T I.371), which
/// needs one number a bucket.
#[btf_map]
static BUCKETS: LruHashMap<LossKey, u64, BUCKETS_MAX> = LruHashMap::new();

/// Thread group id of the agent that reads the rings.
#[btf_map]
static AGENT: Array<u32, 1> = Array::new();

/// Whether this is the agent itself, whose own work is not told: a log line about it would be the next event.
#[inline(always)]
pub(crate) fn is_agent(pid: u32) -> bool {
    // SAFETY: a value of the map.
    slot(&raw const AGENT, 0).is_some_and(|agent| unsafe { *agent.cast::<u32>() == pid })
}

/// A process has ended: the agent's id may soon be another's. With pinned programs there may be no agent for a while.
#[inline(always)]
pub(crate) fn forget_agent(pid: u32) {
    if is_agent(pid)
        && let Some(agent) = slot(&raw const AGENT, 0)
    {
        // SAFETY: a value of the map.
        unsafe { *agent.cast::<u32>() = 0 };
    }
}

/// Whether a wanted record of `task` may be made. What may not is counted here, so that `seen` must have been before.
#[inline(always)]
pub(crate) fn admits(kind: Kind, task: Task, cgroup_id: u64) -> bool {
    if is_agent(task::tgid(task)) && !kind.is_priority() {
        count(kind, Count::Filtered);
        return false;
    }
    has_room(kind, cgroup_id)
}

/// As [`admits`], of what the agent itself may cause as well.
#[inline(always)]
pub(crate) fn has_room(kind: Kind, cgroup_id: u64) -> bool {
    if kind.is_unlimited() || has_token(kind, cgroup_id) {
        return true;
    }
    lose(kind, cgroup_id, Count::Suppressed);
    false
}

#[inline(always)]
fn has_token(kind: Kind, cgroup_id: u64) -> bool {
    let interval = RATE_INTERVAL_NS.load();
    if interval == 0 {
        return true;
    }
    let key = LossKey { cgroup_id, kind: u32::from(kind.0), reserved: 0 };
    // SAFETY: a helper call without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let Some(full_at) = lookup(&raw const BUCKETS, &raw const key) else {
        let first = now + interval;
        // SAFETY: key and value are on the stack.
        unsafe {
            let map = (&raw const BUCKETS).cast_mut().cast();
            bpf_map_update_elem(map, (&raw const key).cast(), (&raw const first).cast(), 0);
        }
        return true;
    };
    let full_at = full_at.cast::<u64>();
    // Calls that fail can be repeated as fast as a loop runs, and must not fill the ring that the others' processes are
    // told in.
    let burst =
        if kind.is_priority() { RATE_BURST_NS.load() / PRIORITY_BURST_PART } else { RATE_BURST_NS.load() };
    // SAFETY: a value of the map. Two CPUs at once may spend one token for two records; the limit is no promise.
    unsafe {
        let mut at = *full_at;
        if at < now {
            at = now;
        }
        if at - now > burst {
            return false;
        }
        *full_at = at + interval;
    }
    true
}
