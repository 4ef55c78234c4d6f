//! `lint`: formatting, clippy, dependency rules, and the repository's own rules.

mod rules;

use anyhow::{Result, bail};

use crate::process::{self, Step};
use crate::setup::BpfToolchain;
use crate::{build, cargo, paths};

pub(crate) fn run() -> Result<()> {
    formatting()?;
    repository_rules()?;
    kernel_clippy()?;
    // The sensor's build script embeds the kernel programs.
    build::kernel_programs()?;
    clippy()?;
    clippy_without_features()?;
    dependencies()
}

fn formatting() -> Result<()> {
    let _step = Step::new("rustfmt");
    process::run(cargo::cargo().args(["fmt", "--all", "--", "--check"]))
}

fn clippy() -> Result<()> {
    let _step = Step::new("clippy");
    let mut clippy = cargo::static_cargo("clippy");
    process::run(clippy.args(cargo::WORKSPACE).args(["--all-targets", "--quiet", "--", "-Dwarnings"]))
}

/// What the agent is without its optional parts. The same selection of crates, so that only the agent is looked at again.
fn clippy_without_features() -> Result<()> {
    let _step = Step::new("clippy without features");
    let mut clippy = cargo::static_cargo("clippy");
    clippy.args(cargo::WORKSPACE).args(["--no-default-features", "--bin", "watchfire", "--quiet"]);
    process::run(clippy.args(["--", "-Dwarnings"]))
}

fn kernel_clippy() -> Result<()> {
    let toolchain = BpfToolchain::ready()?;
    let _step = Step::new("clippy on the kernel programs");
    let (mut command, subcommand) = toolchain.clippy();
    let packages = &build::KERNEL_PACKAGES;
    process::run(build::kernel_flags(command.arg(subcommand), packages, &toolchain).arg("--quiet"))
}

fn dependencies() -> Result<()> {
    if process::which("cargo-deny").is_none() {
        println!("SKIPPED cargo-deny: not installed (cargo install cargo-deny)");
        return Ok(());
    }
    let _step = Step::new("cargo-deny");
    process::run(cargo::cargo().args(["deny", "check", "bans", "licenses", "sources"]))
}

fn repository_rules() -> Result<()> {
    let _step = Step::new("repository rules");
    let mut breaches = Vec::new();
    for name in
        process::read(cargo::git().args(["ls-files", "--cached", "--others", "--exclude-standard"]))?.lines()
    {
        // Listed but deleted, or not text: nothing to read.
        if let Ok(text) = std::fs::read_to_string(paths::root().join(name)) {
            breaches.extend(rules::breaches(name, &text));
        }
    }
    for breach in &breaches {
        eprintln!("{breach}");
    }
    if !breaches.is_empty() {
        bail!("{} breaches of the repository's rules", breaches.len());
    }
    Ok(())
}
