//! The ledger's own time, by which its segments grow old.
//!
//! A wall clock is set ahead by mistake, or by whoever wants evidence to be gone, and it starts in 1970 where nothing keeps it.
//! So age counts time that the ledger saw pass: it goes on where the newest segment's signed manifest says that it was, by
//! `CLOCK_BOOTTIME`, which nobody sets and which goes on while the machine sleeps (`clock_gettime(2)`). Time in which the
//! ledger was not open is not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use watchfire_model::WallTime;

/// Where a ledger takes the time of its segments from.
#[derive(Clone, Default, Debug)]
pub enum Clock {
    /// The machine's clocks.
    #[default]
    System,
    /// Clocks that are set by hand.
    Set(Arc<SetClock>),
}

/// Clocks that are set by hand, for those who try out what happens as time passes.
#[derive(Debug)]
pub struct SetClock {
    wall_ns: AtomicI64,
    since_boot_ns: AtomicU64,
}

impl SetClock {
    /// The wall clock stands at this time, and the machine has just been started.
    #[must_use]
    pub fn at(wall: WallTime) -> Self {
        Self { wall_ns: AtomicI64::new(wall.0), since_boot_ns: AtomicU64::new(0) }
    }

    /// Time passes, for both clocks.
    pub fn pass(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.since_boot_ns.fetch_add(ns, Ordering::Relaxed);
        self.wall_ns.fetch_add(ns.cast_signed(), Ordering::Relaxed);
    }

    /// Sets the wall clock; no time passes.
    pub fn set_wall(&self, wall: WallTime) {
        self.wall_ns.store(wall.0, Ordering::Relaxed);
    }
}

impl Clock {
    pub(crate) fn wall(&self) -> WallTime {
        match self {
            Self::System => wall_now(),
            Self::Set(clock) => WallTime(clock.wall_ns.load(Ordering::Relaxed)),
        }
    }

    fn since_boot_ns(&self) -> i64 {
        match self {
            Self::System => {
                let time = clock_gettime(ClockId::Boottime);
                time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
            }
            Self::Set(clock) => clock.since_boot_ns.load(Ordering::Relaxed).cast_signed(),
        }
    }
}

impl PartialEq for Clock {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::System, Self::System) => true,
            (Self::Set(one), Self::Set(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Clock {}

/// The time of one ledger while it is open.
#[derive(Debug)]
pub(crate) struct LedgerTime {
    clock: Clock,
    begin: WallTime,
    begin_since_boot_ns: i64,
}

impl LedgerTime {
    /// Goes on at `begin`; without one, a ledger begins at the wall clock's time.
    pub(crate) fn new(clock: Clock, begin: Option<WallTime>) -> Self {
        let (begin, begin_since_boot_ns) = (begin.unwrap_or_else(|| clock.wall()), clock.since_boot_ns());
        Self { clock, begin, begin_since_boot_ns }
    }

    pub(crate) fn now(&self) -> WallTime {
        let passed = self.clock.since_boot_ns().saturating_sub(self.begin_since_boot_ns);
        WallTime(self.begin.0.saturating_add(passed))
    }

    pub(crate) fn wall(&self) -> WallTime {
        self.clock.wall()
    }
}

pub(crate) fn wall_now() -> WallTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}
