//! `watchfire top`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::config::OBSERVE_SOCKET;
use crate::top;

/// Arguments of `top`.
#[derive(clap::Args, Debug)]
pub(crate) struct TopArgs {
    /// Socket of the running agent
    #[arg(long, env = "WATCHFIRE_SOCKET", value_name = "PATH", default_value = OBSERVE_SOCKET)]
    socket: PathBuf,
}

pub(crate) fn run(args: &TopArgs) -> Result<ExitCode> {
    top::run(&args.socket)
}
