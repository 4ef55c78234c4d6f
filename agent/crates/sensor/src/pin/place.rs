//! The folder with all that is pinned, and what is on its way into it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::pin::PinError as AyaPinError;
use aya::programs::links::FdLink;

use super::{LINKS, MAPS, PROGRAMS, bpf, takeover::Old};
use crate::kernel::Kernel;
use crate::links::Link;
use crate::objects::Objects;

/// How the name of a folder begins that is not complete yet.
const STAGING: &str = "loading-";

/// Why programs cannot be pinned.
#[derive(thiserror::Error, Debug)]
pub enum PinError {
    /// Its programs are another agent's.
    #[error("another agent uses the programs pinned in {0}")]
    InUse(PathBuf),
    /// The folder cannot be used.
    #[error("cannot use {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something was not taken.
    #[error("cannot pin {path}")]
    Pin {
        /// As what.
        path: PathBuf,
        /// Why.
        source: AyaPinError,
    },
}

fn on(path: &Path) -> impl FnOnce(io::Error) -> PinError {
    |source| PinError::Folder { path: path.to_owned(), source }
}

/// The folder that options name, held by one agent at a time.
pub(crate) struct Place {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

impl Place {
    /// None where no BPF filesystem is to be had; that is said in the log.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, PinError> {
        if let Err(why) = find_filesystem(path, true) {
            tracing::warn!(
                pin = %path.display(),
                "the kernel programs end with the agent: {why}"
            );
            return Ok(None);
        }
        make(path)?;
        let lock = lock(path)?.ok_or_else(|| PinError::InUse(path.to_owned()))?;
        let place = Self { path: path.to_owned(), _lock: lock };
        for unfinished in place.folders()?.filter(|folder| name(folder).starts_with(STAGING)) {
            remove(&unfinished)?;
        }
        Ok(Some(place))
    }

    /// Where what has this fingerprint is.
    pub(crate) fn folder(&self, fingerprint: &str) -> PathBuf {
        self.path.join(fingerprint)
    }

    /// What agents before this one left, except what has this fingerprint.
    pub(crate) fn others(&self, fingerprint: &str) -> Result<Vec<Old>, PinError> {
        Ok(self.folders()?.filter(|folder| name(folder) != fingerprint).map(Old::new).collect())
    }

    /// Gives what cannot be adopted another name.
    pub(crate) fn set_aside(&self, fingerprint: &str, now_ns: u64) -> Result<(), PinError> {
        let folder = self.folder(fingerprint);
        fs::rename(&folder, self.folder(&format!("{fingerprint}-{now_ns}"))).map_err(on(&folder))
    }

    fn folders(&self) -> Result<impl Iterator<Item = PathBuf>, PinError> {
        let entries = fs::read_dir(&self.path).map_err(on(&self.path))?;
        let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok(folders.map(|entry| entry.path()).collect::<Vec<_>>().into_iter())
    }
}

fn name(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Whether things can be pinned below `path`, and how that stands, in words.
pub(crate) fn examine(path: &Path) -> Result<String, String> {
    find_filesystem(path, false)?;
    let folders = fs::read_dir(path).into_iter().flatten().flatten();
    let pinned = folders.filter(|entry| !name(&entry.path()).starts_with(STAGING)).count();
    let used = pinned > 0 && matches!(lock(path), Ok(None));
    Ok(format!(
        "{}: {}",
        path.display(),
        match (pinned, used) {
            (0, _) => "nothing is pinned yet",
            (_, true) => "in use by a running agent",
            (_, false) => "programs collect for the next agent",
        }
    ))
}

/// Looks for a BPF filesystem, and mounts one at the customary place where `path` lies there and nothing is mounted.
fn find_filesystem(path: &Path, mount: bool) -> Result<(), String> {
    if bpf::is_on_bpf(path) {
        return Ok(());
    }
    let customary = path.starts_with(bpf::CUSTOMARY);
    let advice = || {
        let where_to = if customary { Path::new(bpf::CUSTOMARY) } else { path };
        format!(
            "{} is not on a BPF filesystem; mount one (`mount -t bpf bpf {}`), in a container the host's",
            path.display(),
            where_to.display()
        )
    };
    let is_empty = || fs::read_dir(bpf::CUSTOMARY).is_ok_and(|mut entries| entries.next().is_none());
    if !customary || !is_empty() {
        return Err(advice());
    }
    if !mount {
        return Err(format!("no BPF filesystem at {} yet; the agent mounts one if it may", bpf::CUSTOMARY));
    }
    bpf::mount().map_err(|error| format!("{} ({error})", advice()))?;
    tracing::info!("mounted a BPF filesystem at {}", bpf::CUSTOMARY);
    Ok(())
}

/// The folder, locked; none where another process has locked it. The lock ends with the descriptor.
pub(super) fn lock(path: &Path) -> Result<Option<File>, PinError> {
    let folder = File::open(path).map_err(on(path))?;
    // SAFETY: a system call without pointers.
    if unsafe { libc::flock(folder.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(Some(folder));
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(on(path)(error)) }
}

fn make(folder: &Path) -> Result<(), PinError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(on(folder))
}

/// Removes a folder with all that is pinned in it: links first, so that nothing runs without its maps being told of.
pub(super) fn remove(folder: &Path) -> Result<(), PinError> {
    for part in [LINKS, PROGRAMS, MAPS] {
        let part = folder.join(part);
        if part.exists() {
            fs::remove_dir_all(&part).map_err(on(&part))?;
        }
    }
    fs::remove_dir(folder).map_err(on(folder))
}

/// A folder that is not complete yet; it goes again unless it is finished.
pub(crate) struct Staging {
    path: PathBuf,
    finished: bool,
}

impl Staging {
    /// Pins everything that was loaded.
    pub(crate) fn pin(place: &Place, fingerprint: &str, kernel: &mut Kernel) -> Result<Self, PinError> {
        let staging = Self { path: place.folder(&format!("{STAGING}{fingerprint}")), finished: false };
        for part in [LINKS, PROGRAMS, MAPS] {
            make(&staging.path.join(part))?;
        }
        if let Objects::Loaded(ebpf) = &mut kernel.objects {
            let programs: Vec<&str> = kernel.programs.iter().map(|program| program.name).collect();
            staging.pin_objects(ebpf, &programs)?;
        }
        for link in std::mem::take(&mut kernel.links) {
            let path = staging.path.join(LINKS).join(link.program);
            let pinned = link.link.pin(&path).map_err(|source| PinError::Pin { path, source })?;
            kernel.links.push(Link { link: FdLink::from(pinned), ..link });
        }
        Ok(staging)
    }

    fn pin_objects(&self, ebpf: &mut Ebpf, programs: &[&str]) -> Result<(), PinError> {
        let pin = |path: PathBuf| move |source| PinError::Pin { path, source };
        // The filesystem takes no names with dots; sections are held by the programs that read them.
        for (name, map) in ebpf.maps().filter(|(name, _)| !name.contains('.')) {
            let path = self.path.join(MAPS).join(name);
            map.pin(&path).map_err(pin(path))?;
        }
        for name in programs {
            let path = self.path.join(PROGRAMS).join(name);
            if let Some(program) = ebpf.program_mut(name) {
                program.pin(&path).map_err(pin(path))?;
            }
        }
        Ok(())
    }

    /// From now on an agent with the same fingerprint adopts it.
    pub(crate) fn finish(mut self, place: &Place, fingerprint: &str) -> Result<(), PinError> {
        let folder = place.folder(fingerprint);
        fs::rename(&self.path, &folder).map_err(on(&folder))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = remove(&self.path)
        {
            tracing::warn!("{error}");
        }
    }
}
