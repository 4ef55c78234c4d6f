//! The loss account of one record kind.

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
