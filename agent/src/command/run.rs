//! `watchfire run`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::agent;
use crate::config::{ConfigFlags, ConfigSource};
use crate::logging;

/// Arguments of `run`.
#[derive(clap::Args, Debug)]
pub(crate) struct RunArgs {
    /// Configuration file
    #[arg(long, env = "WATCHFIRE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: ConfigFlags,
}

impl RunArgs {
    /// Where the settings come from.
    pub(super) fn source(&self) -> ConfigSource<'_> {
        ConfigSource { file: self.config.as_deref(), flags: &self.flags }
    }
}

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let source = args.source();
    let config = source.load()?;
    logging::start(&config.log)?;
    agent::run(&config, source)
}
