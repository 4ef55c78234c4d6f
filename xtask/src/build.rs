//! `build`: the kernel programs, then the agent that carries them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::Step;
use crate::setup::BpfToolchain;
use crate::{cargo, elf, paths, process};

/// Arguments of `build`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Optimize the agent and strip it
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    kernel_programs()?;
    println!("{}", agent(args.release)?.display());
    Ok(())
}

/// Builds the kernel programs and puts the object where the sensor's build script looks for it.
pub(crate) fn kernel_programs() -> Result<()> {
    let toolchain = BpfToolchain::ready()?;
    let _step = Step::new("building the kernel programs");
    let agent = &KERNEL_PACKAGES[..1];
    process::run(kernel_flags(toolchain.cargo().arg("build"), agent, &toolchain).arg("--quiet"))?;
    let object = kernel_output().join("watchfire-bpf");
    let bytes = std::fs::read(&object).with_context(|| format!("read {}", object.display()))?;
    let place = paths::bpf_object();
    // An unchanged object keeps its time: the agent is then not built again.
    if std::fs::read(&place).ok().as_deref() != Some(&bytes) {
        std::fs::write(&place, bytes).with_context(|| format!("write {}", place.display()))?;
    }
    Ok(())
}

/// Builds the kernel programs of the designs that the agent is measured against, and returns the object's path.
pub(crate) fn baseline_programs() -> Result<PathBuf> {
    let toolchain = BpfToolchain::ready()?;
    let _step = Step::new("building the kernel programs of other designs");
    let baselines = &KERNEL_PACKAGES[1..];
    process::run(kernel_flags(toolchain.cargo().arg("build"), baselines, &toolchain).arg("--quiet"))?;
    Ok(kernel_output().join("watchfire-bench-bpf"))
}

/// Packages of kernel programs: the agent's, and those that it is measured against.
pub(crate) const KERNEL_PACKAGES: [&str; 2] = ["agent-ebpf", "bench-ebpf"];

fn kernel_output() -> PathBuf {
    paths::root().join("target/bpf/bpfel-unknown-none/release")
}

/// Completes a cargo command for kernel programs: their own profile and output folder.
pub(crate) fn kernel_flags<'a>(
    command: &'a mut Command,
    packages: &[&str],
    toolchain: &BpfToolchain,
) -> &'a mut Command {
    // Debug information is load-bearing: without it functions have no BTF func_info and the kernel refuses them.
    let flags = format!("-Clinker={}\x1f-Cdebuginfo=2\x1f-Clink-arg=--btf", toolchain.linker().display());
    command
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(["--target", "bpfel-unknown-none", "--release"])
        .args(["-Z", "build-std=core"])
        .arg("--target-dir")
        .arg(paths::root().join("target/bpf"))
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        // The workspace's release profile is the agent's: stripping would remove the BTF.
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
}

/// Builds the static agent and returns its path.
pub(crate) fn agent(release: bool) -> Result<PathBuf> {
    let _step = Step::new("building the agent");
    let mut build = cargo::static_cargo("build");
    build.args(cargo::WORKSPACE).args(["--bin", "watchfire"]);
    if release {
        build.arg("--release");
    }
    process::run(&mut build)?;
    let profile = if release { "release" } else { "debug" };
    let binary = paths::target().join(paths::triple()).join(profile).join("watchfire");
    elf::require_static(&binary)?;
    Ok(binary)
}
