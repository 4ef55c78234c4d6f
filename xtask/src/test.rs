//! `test`: every tier that this machine can run, one count at the end.

use std::process::{Command, Stdio};

use anyhow::Result;
use clap::ValueEnum;

use crate::process::{self, Step};
use crate::tally::Tally;
use crate::test_binaries::{self, TestBinary};
use crate::{build, cargo, vm};

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
    /// The privileged tests on other kernels, in virtual machines
    Vm,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let tiers = if args.tier.is_empty() { Tier::value_variants() } else { &args.tier };
    build::kernel_programs()?;
    let agent = build::agent(false)?;
    let binaries = test_binaries::build()?;
    let mut tally = Tally::default();
    for tier in tiers {
        match tier {
            Tier::Unit => unit(&binaries, args.filter.as_deref(), &mut tally)?,
            Tier::Privileged => privileged(&binaries, &agent, args.filter.as_deref(), &mut tally)?,
            Tier::Vm => vm::tier(&binaries, &agent, args.filter.as_deref(), &mut tally),
        }
    }
    tally.close()
}

fn unit(binaries: &[TestBinary], filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    let _step = Step::new("unit and golden tests");
    for binary in binaries.iter().filter(|binary| !binary.is_privileged()) {
        collect(binary.command(&binary.path).args(filter), "", &binary.name, tally)?;
    }
    let mut documentation = cargo::static_cargo("test");
    documentation.args(cargo::WORKSPACE).arg("--doc");
    if let Some(filter) = filter {
        documentation.args(["--", filter]);
    }
    collect(&mut documentation, "", "documentation tests", tally)
}

fn privileged(
    binaries: &[TestBinary],
    agent: &std::path::Path,
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<()> {
    let _step = Step::new("privileged tests");
    let is_permitted = process::is_root() || process::which("sudo").is_some();
    let suites: Vec<&TestBinary> = binaries.iter().filter(|binary| binary.is_privileged()).collect();
    if !is_permitted || suites.is_empty() {
        let reason = if is_permitted { "there are none" } else { "needs root or sudo" };
        tally.skip("privileged (whole tier)", reason);
        return Ok(());
    }
    for binary in suites {
        let mut command = process::as_root(&binary.path);
        binary.place(&mut command);
        collect(command.env("WATCHFIRE_BIN", agent).args(filter), "privileged", &binary.name, tally)?;
    }
    Ok(())
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
