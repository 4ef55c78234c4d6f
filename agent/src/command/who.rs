//! `watchfire who`.

mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use crate::config::OBSERVE_SOCKET;

/// Arguments of `who`.
#[derive(clap::Args, Debug)]
pub(crate) struct WhoArgs {
    /// A pid, an address, a container id or its beginning, or the name of a pod (NAME or NAMESPACE/NAME)
    #[arg(value_name = "WHO")]
    who: String,
    /// Socket of the running agent
    #[arg(long, env = "WATCHFIRE_SOCKET", value_name = "PATH", default_value = OBSERVE_SOCKET)]
    socket: PathBuf,
    /// How to show the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Fails where nobody is known by that.
pub(crate) fn run(args: &WhoArgs) -> Result<ExitCode> {
    let answer = watchfire_export::who(&args.socket, &args.who)?;
    let shown = match args.output {
        Format::Json => format!("{answer}\n"),
        Format::Text => text::text(&answer),
    };
    match io::stdout().lock().write_all(shown.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    let is_known = answer["matches"].as_array().is_some_and(|matches: &Vec<Value>| !matches.is_empty());
    Ok(if is_known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
