//! `bench`: what the agent costs, beside nothing, beside other designs and beside programs by others.

mod emulated;

use std::path::PathBuf;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::packages::KERNELS;
use crate::process::Step;
use crate::{build, cargo, elf, paths, process, setup};

/// Arguments of `bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the table, the JSON file and the plots
    #[arg(long)]
    output: Option<PathBuf>,
    /// Count instructions instead of time, on this kernel in an emulated machine
    #[arg(long, value_parser = PossibleValuesParser::new(KERNELS.iter().map(|kernel| kernel.name)))]
    kernel: Option<String>,
    /// The agent to measure, a static binary; one is built unless named
    #[arg(long)]
    agent: Option<PathBuf>,
    /// Workloads, and what else the benchmark takes, such as `exec open --profile full --subject default`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let designs = build::baseline_programs()?;
    let agent = match &args.agent {
        Some(agent) => {
            elf::require_static(agent)?;
            agent.clone()
        }
        None => {
            build::kernel_programs()?;
            build::measured_agent()?
        }
    };
    let bench = binary()?;
    let output = args.output.clone().unwrap_or_else(|| paths::target().join("bench"));
    if let Some(kernel) = KERNELS.iter().find(|kernel| Some(kernel.name) == args.kernel.as_deref()) {
        let output = args.output.clone().unwrap_or_else(|| output.join(kernel.name));
        return emulated::run(*kernel, &agent, &bench, &designs, &args.rest, &output);
    }
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
