//! Where things are: the workspace, the cache folder, the machine's names for itself.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies one level below the root")
}

/// What setup has fetched and built; safe to delete at any time.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("WATCHFIRE_CACHE").map_or_else(|| root().join(".cache"), PathBuf::from)
}

/// Cargo's output folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The kernel programs, where the sensor's build script looks for them.
pub(crate) fn bpf_object() -> PathBuf {
    root().join("target/bpf/watchfire.bpf.o")
}

/// The target of everything static: this machine's own, named so that it differs from "no target".
///
/// With a named target, cargo keeps compiler flags away from procedural macros, which cannot be static.
pub(crate) fn triple() -> String {
    format!("{ARCH}-unknown-linux-gnu")
}

/// Debian's name of the folder with this machine's libraries.
pub(crate) fn multiarch() -> String {
    format!("{ARCH}-linux-gnu")
}
