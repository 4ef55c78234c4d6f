//! The compiler and linker of the kernel programs, apart from the user's own Rust.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::debian::{self, Apt};
use crate::process::{self, Step};
use crate::{cargo, packages, paths, unpacked};

/// What builds the kernel programs.
pub(crate) enum BpfToolchain {
    /// Debian's compiler, unpacked in the cache.
    Unpacked(PathBuf),
    /// The user's nightly toolchain with rust-src, and a bpf-linker found in `PATH`.
    Nightly {
        /// The linker's path.
        linker: PathBuf,
    },
}

impl BpfToolchain {
    /// Finds the toolchain, installing it first where it is missing.
    pub(crate) fn ready() -> Result<Self> {
        if debian::is_host() {
            return unpacked::folder(&folder_name(), install).map(Self::Unpacked);
        }
        let linker = process::which("bpf-linker");
        match linker.filter(|_| nightly_has_sources()) {
            Some(linker) => Ok(Self::Nightly { linker }),
            None => bail!(
                "kernel programs need a nightly compiler with its sources and bpf-linker {}; \
                 install them with: rustup toolchain install nightly --component rust-src && cargo install bpf-linker",
                packages::BPF_LINKER_VERSION
            ),
        }
    }

    /// One line about what is used.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Unpacked(root) => root.display().to_string(),
            Self::Nightly { linker } => format!("rustup's nightly with {}", linker.display()),
        }
    }

    /// The linker to pass to the compiler.
    pub(crate) fn linker(&self) -> PathBuf {
        match self {
            Self::Unpacked(root) => root.join("bin/bpf-linker"),
            Self::Nightly { linker } => linker.clone(),
        }
    }

    /// A cargo that lints with this compiler's clippy, every warning an error.
    pub(crate) fn clippy(&self) -> (Command, &'static str) {
        let mut command = self.cargo();
        let Self::Unpacked(root) = self else { return (command, "clippy") };
        // What `cargo clippy` itself does; that plugin is of the user's toolchain and would start its own compiler.
        command
            .env("RUSTC_WORKSPACE_WRAPPER", root.join("bin/clippy-driver"))
            .env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
        (command, "check")
    }

    /// What takes debug information out of an object; none where the user has no such program.
    pub(crate) fn strip(&self) -> Option<Command> {
        match self {
            Self::Unpacked(folder) => {
                let libraries = folder.join("root/usr/lib");
                let llvm = libraries.join(format!("llvm-{}", packages::LLVM_MAJOR));
                let paths = [libraries.join(paths::multiarch()), llvm.join("lib")];
                let mut command = Command::new(llvm.join("bin/llvm-strip"));
                command.env("LD_LIBRARY_PATH", std::env::join_paths(paths).ok()?);
                Some(command)
            }
            Self::Nightly { .. } => process::which("llvm-strip").map(Command::new),
        }
    }

    /// A cargo that uses this compiler.
    pub(crate) fn cargo(&self) -> Command {
        match self {
            Self::Unpacked(root) => {
                let mut command = cargo::cargo();
                command
                    .env("RUSTC", root.join("bin/rustc"))
                    // Building `core` is an unstable feature, and this compiler is a stable release.
                    .env("RUSTC_BOOTSTRAP", "1");
                command
            }
            Self::Nightly { .. } => {
                let mut command = Command::new("cargo");
                // What rustup's proxy has set for this task would outweigh the choice.
                command
                    .arg("+nightly")
                    .current_dir(paths::root())
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .env_remove("RUSTC");
                command
            }
        }
    }
}

/// A name that changes with anything that is installed, so that a change of version is a new folder.
fn folder_name() -> String {
    let parts = format!("{:?} {}", packages::bpf_toolchain(), packages::BPF_LINKER_VERSION);
    let digest = Sha256::digest(parts).iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("bpf-llvm{}-linker{}-{digest}", packages::LLVM_MAJOR, packages::BPF_LINKER_VERSION)
}

fn nightly_has_sources() -> bool {
    let mut ask = Command::new("rustc");
    ask.args(["+nightly", "--print", "sysroot"]).env_remove("RUSTUP_TOOLCHAIN");
    process::read(&mut ask)
        .is_ok_and(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").is_dir())
}

fn install(folder: &Path) -> Result<()> {
    let system = folder.join("root");
    {
        let _step = Step::new("BPF toolchain: fetching Debian's Rust and LLVM (about 210 MB, not installed)");
        let apt = Apt::of_suite(packages::TOOLS_SUITE)?;
        let wanted = apt.with_dependencies(&packages::bpf_toolchain())?;
        apt.unpack(&wanted, &system)?;
    }
    let libraries = format!(
        "LD_LIBRARY_PATH=\"$top/root/usr/lib/{}:$top/root/usr/lib/llvm-{}/lib\"\nexport LD_LIBRARY_PATH\n",
        paths::multiarch(),
        packages::LLVM_MAJOR
    );
    let rustc = folder.join("bin/rustc");
    unpacked::script(&rustc, &format!("{libraries}exec \"$top/root/usr/bin/rustc\" \"$@\"\n"))?;
    unpacked::script(
        &folder.join("bin/clippy-driver"),
        // Only cargo's plugin would tell it where the compiler's libraries are.
        &format!("{libraries}SYSROOT=$top/root/usr exec \"$top/root/usr/bin/clippy-driver\" \"$@\"\n"),
    )?;
    unpacked::script(
        &folder.join("bin/bpf-linker"),
        &format!("{libraries}exec \"$top/linker/bin/bpf-linker\" \"$@\"\n"),
    )?;
    require_matching_llvm(&rustc)?;
    let _step = Step::new("BPF toolchain: building bpf-linker (about a minute)");
    let llvm = system.join(format!("usr/lib/llvm-{}", packages::LLVM_MAJOR));
    let mut build = cargo::cargo();
    build
        .args(["install", "bpf-linker", "--version", packages::BPF_LINKER_VERSION, "--locked", "--quiet"])
        .args(["--no-default-features", "--features", &format!("llvm-{}", packages::LLVM_MAJOR)])
        .arg("--root")
        .arg(folder.join("linker"))
        .arg("--target-dir")
        .arg(folder.join("linker-build"))
        .env("LLVM_PREFIX", &llvm)
        .env("LD_LIBRARY_PATH", system.join("usr/lib").join(paths::multiarch()));
    process::run_quietly(&mut build)?;
    let build_folder = folder.join("linker-build");
    std::fs::remove_dir_all(&build_folder).with_context(|| format!("remove {}", build_folder.display()))
}

/// A linker older than the compiler cannot read its bitcode; the errors that this gives name neither.
fn require_matching_llvm(rustc: &Path) -> Result<()> {
    let text = process::read(Command::new(rustc).arg("-vV"))?;
    let version =
        text.lines().find_map(|line| line.strip_prefix("LLVM version: ")).context("rustc names no LLVM")?;
    let major: u32 = version.split('.').next().unwrap_or_default().parse().context("LLVM's version")?;
    ensure!(
        major <= packages::LLVM_MAJOR,
        "the compiler has LLVM {version}, the linker would have {}: raise LLVM_MAJOR in xtask/src/packages.rs",
        packages::LLVM_MAJOR
    );
    Ok(())
}
