//! The processor time of processes, finer than /proc tells it.

use anyhow::{Context as _, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::time::ClockId;
use nix::unistd::Pid;

/// What all threads of a process have taken so far, also those that have ended, nanoseconds.
pub(crate) fn nanoseconds(pid: u32) -> Result<u64> {
    let now = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(pid)?))
        .and_then(ClockId::now)
        .with_context(|| format!("read the processor time of process {pid}"))?;
    Ok(u64::try_from(std::time::Duration::from(now).as_nanos())?)
}

/// What this process and those that it has started and waited for have taken so far, nanoseconds; of the latter in steps of
/// a microsecond.
pub(crate) fn own_and_childrens_ns() -> Result<u64> {
    let children = getrusage(UsageWho::RUSAGE_CHILDREN).context("read the processor time of children")?;
    let children = children.user_time().num_microseconds() + children.system_time().num_microseconds();
    Ok(nanoseconds(std::process::id())? + u64::try_from(children)? * 1000)
}

#[cfg(test)]
mod tests {
    #[test]
    fn of_this_process_and_of_none() {
        let earlier = super::nanoseconds(std::process::id()).unwrap();
        let sum: u64 = (0..100_000).map(std::hint::black_box).sum();
        assert!(sum > 0 && super::nanoseconds(std::process::id()).unwrap() > earlier);
        // No process has it: PID_MAX_LIMIT (include/linux/threads.h).
        assert!(super::nanoseconds(1 << 22).is_err());
    }

    #[test]
    fn what_a_child_took_is_added() {
        let own = super::nanoseconds(std::process::id()).unwrap();
        let status =
            std::process::Command::new("sh").args(["-c", "for i in $(seq 3000); do :; done"]).status();
        assert!(status.unwrap().success());
        let both = super::own_and_childrens_ns().unwrap();
        assert!(both > own && both > super::nanoseconds(std::process::id()).unwrap());
    }
}
