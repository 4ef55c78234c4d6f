//! `run`: build, then the agent with the given arguments.

use anyhow::Result;

use crate::{build, process};

/// Arguments of `run`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Optimize the agent
    #[arg(long)]
    release: bool,
    /// What to pass to the agent, for example `observe`
    #[arg(last = true)]
    agent: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    build::kernel_programs()?;
    let agent = build::agent(args.release)?;
    process::run(process::as_root(&agent).args(&args.agent))
}
