//! The agent's own log: lines on stderr.

use std::io::{self, IsTerminal as _};

use anyhow::{Result, bail};
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Starts logging. Standard output stays free for records.
pub(crate) fn start(config: &LogConfig) -> Result<()> {
    // It warns anew with each connection to a kubelet whose certificate is not checked.
    let Ok(filter) = EnvFilter::try_new(format!("kube_client=error,{}", config.filter)) else {
        bail!(
            "log.filter: \"{}\" is no filter, expected e.g. info or info,watchfire_sensor=debug",
            config.filter
        );
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match config.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
