use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a test cannot do without.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// Every privilege.
    Root,
    /// A kernel that describes its own types, without which the agent's probes cannot be placed.
    Btf,
    /// A cgroup v2 hierarchy in which folders can be made.
    CgroupV2,
    /// A program in `PATH`.
    Program(&'static str),
    /// A file or folder, for example one below /proc or /sys.
    Path(&'static str),
    /// A shell command that succeeds.
    Runs(&'static str),
    /// Something else: why the test cannot run without it, and whether it is there.
    That(&'static str, fn() -> bool),
    /// Each of these.
    All(&'static [Self]),
}

impl Need {
    /// Why the need is not met, where it is not.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Root => (!is_root()).then(|| "needs root".to_owned()),
            Self::Btf => missing_path("/sys/kernel/btf/vmlinux"),
            Self::CgroupV2 => {
                cgroup2_root().is_none().then(|| "no cgroup v2 hierarchy is mounted".to_owned())
            }
            Self::Program(name) => (!is_in_path(name)).then(|| format!("no program {name}")),
            Self::Path(path) => missing_path(path),
            Self::All(needs) => needs.iter().find_map(|need| need.missing()),
            Self::That(reason, is_there) => (!is_there()).then(|| reason.to_owned()),
            Self::Runs(command) => (!runs(command)).then(|| format!("`{command}` does not run here")),
        }
    }
}

/// Where the cgroup v2 hierarchy is mounted; on a hybrid host that is not /sys/fs/cgroup.
#[must_use]
pub fn cgroup2_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        // proc_mounts(5): device, folder, type, options.
        let mut fields = line.split(' ').skip(1);
        let folder = fields.next()?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(folder))
    })
}

fn runs(command: &str) -> bool {
    let mut shell = Command::new("/bin/sh");
    let status = shell.args(["-c", command]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn missing_path(path: &str) -> Option<String> {
    (!Path::new(path).exists()).then(|| format!("no {path}"))
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}

fn is_in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_that_is_not_met_says_what_is_missing() {
        assert_eq!(Need::Program("sh").missing(), None);
        assert_eq!(Need::Path("/proc/self").missing(), None);
        assert_eq!(Need::Program("no-such-program").missing().unwrap(), "no program no-such-program");
        assert_eq!(Need::Runs("true").missing(), None);
        assert_eq!(Need::Runs("exit 1").missing().unwrap(), "`exit 1` does not run here");
        assert_eq!(Need::All(&[Need::Program("sh"), Need::Path("/proc/self")]).missing(), None);
        let all = Need::All(&[Need::Program("sh"), Need::Path("/no/such/path")]);
        assert_eq!(all.missing().unwrap(), "no /no/such/path");
        assert_eq!(Need::That("no luck", || true).missing(), None);
        assert_eq!(Need::That("no luck", || false).missing().unwrap(), "no luck");
        assert_eq!(Need::Path("/no/such/path").missing().unwrap(), "no /no/such/path");
    }
}
