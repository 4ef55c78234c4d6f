//! Whether the agent is alive, and whether it is ready.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A pipeline that has not beaten for this long is not alive.
pub const HEARTBEAT_AGE_SECONDS_MAX: u64 = 30;

/// What has to hold before the agent is ready.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Condition {
    /// The probes that this kernel can carry are attached.
    SensorAttached,
    /// Processes and connections older than the agent are taken in.
    InitialState,
    /// The ledger is open, where there is to be one.
    LedgerOpen,
}

impl Condition {
    /// What does not hold yet when an agent starts.
    pub const AT_START: [Self; 2] = [Self::SensorAttached, Self::InitialState];

    /// The name in the body of /readyz.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SensorAttached => "sensor-attached",
            Self::InitialState => "initial-state",
            Self::LedgerOpen => "ledger-open",
        }
    }
}

/// Shared between the pipeline, which tells, and the HTTP server, which asks.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    beat_ms: AtomicU64,
    missing: Mutex<Vec<(Condition, String)>>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// Alive as of now, ready for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            beat_ms: AtomicU64::new(0),
            missing: Mutex::new(
                Condition::AT_START.map(|condition| (condition, "not yet".to_owned())).into(),
            ),
        }
    }

    /// The pipeline has gone round once more, with or without records.
    pub fn beat(&self) {
        self.beat_ms.fetch_max(self.millis_at(Instant::now()), Ordering::Relaxed);
    }

    /// The condition holds.
    pub fn fulfil(&self, condition: Condition) {
        self.missing().retain(|(missing, _)| *missing != condition);
    }

    /// The condition does not hold, for the given reason.
    pub fn fail(&self, condition: Condition, why: impl Into<String>) {
        let mut missing = self.missing();
        missing.retain(|(missing, _)| *missing != condition);
        missing.push((condition, why.into()));
        missing.sort();
    }

    /// Whether the pipeline still beats; the error says since when it does not.
    pub fn alive(&self) -> Result<(), String> {
        self.alive_at(Instant::now())
    }

    fn alive_at(&self, now: Instant) -> Result<(), String> {
        let age_ms = self.millis_at(now).saturating_sub(self.beat_ms.load(Ordering::Relaxed));
        let age = Duration::from_millis(age_ms).as_secs();
        if age < HEARTBEAT_AGE_SECONDS_MAX {
            return Ok(());
        }
        Err(format!("pipeline: no heartbeat for {age} s (limit {HEARTBEAT_AGE_SECONDS_MAX} s)"))
    }

    /// Whether every condition holds; the error names each that does not, one a line.
    pub fn ready(&self) -> Result<(), String> {
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> =
            missing.iter().map(|(condition, why)| format!("{}: {why}", condition.as_str())).collect();
        Err(lines.join("\n"))
    }

    fn millis_at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    fn missing(&self) -> MutexGuard<'_, Vec<(Condition, String)>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_nothing_is_missing_and_back_again() {
        let health = Health::new();
        assert_eq!(health.ready().unwrap_err(), "sensor-attached: not yet\ninitial-state: not yet");
        health.fulfil(Condition::InitialState);
        health.fail(Condition::SensorAttached, "no BTF");
        assert_eq!(health.ready().unwrap_err(), "sensor-attached: no BTF");
        health.fulfil(Condition::SensorAttached);
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn a_pipeline_that_stopped_beating_is_not_alive() {
        let health = Health::new();
        let after = |seconds| health.started + Duration::from_secs(seconds);
        assert_eq!(health.alive_at(after(HEARTBEAT_AGE_SECONDS_MAX - 1)), Ok(()));
        let text = health.alive_at(after(HEARTBEAT_AGE_SECONDS_MAX)).unwrap_err();
        assert_eq!(text, "pipeline: no heartbeat for 30 s (limit 30 s)");
        health.beat_ms.store(10_000, Ordering::Relaxed);
        assert_eq!(health.alive_at(after(HEARTBEAT_AGE_SECONDS_MAX + 9)), Ok(()));
    }
}
