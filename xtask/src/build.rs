//! `build`: the kernel programs, then the agent that carries them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

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
    let mut object = kernel_output().join("watchfire-bpf");
    // BTF has been made of it by now, and nobody reads it any more: three quarters of the object.
    if let Some(mut strip) = toolchain.strip() {
        let stripped = object.with_extension("stripped");
        process::run(strip.args(["--strip-debug", "-o"]).args([&stripped, &object]))?;
        object = stripped;
    } else {
        eprintln!("no llvm-strip: the kernel programs keep their DWARF, and the agent is 10 MB larger");
    }
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
    let mut flags = cargo::remapped();
    flags.extend([
        // Of the standard library, which lies in the cache, cargo names files from the root on where the cache is within it: so
        // elsewhere it gets the name that it has there.
        format!("--remap-path-prefix={}=/source/.cache", paths::cache().display()),
        format!("-Clinker={}", toolchain.linker().display()),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
    ]);
    command
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(["--target", "bpfel-unknown-none", "--release"])
        .args(["-Z", "build-std=core"])
        .arg("--target-dir")
        .arg(paths::root().join("target/bpf"))
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        // The workspace's release profile is the agent's: stripping would remove the BTF.
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
}

/// Builds the static agent and returns its path.
pub(crate) fn agent(release: bool) -> Result<PathBuf> {
    let _step = Step::new("building the agent");
    process::run(&mut agent_build(release))?;
    built(if release { "release" } else { "debug" })
}

/// Builds the optimized agent that is measured: without the engine of `watchfire sql`, which has no part in an agent's work
/// and takes most of the time to build.
pub(crate) fn measured_agent() -> Result<PathBuf> {
    let _step = Step::new("building the agent that is measured");
    process::run(agent_build(true).arg("--no-default-features"))?;
    built("release")
}

fn built(profile: &str) -> Result<PathBuf> {
    let binary = paths::target().join(paths::triple()).join(profile).join("watchfire");
    elf::require_static(&binary)?;
    Ok(binary)
}

/// Ids of the packages that are built for the agent's target: once the agent is there, this builds nothing.
pub(crate) fn packages(release: bool) -> Result<BTreeSet<String>> {
    let said = process::read(agent_build(release).args(["--quiet", "--message-format=json"]))?;
    let target = paths::target().join(paths::triple()).display().to_string();
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_for_target = |message: &Value| {
        let files = message["filenames"].as_array();
        files
            .is_some_and(|files| files.iter().filter_map(Value::as_str).any(|file| file.starts_with(&target)))
    };
    Ok(messages
        .filter(is_for_target)
        .filter_map(|message| message["package_id"].as_str().map(str::to_owned))
        .collect())
}

fn agent_build(release: bool) -> Command {
    if release {
        // By itself: with other packages it would have the features that tests need.
        let mut build = cargo::release_cargo("build");
        build.args(["--package", "watchfire", "--release", "--bin", "watchfire"]);
        return build;
    }
    let mut build = cargo::static_cargo("build");
    build.args(cargo::WORKSPACE).args(["--bin", "watchfire"]);
    build
}
