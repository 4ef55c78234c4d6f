//! Programs that tests and the lab start: the machine's own, or Debian's, unpacked in the cache.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::debian::{self, Apt};
use crate::packages::{self, Tool};
use crate::process::{self, Step};
use crate::{paths, unpacked};

/// Finds a program, fetching it first where it is missing.
pub(crate) fn tool(tool: &Tool) -> Result<PathBuf> {
    find(tool, &OnceCell::new())
}

/// Finds many programs, fetching those that are missing; each with why it could not be had. The package lists are
/// fetched once.
pub(crate) fn tools(wanted: &[Tool]) -> Vec<Result<PathBuf>> {
    let apt = OnceCell::new();
    wanted.iter().map(|tool| find(tool, &apt)).collect()
}

fn find(tool: &Tool, apt: &OnceCell<Apt>) -> Result<PathBuf> {
    if let Some(found) = process::which(tool.program).filter(|_| tool.may_be_hosts) {
        return Ok(found);
    }
    if !debian::is_host() {
        bail!("no {}: install it (Debian's package is {})", tool.program, tool.package);
    }
    let name = format!("tools/{}/{}", packages::TOOLS_SUITE, tool.package);
    let folder = unpacked::folder(&name, |folder| install(tool, apt, folder))?;
    let script = folder.join("bin").join(tool.program);
    if !script.is_file() {
        // A further program of a package that is already here.
        write_script(tool, &script)?;
    }
    Ok(script)
}

fn install(tool: &Tool, apt: &OnceCell<Apt>, folder: &Path) -> Result<()> {
    let _step = Step::new(&format!("fetching {} (not installed)", tool.package));
    let apt = match apt.get() {
        Some(apt) => apt,
        None => {
            let fetched = Apt::of_suite(packages::TOOLS_SUITE)?;
            apt.get_or_init(|| fetched)
        }
    };
    let wanted = apt.with_dependencies(&[tool.package.to_owned()])?;
    apt.unpack(&wanted, &folder.join("root"))?;
    write_script(tool, &folder.join("bin").join(tool.program))
}

fn write_script(tool: &Tool, path: &Path) -> Result<()> {
    let multiarch = paths::multiarch();
    let script = format!(
        "root=$top/root\n\
         LD_LIBRARY_PATH=\"$root/usr/lib/{multiarch}:$root/lib/{multiarch}:$root/usr/lib/{multiarch}/pulseaudio\"\n\
         export LD_LIBRARY_PATH\n\
         exec \"$root/{}\" {} \"$@\"\n",
        tool.path, tool.arguments
    );
    unpacked::script(path, &script)
}

/// The program's own file rather than the script that starts it: what goes into a VM or a pod.
pub(crate) fn tool_binary(tool: &Tool) -> Result<PathBuf> {
    let found = self::tool(tool)?;
    let unpacked = unpacked_root(&found).map(|root| root.join(tool.path));
    Ok(unpacked.filter(|path| path.is_file()).unwrap_or(found))
}

/// Where the program's own file finds its libraries, for `LD_LIBRARY_PATH`.
pub(crate) fn tool_libraries(tool: &Tool) -> Result<PathBuf> {
    let found = self::tool(tool)?;
    Ok(unpacked_root(&found).unwrap_or_default().join("usr/lib").join(paths::multiarch()))
}

fn unpacked_root(found: &Path) -> Option<PathBuf> {
    Some(found.parent()?.parent()?.join("root"))
}
