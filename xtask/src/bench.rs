//! `bench`: what the agent costs, beside nothing, beside other designs and beside programs by others.

use std::path::PathBuf;

use anyhow::Result;

use crate::process::Step;
use crate::{build, cargo, paths, process, setup};

/// Arguments of `bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the table, the JSON file and the plots
    #[arg(long)]
    output: Option<PathBuf>,
    /// Workloads, and what else the benchmark takes, such as `exec open --profile full --subject default`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    build::kernel_programs()?;
    let designs = build::baseline_programs()?;
    let agent = build::measured_agent()?;
    let bench = binary()?;
    let output = args.output.clone().unwrap_or_else(|| paths::target().join("bench"));
    let mut command = process::as_root(&bench);
    command.env("WATCHFIRE_BIN", agent).arg("run").arg("--designs").arg(designs).arg("--output").arg(output);
    for (name, found) in setup::peers() {
        match found {
            Ok(folder) => command.arg("--peer").arg(format!("{name}={}", folder.display())),
            Err(error) => command.arg("--without").arg(format!("{name}={error:#}")),
        };
    }
    process::run(command.args(&args.rest))
}

fn binary() -> Result<PathBuf> {
    let _step = Step::new("building the benchmark");
    let mut build = cargo::release_cargo("build");
    process::run(build.args(cargo::WORKSPACE).args(["--release", "--bin", "watchfire-bench"]))?;
    Ok(paths::target().join(paths::triple()).join("release/watchfire-bench"))
}
