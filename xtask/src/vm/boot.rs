//! Booting a kernel under QEMU and following its serial line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, KernelFiles};
use crate::{packages, process};

/// The longest that a VM may take; emulated processors are about twenty times slower than real ones, and may have to wait
/// for other tests.
const BOOT_LIMIT: Duration = Duration::from_secs(3600);

const END: &str = "@@@ watchfire-vm-end ";

/// What the clock of a VM counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Time, as on this machine.
    Time,
    /// Instructions: each takes a nanosecond, on one processor, and the time of an idle processor is skipped.
    Instructions,
}

impl Clock {
    /// Arguments of the emulator. On one thread in any case: with a thread each, QEMU may run code that the other
    /// processor has just patched as it was before. Kernels patch themselves when the agent attaches, and then panic on
    /// a stale breakpoint.
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Time => &["-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2"],
            // Where there are fast string instructions, kernels clear and copy pages with one that counts each byte.
            Self::Instructions if cfg!(target_arch = "x86_64") => {
                &["-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu", "max,-erms,-fsrm", "-smp", "1"]
            }
            Self::Instructions => {
                &["-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu", "max", "-smp", "1"]
            }
        }
    }

    /// Parameters of the kernel.
    const fn parameters(self) -> &'static str {
        match self {
            // The counter of the processor is the finest clock; it counts a nanosecond, which need not be found out.
            Self::Instructions if cfg!(target_arch = "x86_64") => {
                "clocksource=tsc tsc=reliable tsc_early_khz=1000000"
            }
            Self::Time | Self::Instructions => "",
        }
    }
}

/// How much a VM gets of the processors' time.
#[derive(Clone, Copy)]
pub(crate) enum Share {
    /// As much as any other process.
    Full,
    /// What others leave.
    Rest,
}

/// Boots, passes each line of the serial console on, and returns the exit code of the job.
pub(crate) fn boot(
    share: Share,
    kernel: &KernelFiles,
    clock: Clock,
    parameters: &str,
    initramfs: &Path,
    log: &Path,
    mut show: impl FnMut(&str),
) -> Result<i32> {
    let emulator = setup::tool(&packages::QEMU)?;
    let mut emulator = match share {
        Share::Full => Command::new(emulator),
        Share::Rest => process::when_idle(&emulator),
    };
    // At an oops the kernel stops, and with it the VM: what it did afterwards would say nothing of the agent.
    let parameters = format!("oops=panic panic=-1 mitigations=off {} {parameters}", clock.parameters());
    let console = if cfg!(target_arch = "aarch64") { "ttyAMA0" } else { "ttyS0" };
    let machine = if cfg!(target_arch = "aarch64") { "virt" } else { "q35" };
    emulator
        .args(["-machine", machine, "-m", "1536"])
        .args(clock.arguments())
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", &format!("console={console} quiet loglevel=3 {parameters}")]);
    let mut child = emulator
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", packages::QEMU.program))?;
    let console = child.stdout.take().context("stdout is piped")?;
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                break;
            }
        }
    });
    let mut log_file =
        BufWriter::new(File::create(log).with_context(|| format!("create {}", log.display()))?);
    let deadline = Instant::now() + BOOT_LIMIT;
    let mut code = None;
    let is_late = loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                writeln!(log_file, "{line}")?;
                match line.strip_prefix(END) {
                    Some(rest) => code = rest.split(' ').next().and_then(|code| code.parse().ok()),
                    None => show(&line),
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break false,
            Err(mpsc::RecvTimeoutError::Timeout) => break true,
        }
    };
    if is_late {
        child.kill().context("stop the emulator")?;
    }
    child.wait().context("wait for the emulator")?;
    log_file.flush()?;
    match code {
        Some(code) => Ok(code),
        None if is_late => bail!("not finished after {} s; see {}", BOOT_LIMIT.as_secs(), log.display()),
        None => bail!("ended before the job did; see {}", log.display()),
    }
}
