//! `test`: every tier that this machine can run, one count at the end.

mod cluster;
mod oracle;

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Result, anyhow};
use clap::ValueEnum;

use crate::process::{self, Step};
use crate::tally::Tally;
use crate::test_binaries::{self, TestBinary};
use crate::{build, cargo, packages, setup, vm};

/// Arguments of `test`.
#[derive(Default, clap::Args)]
pub(crate) struct Args {
    /// Run these tiers alone
    #[arg(long, value_enum, value_delimiter = ',')]
    tier: Vec<Tier>,
    /// Run only tests whose name contains this
    #[arg(long)]
    filter: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Unit, golden and documentation tests
    Unit,
    /// Tests of the real agent on this machine's kernel
    Privileged,
    /// Tests of the real agent beside a Kubernetes node
    Cluster,
    /// The privileged tests on other kernels, in virtual machines
    Vm,
    /// Random policies, judged by Cilium's own engine as well
    Oracle,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let tiers = if args.tier.is_empty() { Tier::value_variants() } else { &args.tier };
    build::kernel_programs()?;
    let agent = build::agent(false)?;
    let binaries = test_binaries::build()?;
    let filter = args.filter.as_deref();
    let mut tally = Tally::default();
    let kubernetes = tiers.contains(&Tier::Cluster) && filter.is_none();
    thread::scope(|scope| {
        // Go takes minutes, which tiers that leave processors idle go on beside; what is needed first is built first.
        let oracle = tiers.contains(&Tier::Oracle).then(|| oracle::Building::begin(kubernetes));
        if kubernetes && oracle.is_none() {
            scope.spawn(cluster::build_ahead);
        }
        if tiers.contains(&Tier::Privileged) {
            scope.spawn(|| drop(setup::stores()));
        }
        if tiers.contains(&Tier::Unit) {
            unit(&binaries, filter, &mut tally)?;
        }
        // Emulated machines take what the next tiers leave, whose tests mostly wait; these need Kubernetes sooner.
        let machines = tiers.contains(&Tier::Vm).then(|| {
            scope.spawn(|| {
                if kubernetes {
                    cluster::build_ahead();
                }
                vm::tier(&binaries, &agent, filter)
            })
        });
        if tiers.contains(&Tier::Privileged) {
            privileged(&binaries, &agent, filter, &mut tally)?;
        }
        if tiers.contains(&Tier::Cluster) {
            cluster::tier(&binaries, &agent, filter, &mut tally)?;
        }
        if let Some(machines) = machines {
            tally.add(machines.join().map_err(|_| anyhow!("the machines' tier panicked"))?);
        }
        if let Some(oracle) = oracle {
            oracle::tier(&binaries, oracle, filter, &mut tally)?;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    tally.close()
}

fn unit(binaries: &[TestBinary], filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    let _step = Step::new("unit and golden tests");
    for binary in binaries.iter().filter(|binary| binary.is_unit()) {
        collect(binary.command(&binary.path).args(filter), "", &binary.name, tally)?;
    }
    let mut documentation = cargo::static_cargo("test");
    documentation.args(cargo::WORKSPACE).arg("--doc");
    if let Some(filter) = filter {
        documentation.args(["--", filter]);
    }
    collect(&mut documentation, "", "documentation tests", tally)
}

fn privileged(binaries: &[TestBinary], agent: &Path, filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    let _step = Step::new("privileged tests");
    let is_permitted = process::is_root() || process::which("sudo").is_some();
    let suites: Vec<&TestBinary> = binaries.iter().filter(|binary| binary.is_privileged()).collect();
    if !is_permitted || suites.is_empty() {
        let reason = if is_permitted { "there are none" } else { "needs root or sudo" };
        tally.skip("privileged (whole tier)", reason);
        return Ok(());
    }
    let path = path_with_tools();
    for binary in suites {
        // By env(1), since sudo has a PATH of its own.
        let mut command = process::as_root(Path::new("/usr/bin/env"));
        command.arg(format!("PATH={path}")).arg(&binary.path);
        binary.place(&mut command);
        collect(command.env("WATCHFIRE_BIN", agent).args(filter), "privileged", &binary.name, tally)?;
    }
    Ok(())
}

/// The search path of the privileged tests: this machine's own, and what was fetched behind it.
fn path_with_tools() -> String {
    let mut folders: Vec<String> = std::env::var("PATH").into_iter().collect();
    // Where root's programs live, which users often do not have in their path.
    folders.extend(["/usr/sbin", "/sbin"].map(str::to_owned));
    let tools = setup::tools(&packages::TEST_TOOLS).into_iter();
    let tools = tools.map(|found| found.map(|program| program.parent().unwrap_or(&program).to_owned()));
    for found in tools.chain(setup::stores()) {
        match found {
            Ok(folder) => {
                let folder = folder.display().to_string();
                if !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
            // The tests that need it are skipped by name.
            Err(error) => eprintln!("    {error:#}"),
        }
    }
    match setup::k6() {
        Ok(program) => folders.extend(program.parent().map(|folder| folder.display().to_string())),
        Err(error) => eprintln!("    {error:#}"),
    }
    folders.join(":")
}

/// Runs a test binary, showing its output while reading the counts from it.
fn collect(command: &mut Command, tier: &str, name: &str, tally: &mut Tally) -> Result<()> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().expect("stdout is piped");
    let counted = tally.read(tier, output, |line| println!("{line}"))?;
    let status = child.wait()?;
    // A binary that dies before its closing line has counted nothing.
    if !status.success() && counted.failed == 0 {
        tally.fail(name, &format!("ended with {status}"));
    }
    Ok(())
}
