//! What shipping counts; read by whoever shows it.

use watchfire_ledger::Count;

/// Counters since the start, and how things stand.
#[derive(Default, Debug)]
pub struct ShipStats {
    /// Objects that were written.
    pub uploaded: Count,
    /// Objects that were there already with the same content.
    pub present: Count,
    /// Objects that are there with another content; they stay.
    pub conflicts: Count,
    /// Files that are not what their manifest says; they are not shipped.
    pub damaged: Count,
    /// Attempts at a segment that failed and are repeated.
    pub failed: Count,
    /// Bytes of objects that were written.
    pub shipped_bytes: Count,
    /// Segments that are in the store as a whole.
    pub shipped_segments: Count,
    /// Sealed segments that are not in the store yet.
    pub unshipped_segments: Count,
    /// Their bytes.
    pub unshipped_bytes: Count,
    /// When the oldest of them was sealed, seconds since 1970; 0 where there is none.
    pub oldest_unshipped: Count,
    /// When a segment was last shipped, seconds since 1970; 0 before the first.
    pub last_success: Count,
}
