//! `watchfire tree`: what a process did, and the processes below it.

mod gather;
mod render;

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::{Result, bail};

use self::gather::{Start, gather};
use super::events::PlaceArgs;
use super::is_broken_pipe;

/// Arguments of `tree`.
#[derive(clap::Args, Debug)]
pub(crate) struct TreeArgs {
    /// Identity of a process (exec_id), a process id, or a pod as NAMESPACE/NAME
    #[arg(value_name = "EXEC_ID|PID|NAMESPACE/POD")]
    of: Start,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) fn run(args: &TreeArgs) -> Result<ExitCode> {
    let forest = gather(&args.of, &args.place)?;
    if forest.roots.is_empty() {
        bail!("{} has no process of {}", args.place.dir.display(), args.of);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = render::write(&forest, &mut out).and_then(|()| out.flush());
    match written.map_err(anyhow::Error::from) {
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result.map(|()| ExitCode::SUCCESS),
    }
}
