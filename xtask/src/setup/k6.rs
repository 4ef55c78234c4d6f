//! k6, which loads the HTTP API, built from its Go module.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::packages::K6_VERSION;
use crate::process::{self, Step};
use crate::unpacked;

/// Finds the program, building it first where it is missing. The error is why it cannot be built here.
pub(crate) fn k6() -> Result<PathBuf> {
    let folder = unpacked::built(&format!("k6/{K6_VERSION}"), |folder| {
        let go = process::which("go");
        let go = go.context("no go: install Go, of which k6 is built (Debian's package is golang-go)")?;
        let _step = Step::new("building k6 (once, for a minute or two)");
        let package = format!("go.k6.io/k6@v{K6_VERSION}");
        let mut command = process::when_idle(&go);
        command.args(["install", "-trimpath", "-ldflags", "-s -w", &package]).current_dir(folder);
        process::run_quietly(command.env("GOBIN", folder).env("GOFLAGS", "-mod=mod").env("CGO_ENABLED", "0"))
    })?;
    Ok(folder.join("k6"))
}
