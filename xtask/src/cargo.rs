//! Cargo, as this project calls it.

use std::process::Command;

use crate::paths;

/// Every crate but the kernel programs, which build for another target.
///
/// Always the same selection, also where one binary is wanted: cargo then unifies features the same way for a
/// build, the tests and clippy, and compiles each dependency once.
pub(crate) const WORKSPACE: [&str; 5] = ["--workspace", "--exclude", "agent-ebpf", "--exclude", "bench-ebpf"];

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(paths::root());
    command
}

/// Cargo for static binaries of this machine's architecture.
///
/// Tests are built the same way as the agent: dependencies compile once, and a test binary runs in a VM that has no
/// C library.
pub(crate) fn static_cargo(subcommand: &str) -> Command {
    let mut command = cargo();
    command
        .arg(subcommand)
        .args(["--target", &paths::triple()])
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    command
}

/// Git in this repository.
pub(crate) fn git() -> Command {
    let mut command = Command::new("git");
    command.current_dir(paths::root());
    command
}
