//! Tells the binary which commit it was built from.

use std::path::Path;
use std::process::Command;
use std::{env, process};

fn main() {
    println!("cargo::rerun-if-env-changed=WATCHFIRE_COMMIT");
    // Every commit and checkout appends to it. Where there is no checkout, nothing can change.
    for log in ["../.git/logs/HEAD", "build.rs"] {
        if Path::new(log).exists() {
            println!("cargo::rerun-if-changed={log}");
        }
    }
    let told = env::var("WATCHFIRE_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = told.or_else(commit_of_checkout).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=WATCHFIRE_COMMIT={commit}");

    let Ok(target) = env::var("TARGET") else { process::exit(1) };
    println!("cargo::rustc-env=WATCHFIRE_TARGET={target}");
}

fn commit_of_checkout() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !commit.is_empty()).then_some(commit)
}
