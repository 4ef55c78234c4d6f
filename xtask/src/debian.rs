//! Debian packages used without being installed: fetched by `apt-get` into a state folder of our own, unpacked by `dpkg`.

mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{paths, process};

/// A view of one Debian release, apart from the machine's own package state.
pub(crate) struct Apt {
    state: PathBuf,
    /// The list of what is installed, so that only what is missing is fetched.
    status: PathBuf,
}

impl Apt {
    /// A release of which packages are taken whole, with all that they need down to the C library, whatever the machine has.
    pub(crate) fn of_suite_alone(suite: &str) -> Result<Self> {
        let mut apt = Self::of_suite(suite)?;
        apt.status = apt.state.join("nothing-installed");
        fs::write(&apt.status, "").with_context(|| format!("write {}", apt.status.display()))?;
        Ok(apt)
    }

    /// Fetches the package lists of a release, from the mirror that the machine itself uses.
    pub(crate) fn of_suite(suite: &str) -> Result<Self> {
        let state = paths::cache().join("apt").join(suite);
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = state.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let apt = Self { state, status: PathBuf::from("/var/lib/dpkg/status") };
        let list = apt.state.join("sources.list");
        fs::write(&list, sources::lines_for(suite)?).with_context(|| format!("write {}", list.display()))?;
        process::run_quietly(apt.command("apt-get").arg("update"))?;
        Ok(apt)
    }

    /// The packages themselves and whatever else the machine lacks to run them, as `name=version`.
    pub(crate) fn with_dependencies(&self, names: &[String]) -> Result<Vec<String>> {
        let mut wanted: BTreeSet<String> = names.iter().cloned().collect();
        let mut simulate = self.command("apt-get");
        simulate.args(["install", "--simulate", "--no-install-recommends"]).args(names);
        for line in process::read(&mut simulate)?.lines() {
            // `Inst libllvm22 (1:22.1.8-1~deb12u1 Debian-Security:12/… [amd64])`
            let Some((name, rest)) = line.strip_prefix("Inst ").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            let Some((_, version)) = rest.split_once('(') else { continue };
            let version = version.split_whitespace().next().unwrap_or_default();
            wanted.remove(name);
            wanted.insert(format!("{name}={version}"));
        }
        Ok(wanted.into_iter().collect())
    }

    /// What a package depends on, by name.
    pub(crate) fn dependencies(&self, name: &str) -> Result<Vec<String>> {
        let text = process::read(self.command("apt-cache").args(["depends", "--important", name]))?;
        let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// Downloads packages and unpacks them below `root`, running none of their scripts.
    pub(crate) fn unpack(&self, packages: &[String], root: &Path) -> Result<()> {
        let archives = root.with_extension("debs");
        fs::create_dir_all(&archives).with_context(|| format!("create {}", archives.display()))?;
        process::run_quietly(self.command("apt-get").arg("download").args(packages).current_dir(&archives))?;
        for entry in fs::read_dir(&archives).with_context(|| format!("list {}", archives.display()))? {
            process::run_quietly(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(root))?;
        }
        fs::remove_dir_all(&archives).with_context(|| format!("remove {}", archives.display()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut set = |key: &str, value: &Path| {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        };
        set("Dir::Etc::sourcelist", &self.state.join("sources.list"));
        set("Dir::Etc::sourceparts", Path::new("/dev/null"));
        set("Dir::Etc::preferencesparts", Path::new("/dev/null"));
        set("Dir::State", &self.state);
        set("Dir::State::lists", &self.state.join("lists"));
        set("Dir::State::status", &self.status);
        set("Dir::Cache", &self.state.join("cache"));
        command.args(["-o", "Acquire::Languages=none"]);
        if process::is_root() {
            // The unprivileged user that apt would download as may not enter the cache folder.
            command.args(["-o", "APT::Sandbox::User=root"]);
        }
        command.env("LC_ALL", "C");
        command
    }
}

/// True on Debian: other distributions' packages have other names.
pub(crate) fn is_host() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let is_debian = release.lines().any(|line| line == "ID=debian");
    is_debian && process::which("apt-get").is_some() && process::which("dpkg").is_some()
}

/// Debian's name of this machine's architecture.
pub(crate) fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("no packages are known for {other}: x86_64 and aarch64 are supported"),
    }
}
