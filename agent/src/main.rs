//! The Watchfire agent: command line, configuration and the wiring of the stages.
#![forbid(unsafe_code)]

mod agent;
mod build_info;
mod command;
mod config;
mod control_plane;
mod knowledge;
mod logging;
mod pipeline;
mod sources;
mod top;
mod yaml_files;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    command::dispatch(&command::Cli::parse()).unwrap_or_else(|error| {
        eprintln!("watchfire: {error:#}");
        ExitCode::FAILURE
    })
}
