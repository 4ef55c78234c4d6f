//! What /proc tells of processes that are older than the agent (proc(5)).

use std::collections::HashMap;
use std::fs;

use watchfire_model::{Exec, ExecId, Namespaces};

use crate::cgroup_members::CgroupMembers;
use crate::decode::strings;
use crate::host::Host;

/// `PF_KTHREAD` of include/linux/sched.h.
const PF_KTHREAD: u64 = 0x0020_0000;

/// The fields of /proc/PID/stat that identity needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    pub(crate) start_ticks: u64,
    pub(crate) kernel_thread: bool,
}

/// Process ids in /proc.
pub(crate) fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Reads /proc/PID/stat; none once the process is gone.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The command name stands in parentheses and may hold spaces and parentheses itself.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    // Fields from here: 3 state, 4 ppid, …, 9 flags, …, 22 starttime.
    let parent = fields.nth(1)?.parse().ok()?;
    let flags: u64 = fields.nth(4)?.parse().ok()?;
    let start_ticks = fields.nth(12)?.parse().ok()?;
    Some(Stat { parent, start_ticks, kernel_thread: flags & PF_KTHREAD != 0 })
}

/// Describes a running process as an exec record would; none once it is gone.
pub(crate) fn describe(pid: u32, boot: u32, cgroups: &CgroupMembers) -> Option<Exec> {
    let stat = stat(pid)?;
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}"));
    let link = |name: &str| {
        let target = fs::read_link(format!("/proc/{pid}/{name}"));
        target.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let namespace = |name: &str| {
        let target = link(&format!("ns/{name}"));
        target.split_once('[').and_then(|(_, inode)| inode.trim_end_matches(']').parse().ok()).unwrap_or(0)
    };
    let status = String::from_utf8_lossy(&read("status").ok()?).into_owned();
    let (uid, euid) = ids(&status, "Uid:")?;
    let (gid, _) = ids(&status, "Gid:")?;
    let parent = crate::procfs::stat(stat.parent).map(|parent| id(boot, stat.parent, parent));
    Some(Exec {
        process: id(boot, pid, stat),
        parent,
        binary: link("exe"),
        args: strings(&read("cmdline").unwrap_or_default()).collect(),
        args_truncated: false,
        cwd: link("cwd"),
        uid,
        euid,
        gid,
        cgroup_id: cgroups.of(pid),
        namespaces: Namespaces {
            net: namespace("net"),
            mnt: namespace("mnt"),
            pid: namespace("pid_for_children"),
            user: namespace("user"),
        },
        before_start: true,
    })
}

/// Every user process that had started when the clock showed `until_ticks`; younger ones are in the ring.
pub(crate) fn running(host: &Host, until_ticks: u64) -> HashMap<u32, Exec> {
    let cgroups = CgroupMembers::of_host(host);
    let older =
        |pid: &u32| stat(*pid).is_some_and(|stat| !stat.kernel_thread && stat.start_ticks <= until_ticks);
    pids()
        .into_iter()
        .filter(older)
        .filter_map(|pid| Some((pid, describe(pid, host.boot, &cgroups)?)))
        .collect()
}

fn id(boot: u32, pid: u32, stat: Stat) -> ExecId {
    ExecId { boot, pid, start_ticks: stat.start_ticks }
}

/// Real and effective id of a line of /proc/PID/status.
fn ids(status: &str, key: &str) -> Option<(u32, u32)> {
    let mut ids = status.lines().find_map(|line| line.strip_prefix(key))?.split_ascii_whitespace();
    Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_names_cannot_confuse_stat() {
        let tail = "S 41 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        for name in ["sh", "a b", ") R 1 (", "(sd-pam)"] {
            let parsed = parse_stat(&format!("42 ({name}) {tail}"));
            assert_eq!(parsed, Some(Stat { parent: 41, start_ticks: 98765, kernel_thread: false }), "{name}");
        }
        assert_eq!(parse_stat("42 (sh) S"), None);
    }

    #[test]
    fn describes_this_very_process() {
        let me = describe(std::process::id(), 7, &CgroupMembers::default()).unwrap();
        assert_eq!(me.process.pid, std::process::id());
        assert_eq!(me.binary, std::env::current_exe().unwrap().to_string_lossy());
        assert_eq!(me.cwd, std::env::current_dir().unwrap().to_string_lossy());
        assert_eq!(me.args, std::env::args().collect::<Vec<_>>());
        assert!(me.before_start && me.namespaces.net != 0);
    }
}
