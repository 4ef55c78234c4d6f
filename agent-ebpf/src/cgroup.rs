//! Cgroups: their paths at the moment they are made, so that the first process of a container already has its pod.

use agent_common::{CGROUP_PATH_BYTES_MAX, CGROUP_REMOVED, CgroupRecord, Kind};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, count, lose};
use crate::maps::{Scratch, scratch};
use crate::ring::output;
use crate::settings::field;
use crate::task;

/// `hierarchy_id` of the v2 hierarchy (kernel/cgroup/cgroup.c, cgroup_init()); /proc/PID/cgroup shows the same number.
const DEFAULT_HIERARCHY: u32 = 0;

/// proto: `void cgroup_mkdir(struct cgroup *cgrp, const char *path)`
#[btf_tracepoint(function = "cgroup_mkdir")]
pub(crate) fn cgroup_made(ctx: BtfTracePointContext) -> i32 {
    report(&ctx, 0, Scratch::CgroupMade)
}

/// proto: `void cgroup_rmdir(struct cgroup *cgrp, const char *path)`
#[btf_tracepoint(function = "cgroup_rmdir")]
pub(crate) fn cgroup_removed(ctx: BtfTracePointContext) -> i32 {
    report(&ctx, CGROUP_REMOVED, Scratch::CgroupRemoved)
}

#[inline(always)]
fn report(ctx: &BtfTracePointContext, flags: u32, which: Scratch) -> i32 {
    count(Kind::CGROUP, Count::Seen);
    let (cgroup, path): (*const u8, u64) = (ctx.arg(0), ctx.arg(1));
    let root = field!(cgroup, cgroup_root as *const u8);
    if field!(root, cgroup_root_hierarchy as u32) != DEFAULT_HIERARCHY {
        count(Kind::CGROUP, Count::Filtered);
        return 0;
    }
    let current = task::current();
    let cgroup_id = task::cgroup_id(current);
    let Some(buffer) = scratch(which) else {
        lose(Kind::CGROUP, cgroup_id, Count::Dropped);
        return 0;
    };
    // SAFETY: a bounded read to a fixed position of the buffer.
    let written = unsafe {
        let into = buffer.add(size_of::<CgroupRecord>()).cast();
        bpf_probe_read_kernel_str(into, CGROUP_PATH_BYTES_MAX as u32, path as *const _)
    };
    // The closing NUL is not carried.
    let path_bytes = if written <= 0 { 0 } else { (written as usize - 1) & (CGROUP_PATH_BYTES_MAX - 1) };
    let bytes = size_of::<CgroupRecord>() + path_bytes;
    let node = field!(cgroup, cgroup_kn as *const u8);
    let record = buffer.cast::<CgroupRecord>();
    // SAFETY: the scratch buffer is larger than a CgroupRecord.
    unsafe {
        task::write_header(&raw mut (*record).header, Kind::CGROUP, bytes as u32, current, cgroup_id);
        (*record).id = field!(node, kernfs_id as u64);
        (*record).flags = flags;
        (*record).path_bytes = path_bytes as u32;
    }
    output(Kind::CGROUP, cgroup_id, buffer, bytes as u64);
    0
}
