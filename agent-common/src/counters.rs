//! The loss account of one record kind.

/// Counts of one record kind on one CPU. `seen = filtered + emitted + dropped` whenever no program is running.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct KindCount {
    /// The hook fired.
    pub seen: u64,
    /// Not wanted by design.
    pub filtered: u64,
    /// Put into the ring.
    pub emitted: u64,
    /// No room in the ring, or the record could not be made.
    pub dropped: u64,
}

const _: () = assert!(size_of::<KindCount>() == 32);
