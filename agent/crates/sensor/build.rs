//! Finds the kernel programs that this crate embeds.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Names the object where it is not in its usual place.
const OBJECT_VARIABLE: &str = "WATCHFIRE_BPF_OBJECT";

fn main() {
    println!("cargo::rerun-if-env-changed={OBJECT_VARIABLE}");
    let manifest =
        env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).expect("cargo sets CARGO_MANIFEST_DIR");
    let workspace = manifest.ancestors().nth(3).expect("the crate lies three folders below the workspace");
    let object = env::var_os(OBJECT_VARIABLE).map_or_else(
        || workspace.join("target/bpf/watchfire.bpf.o"),
        |path| workspace.join(Path::new(&path)),
    );
    println!("cargo::rerun-if-changed={}", object.display());
    if fs::metadata(&object).is_err() {
        println!(
            "cargo::error=the kernel programs are not built: {} is missing; run `cargo xtask build` first",
            object.display()
        );
    }
    println!("cargo::rustc-env=WATCHFIRE_BPF_OBJECT={}", object.display());
}
