//! `watchfire version`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;

use crate::build_info::{COMMIT, TARGET, VERSION};

pub(crate) fn run() -> Result<ExitCode> {
    writeln!(stdout(), "watchfire {VERSION}\ncommit {COMMIT}\ntarget {TARGET}")?;
    Ok(ExitCode::SUCCESS)
}
