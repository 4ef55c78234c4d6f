//! Every package that setup may fetch, by name and version: the one place to change.

/// The Debian release whose compiler, libraries and tools are used, whatever release the machine runs.
pub(crate) const TOOLS_SUITE: &str = "bookworm";

/// LLVM's major version. It must not be older than the LLVM in the compiler that emits the bitcode.
pub(crate) const LLVM_MAJOR: u32 = 22;

/// The linker of kernel programs, from crates.io.
pub(crate) const BPF_LINKER_VERSION: &str = "0.13.0";

/// A compiler with the sources of its own `core` (Rust's BPF target has no prebuilt one), and the LLVM to match.
pub(crate) fn bpf_toolchain() -> Vec<String> {
    let llvm = LLVM_MAJOR;
    let mut names = ["rustc-web", "libstd-rust-web-dev", "rust-web-src", "libz3-4", "libz3-dev"]
        .map(str::to_owned)
        .to_vec();
    names.extend([
        format!("libllvm{llvm}"),
        format!("llvm-{llvm}"),
        format!("llvm-{llvm}-dev"),
        format!("llvm-{llvm}-linker-tools"),
        format!("llvm-{llvm}-tools"),
    ]);
    names
}
