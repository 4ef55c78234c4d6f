//! The loss account of one record kind.

use crate::header::KIND_COUNT;

/// Counts of one record kind on one CPU. `seen = filtered + suppressed + emitted + dropped` whenever no program is running.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct KindCount {
    /// The hook fired.
    pub seen: u64,
    /// Not wanted by design.
    pub filtered: u64,
    /// Wanted, but its cgroup has used up its rate.
    pub suppressed: u64,
    /// Put into a ring.
    pub emitted: u64,
    /// No room in the ring, or the record could not be made.
    pub dropped: u64,
}

const _: () = assert!(size_of::<KindCount>() == 40);

/// Key of the map of losses: whose records of which kind were lost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct LossKey {
    /// Cgroup v2 id.
    pub cgroup_id: u64,
    /// Record kind.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
}

/// What one cgroup lost of one kind since the agent last took the entry away.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Loss {
    /// No room in the ring.
    pub dropped: u64,
    /// Over the cgroup's rate.
    pub suppressed: u64,
    /// CLOCK_BOOTTIME of the first loss, nanoseconds.
    pub first_ns: u64,
    /// CLOCK_BOOTTIME of the latest loss, nanoseconds.
    pub last_ns: u64,
}

const _: () = assert!(size_of::<LossKey>() == 16 && size_of::<Loss>() == 32);

/// What the reader of the rings keeps in the kernel, so that the account goes on where it ended when an agent is followed
/// by another. The kernel side only has room for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Ledger {
    /// CLOCK_BOOTTIME of the last entry, nanoseconds; 0 for none.
    pub written_ns: u64,
    /// Records up to this time are told from the rings of the programs before these; 0 where there were none.
    pub since_ns: u64,
    /// Number of links that were pinned.
    pub links: u32,
    /// 1 where the agent that wrote it has ended in order, so that all it handed on was written as well.
    pub ended: u32,
    /// By kind.
    pub kinds: [LedgerEntry; KIND_COUNT],
}

/// One kind's part of a [`Ledger`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct LedgerEntry {
    /// Taken out of the rings and handed on.
    pub received: u64,
    /// Taken out of the rings by an agent that ended before it handed them on.
    pub lost_at_restart: u64,
    /// Of [`KindCount::dropped`], what was told.
    pub dropped_told: u64,
    /// Of [`KindCount::suppressed`], what was told.
    pub suppressed_told: u64,
}

const _: () = assert!(size_of::<LedgerEntry>() == 32 && size_of::<Ledger>() == 24 + KIND_COUNT * 32);
