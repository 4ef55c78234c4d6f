//! `vm`: the agent and its tests on other kernels, in emulated machines.

mod boot;
mod initramfs;
mod machine;

use std::cmp::Reverse;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::build;
use crate::packages::{KERNELS, Kernel};
use crate::process::{self, Step};
use crate::tally::Tally;
use crate::test_binaries::{self, TestBinary};

pub(crate) use self::boot::{Clock, Share};
pub(crate) use self::machine::Machine;

/// Tests that the VM tier leaves to the host: they say nothing of the kernel, or load the machine for longer than an
/// emulated one has time. Parts of their names.
const LEFT_TO_THE_HOST: [&str; 20] = [
    "alerts_",
    "api_",
    "bad_policy_object",
    "families_one_at_a_time",
    "flood_",
    "full_disk",
    // Its wire is made by iproute2; busybox's ip(8) cannot.
    "interface_that",
    // Its real servers, clients and captures are no static programs.
    "interop_",
    "metrics_health",
    "names_address",
    "names_hanging",
    "names_manifests",
    "observe_shows",
    "pin_",
    "port_in_use",
    "scraped_",
    "ship_",
    "storm_",
    "kill_9",
    "who_",
];

/// Arguments of `vm`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which kernel to boot; all are those that are supported
    #[arg(long, default_value = "all", value_parser = PossibleValuesParser::new(kernel_names()))]
    kernel: String,
    /// Run only tests whose name contains this
    #[arg(long, conflicts_with = "command")]
    filter: Option<String>,
    /// A shell command to run instead of the tests; the agent is /watchfire
    #[arg(last = true)]
    command: Vec<String>,
}

fn kernel_names() -> Vec<&'static str> {
    KERNELS.iter().map(|kernel| kernel.name).chain(["all"]).collect()
}

pub(crate) fn run(args: &Args) -> Result<()> {
    build::kernel_programs()?;
    let agent = build::agent(false)?;
    let wanted = KERNELS.iter().filter(|kernel| match args.kernel.as_str() {
        "all" => kernel.is_supported,
        name => kernel.name == name,
    });
    if args.command.is_empty() {
        let mut tally = Tally::default();
        let suites = test_binaries::build()?;
        for kernel in wanted {
            let whole = Kernel { left_out: &[], ..*kernel };
            tests_on(whole, Share::Full, &suites, &agent, args.filter.as_deref(), &Mutex::new(&mut tally));
        }
        return tally.close();
    }
    for kernel in wanted {
        let machine = Machine::prepare(*kernel, Clock::Time, &agent, &[], &args.command.join(" "))?;
        let code = machine.boot(Share::Full, |line| println!("{line}"))?;
        if code != 0 {
            bail!("the command ended with {code} on Linux {}", machine.kernel.version);
        }
    }
    Ok(())
}

/// Runs the privileged suites on every kernel of the matrix: as many machines at once as there are processors, since each
/// is emulated on one. They take what time the processors have left, since other tiers may run beside them.
pub(crate) fn tier(suites: &[TestBinary], agent: &Path, filter: Option<&str>) -> Tally {
    let mut kernels: Vec<Kernel> = KERNELS.into_iter().filter(|kernel| kernel.is_supported).collect();
    // Those with the most tests first, so that none is left to the end by itself.
    kernels.sort_by_cached_key(|kernel| Reverse(count(kernel, suites, filter)));
    let at_once = thread::available_parallelism().map_or(1, NonZero::get);
    let mut all = Tally::default();
    let tally = Mutex::new(&mut all);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..at_once.min(kernels.len()) {
            scope.spawn(|| {
                while let Some(kernel) = kernels.get(next.fetch_add(1, Ordering::Relaxed)) {
                    tests_on(*kernel, Share::Rest, suites, agent, filter, &tally);
                }
            });
        }
    });
    all
}

/// How many tests a kernel has to run.
fn count(kernel: &Kernel, suites: &[TestBinary], filter: Option<&str>) -> usize {
    let suites = suites.iter().filter(|suite| suite.is_privileged());
    suites
        .map(|suite| {
            let mut list = suite.command(&suite.path);
            list.arg("--list").args(selection(filter, kernel.left_out));
            process::read(&mut list).unwrap_or_default().lines().count()
        })
        .sum()
}

/// Which tests, as a suite's command line says it.
fn selection<'a>(filter: Option<&'a str>, left_out: &[&'a str]) -> Vec<&'a str> {
    let left_out = LEFT_TO_THE_HOST.iter().chain(left_out).flat_map(|name| ["--skip", name]);
    left_out.chain(filter).collect()
}

fn tests_on(
    kernel: Kernel,
    share: Share,
    suites: &[TestBinary],
    agent: &Path,
    filter: Option<&str>,
    tally: &Mutex<&mut Tally>,
) {
    let tally = || tally.lock().unwrap_or_else(PoisonError::into_inner);
    let tier = format!("vm {}", kernel.name);
    let suites: Vec<&TestBinary> = suites.iter().filter(|suite| suite.is_privileged()).collect();
    let job = job(suites.len(), filter, kernel.left_out);
    // A kernel or an emulator that cannot be had is no fault of the code under test.
    let suites: Vec<(String, &Path)> = suites
        .iter()
        .enumerate()
        .map(|(index, suite)| (format!("suite{index}"), suite.path.as_path()))
        .collect();
    let machine = match Machine::prepare(kernel, Clock::Time, agent, &suites, &job) {
        Ok(machine) => machine,
        Err(error) => return tally().skip(&format!("{tier} (whole tier)"), &format!("{error:#}")),
    };
    let _step = Step::new(&format!("Linux {} in a VM", machine.kernel.version));
    let mut failed = false;
    let ended = machine.boot(share, |line| {
        println!("  {tier}: {line}");
        failed |= line.ends_with("FAILED");
        tally().line(&tier, line);
    });
    match ended {
        Ok(code) if code != 0 && !failed => tally().fail(&tier, &format!("ended with {code}")),
        Ok(_) => {}
        Err(error) => tally().fail(&tier, &format!("{error:#}")),
    }
}

/// What the VM does: how the agent sees this kernel, then each suite.
fn job(suites: usize, filter: Option<&str>, left_out: &[&str]) -> String {
    let mut job = String::from(
        "echo \"Linux $(uname -r)\"\n/watchfire doctor\necho \"doctor ended with $?\"\ncode=0\n",
    );
    for index in 0..suites {
        let selection: String = selection(filter, left_out).iter().map(|word| format!(" '{word}'")).collect();
        // The serial console looks like a terminal, and colours would hide results from the count.
        job.push_str(&format!("/suite{index} --color never{selection} || code=$?\n"));
    }
    job.push_str("exit $code\n");
    job
}
