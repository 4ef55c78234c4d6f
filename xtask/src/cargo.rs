//! Cargo, as this project calls it.

use std::path::PathBuf;
use std::process::Command;

use crate::paths;

/// Every crate but the kernel programs, which build for another target.
///
/// Always the same selection, also where one binary is wanted: cargo then unifies features the same way for a
/// build, the tests and clippy, and compiles each dependency once.
pub(crate) const WORKSPACE: [&str; 5] = ["--workspace", "--exclude", "agent-ebpf", "--exclude", "bench-ebpf"];

const STATIC: &str = "-Ctarget-feature=+crt-static";

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
    with_flags(subcommand, &[STATIC.to_owned()])
}

/// The same for a release: nothing in the binary tells in which folder it was built, and so each folder gives the same one.
pub(crate) fn release_cargo(subcommand: &str) -> Command {
    let mut flags = remapped();
    flags.push(STATIC.to_owned());
    with_flags(subcommand, &flags)
}

/// Compiler flags by which paths of this machine do not get into what is built.
pub(crate) fn remapped() -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    // Of several that fit the last one counts: the cache and the output may lie within the root.
    [
        (home, "cargo"),
        (paths::root().to_owned(), "source"),
        (paths::cache(), "cache"),
        (paths::target(), "target"),
    ]
    .map(|(path, name)| format!("--remap-path-prefix={}=/{name}", path.display()))
    .to_vec()
}

fn with_flags(subcommand: &str, flags: &[String]) -> Command {
    let mut command = cargo();
    command
        .arg(subcommand)
        .args(["--target", &paths::triple()])
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    command
}

/// Git in this repository.
pub(crate) fn git() -> Command {
    let mut command = Command::new("git");
    command.current_dir(paths::root());
    command
}
