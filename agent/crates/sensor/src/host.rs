//! Facts about this boot of this host that records are read by.

use std::time::Duration;
use std::{fs, io};

use watchfire_model::Timebase;

use crate::cgroup_root::{CgroupRoot, MOUNTS, NoCgroupRoot};

/// Facts about this boot of this host.
#[derive(Clone, Debug)]
pub struct Host {
    /// First 32 bits of the boot id.
    pub boot: u32,
    /// Root of the cgroup v2 hierarchy. Without it connections are not seen, and processes without their cgroup.
    pub cgroup_root: Result<CgroupRoot, NoCgroupRoot>,
    /// Kernel release, as uname(2) tells it.
    pub kernel_release: String,
    /// Wall clock of boot.
    pub timebase: Timebase,
}

/// Why the host could not be described.
#[derive(thiserror::Error, Debug)]
pub enum HostError {
    /// A file of procfs could not be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The boot id has another form than a UUID.
    #[error("boot id \"{0}\" is no UUID")]
    BootId(String),
}

impl Host {
    /// Reads them from procfs and the clocks.
    pub fn read() -> Result<Self, HostError> {
        let boot_id = read("/proc/sys/kernel/random/boot_id")?;
        let boot_id = boot_id.trim();
        let boot = boot_id.get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        Ok(Self {
            boot: boot.ok_or_else(|| HostError::BootId(boot_id.to_owned()))?,
            cgroup_root: CgroupRoot::find(&read(MOUNTS)?),
            kernel_release: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            timebase: timebase(),
        })
    }
}

fn read(path: &'static str) -> Result<String, HostError> {
    fs::read_to_string(path).map_err(|source| HostError::Read { path, source })
}

/// Wall clock of boot, by the clocks as they are now.
#[must_use]
pub fn timebase() -> Timebase {
    Timebase { boot_epoch_ns: boot_epoch_ns() }
}

/// CLOCK_REALTIME minus CLOCK_BOOTTIME. The two are read around each other and the tightest of a few tries taken.
fn boot_epoch_ns() -> i64 {
    let mut best = (i64::MAX, 0);
    for _ in 0..5 {
        let before = clock_ns(libc::CLOCK_BOOTTIME);
        let real = clock_ns(libc::CLOCK_REALTIME);
        let after = clock_ns(libc::CLOCK_BOOTTIME);
        if after - before < best.0 {
            best = (after - before, real - i64::midpoint(before, after));
        }
    }
    best.1
}

/// CLOCK_BOOTTIME now, the clock of kernel records.
#[must_use]
pub fn boot_ns() -> u64 {
    clock_ns(libc::CLOCK_BOOTTIME).cast_unsigned()
}

fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; both clocks exist on every supported kernel.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * Duration::from_secs(1).as_nanos() as i64 + time.tv_nsec
}
