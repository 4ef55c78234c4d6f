//! kubeconform, which checks manifests against schemas, built from its Go module.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::packages::KUBECONFORM_VERSION;
use crate::process::{self, Step};
use crate::unpacked;

/// Finds the program, building it first where it is missing. The error is why it cannot be built here.
pub(crate) fn kubeconform() -> Result<PathBuf> {
    let folder = unpacked::built(&format!("kubeconform/{KUBECONFORM_VERSION}"), |folder| {
        let go = process::which("go");
        let go =
            go.context("no go: install Go, of which kubeconform is built (Debian's package is golang-go)")?;
        let _step = Step::new("building kubeconform (once)");
        let package = format!("github.com/yannh/kubeconform/cmd/kubeconform@v{KUBECONFORM_VERSION}");
        let mut command = process::when_idle(&go);
        command.args(["install", "-trimpath", "-ldflags", "-s -w", &package]).current_dir(folder);
        process::run_quietly(command.env("GOBIN", folder).env("GOFLAGS", "-mod=mod").env("CGO_ENABLED", "0"))
    })?;
    Ok(folder.join("kubeconform"))
}
