//! The links that hold the programs at their hooks, and whether somebody took them away.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use aya::programs::links::FdLink;

/// A program at its hook, for as long as this or its pin lives.
pub(crate) struct Link {
    pub(crate) program: &'static str,
    /// The probe that it is for.
    pub(crate) probe: &'static str,
    pub(crate) link: FdLink,
}

/// A link that is looked after.
struct Watched {
    link: Link,
    /// Number of its descriptor; none where /proc does not tell.
    fd: Option<i32>,
    /// Id of the program that it was made for.
    program_id: u32,
    pin: Option<PathBuf>,
    trouble: Option<Trouble>,
}

/// What somebody did to a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Trouble {
    /// The pin is gone: the program ends with this agent.
    Unpinned,
    /// It calls another program.
    Replaced,
    /// It is at no hook any more.
    Detached,
}

impl Trouble {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unpinned => "its pin was removed, it ends with this agent",
            Self::Replaced => "another program was put in its place",
            Self::Detached => "it was detached",
        }
    }
}

/// All links of the sensor.
pub(crate) struct Links(Vec<Watched>);

impl Links {
    /// Looks after links; each is pinned in `folder` under its program's name, where there is one.
    pub(crate) fn new(links: Vec<Link>, folder: Option<PathBuf>) -> Self {
        let mut watched = Self(Vec::new());
        watched.watch(links, folder.as_deref());
        watched
    }

    /// Looks after more links, which are not pinned.
    pub(crate) fn add(&mut self, links: Vec<Link>) {
        self.watch(links, None);
    }

    fn watch(&mut self, links: Vec<Link>, folder: Option<&Path>) {
        let fds = descriptors();
        self.0.extend(links.into_iter().map(|link| {
            let info = link.link.info().ok();
            Watched {
                fd: info.as_ref().and_then(|info| fds.get(&info.id()).copied()),
                program_id: info.map_or(0, |info| info.program_id()),
                pin: folder.map(|folder| folder.join(link.program)),
                trouble: None,
                link,
            }
        }));
    }

    /// Lets go of every link. What is not pinned is detached by that.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Looks whether every link is where it was put, and says what is new.
    pub(crate) fn look(&mut self) {
        let mut news: HashMap<Trouble, Vec<&'static str>> = HashMap::new();
        for watched in &mut self.0 {
            let trouble = watched.look();
            // What is worse is news as well.
            if let Some(worse) = trouble.filter(|_| trouble > watched.trouble) {
                watched.trouble = trouble;
                news.entry(worse).or_default().push(watched.link.program);
            }
        }
        for (trouble, programs) in news {
            tracing::error!(
                programs = programs.join(", "),
                "kernel programs were tampered with: {}",
                trouble.as_str()
            );
        }
    }

    /// How many links somebody did something to.
    pub(crate) fn troubled(&self) -> usize {
        self.0.iter().filter(|watched| watched.trouble.is_some()).count()
    }

    /// The worst that happened to a probe's links, where it does not see everything any more.
    pub(crate) fn blinded(&self, probe: &str) -> Option<Trouble> {
        let of_probe = self.0.iter().filter(|watched| watched.link.probe == probe);
        of_probe.filter_map(|watched| watched.trouble).max().filter(|trouble| *trouble > Trouble::Unpinned)
    }
}

impl Watched {
    fn look(&self) -> Option<Trouble> {
        let info = self.fd.and_then(|fd| fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok());
        let trouble = info.and_then(|info| trouble(&info, self.program_id));
        let unpinned = || self.pin.as_ref().is_some_and(|pin| fs::symlink_metadata(pin).is_err());
        trouble.or_else(|| unpinned().then_some(Trouble::Unpinned))
    }
}

/// A link to a cgroup that was detached by force tells a cgroup of id 0 (kernel/bpf/cgroup.c, `bpf_cgroup_link_show_fdinfo`).
/// Those of other kinds cannot be.
fn trouble(info: &str, program_id: u32) -> Option<Trouble> {
    if field(info, "cgroup_id") == Some(0) {
        return Some(Trouble::Detached);
    }
    let program = field(info, "prog_id")?;
    (program != u64::from(program_id)).then_some(Trouble::Replaced)
}

/// A number of /proc/PID/fdinfo/FD.
pub(crate) fn field(info: &str, name: &str) -> Option<u64> {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().parse().ok()
}

/// The descriptors of this process's links by link id.
fn descriptors() -> HashMap<u32, i32> {
    let entries = fs::read_dir("/proc/self/fdinfo").into_iter().flatten().flatten();
    let link = |entry: fs::DirEntry| {
        let info = fs::read_to_string(entry.path()).ok()?;
        let id = field(&info, "link_id")?;
        Some((u32::try_from(id).ok()?, entry.file_name().to_str()?.parse().ok()?))
    };
    entries.filter_map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_tells_whether_it_is_as_it_was() {
        let cgroup =
            "pos:\t0\nlink_type:\tcgroup\nlink_id:\t5\nprog_id:\t37\ncgroup_id:\t1\nattach_type:\t6\n";
        let tracing = "link_type:\traw_tracepoint\nlink_id:\t9\nprog_id:\t37\ntp_name:\tsys_exit\n";
        for (info, program, expected) in [
            (cgroup, 37, None),
            (cgroup, 38, Some(Trouble::Replaced)),
            (&cgroup.replace("cgroup_id:\t1", "cgroup_id:\t0"), 37, Some(Trouble::Detached)),
            (tracing, 37, None),
            ("pos:\t0\n", 37, None),
        ] {
            assert_eq!(trouble(info, program), expected, "{info}");
        }
    }
}
