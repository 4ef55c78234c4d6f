//! `vm`: the agent and its tests on other kernels, in emulated machines.

mod boot;
mod initramfs;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail};
use clap::builder::PossibleValuesParser;

use crate::packages::{self, KERNELS, Kernel};
use crate::process::Step;
use crate::setup::{self, KernelFiles};
use crate::tally::Tally;
use crate::test_binaries::{self, TestBinary};
use crate::{build, paths, process};
use initramfs::Initramfs;

/// Programs of this machine that tests in VMs use where they are there: busybox's own know less.
const HOST_PROGRAMS: [&str; 2] = ["tc", "ss"];

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
            tests_on(whole, &suites, &agent, args.filter.as_deref(), &Mutex::new(&mut tally));
        }
        return tally.close();
    }
    for kernel in wanted {
        let machine = Machine::prepare(*kernel, &agent, &[], &args.command.join(" "))?;
        let code = machine.boot(|line| println!("{line}"))?;
        if code != 0 {
            bail!("the command ended with {code} on Linux {}", machine.kernel.version);
        }
    }
    Ok(())
}

/// Runs the privileged suites on every kernel of the matrix: as many machines at once as there are processors, since each
/// is emulated on one.
pub(crate) fn tier(suites: &[TestBinary], agent: &Path, filter: Option<&str>, tally: &mut Tally) {
    let mut kernels: Vec<Kernel> = KERNELS.into_iter().filter(|kernel| kernel.is_supported).collect();
    // Those that take the longest first, so that none is left to the end by itself.
    kernels.sort_by_key(|kernel| kernel.left_out.len());
    let at_once = thread::available_parallelism().map_or(1, NonZero::get);
    let tally = Mutex::new(tally);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..at_once.min(kernels.len()) {
            scope.spawn(|| {
                while let Some(kernel) = kernels.get(next.fetch_add(1, Ordering::Relaxed)) {
                    tests_on(*kernel, suites, agent, filter, &tally);
                }
            });
        }
    });
}

fn tests_on(
    kernel: Kernel,
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
    let machine = match Machine::prepare(kernel, agent, &suites, &job) {
        Ok(machine) => machine,
        Err(error) => return tally().skip(&format!("{tier} (whole tier)"), &format!("{error:#}")),
    };
    let _step = Step::new(&format!("Linux {} in a VM", machine.kernel.version));
    let mut failed = false;
    let ended = machine.boot(|line| {
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
        let filter = filter.map(|filter| format!(" '{filter}'")).unwrap_or_default();
        let left_out: String =
            LEFT_TO_THE_HOST.iter().chain(left_out).map(|name| format!(" --skip {name}")).collect();
        // The serial console looks like a terminal, and colours would hide results from the count.
        job.push_str(&format!("/suite{index} --color never{left_out}{filter} || code=$?\n"));
    }
    job.push_str("exit $code\n");
    job
}

/// A kernel with everything that it is to run.
struct Machine {
    kernel: KernelFiles,
    parameters: &'static str,
    initramfs: PathBuf,
    log: PathBuf,
}

impl Machine {
    fn prepare(kernel: Kernel, agent: &Path, suites: &[&TestBinary], job: &str) -> Result<Self> {
        let files = setup::kernel(kernel)?;
        setup::tool(&packages::QEMU)?;
        let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
        let mut archive = Initramfs::default();
        archive.file("init", include_bytes!("vm/init.sh"));
        archive.file("busybox", &read(&setup::tool_binary(&packages::BUSYBOX)?)?);
        for (path, file) in host_programs()? {
            archive.file(&path, &read(&file)?);
        }
        archive.file("watchfire", &read(agent)?);
        archive.file("job", job.as_bytes());
        for (index, suite) in suites.iter().enumerate() {
            archive.file(&format!("suite{index}"), &read(&suite.path)?);
        }
        for (index, module) in modules(&files.modules)?.iter().enumerate() {
            // Numbered, since they load in the order of their names.
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("modules/{index:02}-{name}"), &read(module)?);
        }
        let folder = paths::target().join("vm");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        // Named after this process too: two runs at once must not change each other's files.
        let name = format!("{}-{}", kernel.name, std::process::id());
        let initramfs = folder.join(format!("{name}.cpio"));
        fs::write(&initramfs, archive.finish()).with_context(|| format!("write {}", initramfs.display()))?;
        Ok(Self {
            kernel: files,
            parameters: kernel.parameters,
            initramfs,
            log: folder.join(format!("{name}.log")),
        })
    }

    fn boot(&self, show: impl FnMut(&str)) -> Result<i32> {
        boot::boot(&self.kernel, self.parameters, &self.initramfs, &self.log, show)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It is large, and made again for every boot; the log stays.
        let _ = fs::remove_file(&self.initramfs);
    }
}

/// [`HOST_PROGRAMS`] with the libraries that they are linked with, by where they have to lie.
fn host_programs() -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for name in HOST_PROGRAMS {
        let Some(program) = process::which(name) else { continue };
        let output = Command::new("ldd").arg(&program).output().context("start ldd")?;
        // `libmnl.so.0 => /lib/…/libmnl.so.0 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let library = line.split_whitespace().find_map(|word| word.strip_prefix('/'));
            files.extend(library.map(|library| (library.to_owned(), Path::new("/").join(library))));
        }
        files.insert(format!("bin/{name}"), program);
    }
    Ok(files)
}

/// The files of the modules that this kernel does not have built in, in loading order.
fn modules(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.join("kernel")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    // `bridge.ko`, `bridge.ko.xz`
    let name =
        |path: &Path| path.file_name().and_then(|name| name.to_str()?.split('.').next().map(str::to_owned));
    let find = |module: &str| files.iter().find(|path| name(path).as_deref() == Some(module)).cloned();
    Ok(packages::KERNEL_MODULES.iter().filter_map(|module| find(module)).collect())
}
