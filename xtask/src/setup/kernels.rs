//! Debian's kernels for virtual machines, fetched without being installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::debian::{self, Apt};
use crate::packages::Kernel;
use crate::process::Step;
use crate::unpacked;

/// An unpacked kernel.
pub(crate) struct KernelFiles {
    /// The release as `uname -r` gives it.
    pub(crate) version: String,
    /// The bootable image.
    pub(crate) image: PathBuf,
    /// The folder with its modules.
    pub(crate) modules: PathBuf,
}

/// Finds a kernel, fetching it first where it is missing.
pub(crate) fn kernel(kernel: Kernel) -> Result<KernelFiles> {
    if !debian::is_host() {
        bail!("kernels come as Debian packages, which this machine has no apt-get and dpkg for");
    }
    let folder = unpacked::folder(&format!("kernels/{}", kernel.suite), |folder| install(kernel, folder))?;
    // Merged or not: /lib and /usr/lib are the same folder on an installed system, and two in packages.
    let modules = find(&folder, &["usr/lib/modules", "lib/modules"], |_| true)?;
    let version = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_image = |name: &str| name.starts_with("vmlinuz");
    let image = find(&folder, &["boot"], is_image).or_else(|_| find(&modules, &["."], is_image))?;
    Ok(KernelFiles { version, image, modules })
}

fn install(kernel: Kernel, folder: &Path) -> Result<()> {
    let _step = Step::new(&format!("fetching the kernel of Debian {} (not installed)", kernel.suite));
    let apt = Apt::of_suite(kernel.suite)?;
    let newest = format!("linux-image-cloud-{}", debian::architecture()?);
    let images = apt.dependencies(&newest)?;
    let image = images
        .iter()
        .find(|name| name.starts_with("linux-image-"))
        .context("no cloud kernel in the release")?;
    // Newer releases split the image into the kernel and its modules.
    let mut parts = apt.dependencies(image)?;
    parts.retain(|name| name.starts_with("linux-binary-") || name.starts_with("linux-modules-"));
    if parts.is_empty() {
        parts.push(image.clone());
    }
    apt.unpack(&parts, folder)
}

/// The first entry that fits, in the first of these folders that exists.
fn find(root: &Path, folders: &[&str], fits: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries = folders.iter().filter_map(|folder| fs::read_dir(root.join(folder)).ok()).flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| fits(&path.file_name().unwrap_or_default().to_string_lossy()));
    paths.sort();
    paths.into_iter().next().with_context(|| format!("no kernel in {}: delete that folder", root.display()))
}
