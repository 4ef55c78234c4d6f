//! An S3 server, built from its Go module, and a database that reads what is in it, from Python's packages: for the tests of
//! what is shipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::packages::{DUCKDB_PACKAGE, DUCKDB_VERSION, S3_SERVER_PACKAGE, S3_SERVER_VERSION};
use crate::process::{self, Step};
use crate::unpacked;

/// The folders of both programs; each with why it could not be had.
pub(crate) fn stores() -> [Result<PathBuf>; 2] {
    [s3_server(), duckdb()]
}

/// Has `versitygw`.
fn s3_server() -> Result<PathBuf> {
    let folder = unpacked::built_soon(&format!("versitygw/{S3_SERVER_VERSION}"), |folder| {
        let go = process::which("go");
        let go =
            go.context("no go: install Go, of which versitygw is built (Debian's package is golang-go)")?;
        let _step = Step::new(&format!("building versitygw {S3_SERVER_VERSION} (once)"));
        let mut command = process::when_idle(&go);
        command.args(["install", "-trimpath", "-ldflags", "-s -w"]).env("CGO_ENABLED", "0");
        command.env("GOBIN", std::path::absolute(folder.join("bin"))?);
        process::run_quietly(command.arg(format!("{S3_SERVER_PACKAGE}@v{S3_SERVER_VERSION}")))
    })?;
    Ok(folder.join("bin"))
}

/// Has `python-with-duckdb`.
fn duckdb() -> Result<PathBuf> {
    let folder = unpacked::folder(&format!("duckdb/{DUCKDB_VERSION}"), |folder| {
        let python =
            process::which("python3").context("no python3: install it with its pip, which has DuckDB")?;
        let _step = Step::new(&format!("fetching DuckDB {DUCKDB_VERSION}"));
        install_duckdb(&python, folder)
    })?;
    Ok(folder.join("bin"))
}

fn install_duckdb(python: &Path, folder: &Path) -> Result<()> {
    let mut pip = Command::new(python);
    // Nothing is compiled: where there is no wheel for this Python, there is no DuckDB.
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target"]);
    pip.arg(folder.join("lib")).arg(format!("{DUCKDB_PACKAGE}=={DUCKDB_VERSION}"));
    process::run_quietly(&mut pip)?;
    let body = format!("PYTHONPATH=$top/lib exec '{}' \"$@\"\n", python.display());
    unpacked::script(&folder.join("bin/python-with-duckdb"), &body)
}
