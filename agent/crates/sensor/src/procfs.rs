//! What /proc tells of processes that are older than the agent (proc(5)).

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use watchfire_model::{BinaryFile, Device, Exec, ExecId, Namespaces};

use crate::cgroup_members::CgroupMembers;
use crate::decode::{strings, text};
use crate::host::Host;

/// `PF_KTHREAD` of include/linux/sched.h.
const PF_KTHREAD: u64 = 0x0020_0000;

/// What the kernel puts behind the path of a file that was removed (fs/d_path.c).
const REMOVED: &str = " (deleted)";

/// The fields of /proc/PID/stat that are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    pub(crate) start_ticks: u64,
    pub(crate) kernel_thread: bool,
    pub(crate) tty: Device,
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
    // Fields from here: 3 state, 4 ppid, …, 7 tty_nr, …, 9 flags, …, 22 starttime.
    let parent = fields.nth(1)?.parse().ok()?;
    let tty = terminal(fields.nth(2)?.parse().ok()?);
    let flags: u64 = fields.nth(1)?.parse().ok()?;
    let start_ticks = fields.nth(12)?.parse().ok()?;
    Some(Stat { parent, start_ticks, kernel_thread: flags & PF_KTHREAD != 0, tty })
}

/// `tty_nr` is signed and has the major in bits 8 to 19, the minor in the others (`new_encode_dev` of
/// include/linux/kdev_t.h).
const fn terminal(number: i32) -> Device {
    let number = number.cast_unsigned();
    Device::new(number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00)
}

/// Describes a running process as an exec record would; none once it is gone. Its environment is not read: what
/// stands there may have been changed since.
pub(crate) fn describe(pid: u32, boot: u32, cgroups: &CgroupMembers) -> Option<Exec> {
    let stat = stat(pid)?;
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}"));
    let link = |name: &str| {
        let target = fs::read_link(format!("/proc/{pid}/{name}"));
        target.map(|path| text(path.as_os_str().as_bytes())).unwrap_or_default()
    };
    let namespace = |name: &str| {
        let target = link(&format!("ns/{name}"));
        target.split_once('[').and_then(|(_, inode)| inode.trim_end_matches(']').parse().ok()).unwrap_or(0)
    };
    let status = String::from_utf8_lossy(&read("status").ok()?).into_owned();
    let (uid, euid) = ids(&status, "Uid:")?;
    let (gid, egid) = ids(&status, "Gid:")?;
    let parent = crate::procfs::stat(stat.parent).map(|parent| id(boot, stat.parent, parent));
    let file = binary_file(pid);
    let mut binary = link("exe");
    if file.unlinked && binary.ends_with(REMOVED) {
        binary.truncate(binary.len() - REMOVED.len());
    }
    Some(Exec {
        process: id(boot, pid, stat),
        parent,
        binary,
        args: strings(&read("cmdline").unwrap_or_default()).collect(),
        args_truncated: false,
        args_unreadable: false,
        env: Vec::new(),
        env_truncated: false,
        env_unreadable: false,
        cwd: link("cwd"),
        ns_pid: ns_pid(&status).unwrap_or(0),
        file,
        script: None,
        interpreter: None,
        tty: stat.tty,
        secure: false,
        effective: capabilities(&status, "CapEff:").unwrap_or(0),
        permitted: capabilities(&status, "CapPrm:").unwrap_or(0),
        uid,
        euid,
        gid,
        egid,
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

/// The executable, reached through the process, so whatever its name is by now.
fn binary_file(pid: u32) -> BinaryFile {
    let Ok(file) = fs::metadata(format!("/proc/{pid}/exe")) else { return BinaryFile::default() };
    BinaryFile {
        inode: file.ino(),
        device: Device::new(libc::major(file.dev()), libc::minor(file.dev())),
        mode: file.mode(),
        owner: file.uid(),
        group: file.gid(),
        unlinked: file.nlink() == 0,
        drift: None,
    }
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

/// The last of the process's ids: that in its own, innermost pid namespace.
fn ns_pid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_ascii_whitespace().next_back()?.parse().ok()
}

fn capabilities(status: &str, key: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix(key))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_names_cannot_confuse_stat() {
        let tail = "S 41 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        for name in ["sh", "a b", ") R 1 (", "(sd-pam)"] {
            let parsed = parse_stat(&format!("42 ({name}) {tail}"));
            let expected =
                Stat { parent: 41, start_ticks: 98765, kernel_thread: false, tty: Device::default() };
            assert_eq!(parsed, Some(expected), "{name}");
        }
        assert_eq!(parse_stat("42 (sh) S"), None);
    }

    #[test]
    fn terminals_and_ids_are_read() {
        assert_eq!(terminal(34819), Device::new(136, 3));
        assert_eq!(terminal(0x0010_8801), Device::new(136, 257));
        assert_eq!(terminal(0), Device::default());
        assert_eq!(ns_pid("Pid:\t42\nNSpid:\t42\t7\n"), Some(7));
        assert_eq!(ns_pid("Pid:\t42\n"), None);
        assert_eq!(capabilities("CapPrm:\t000001ffffffffff\n", "CapPrm:"), Some(0x1ff_ffff_ffff));
    }

    #[test]
    fn describes_this_very_process() {
        let me = describe(std::process::id(), 7, &CgroupMembers::default()).unwrap();
        assert_eq!(me.process.pid, std::process::id());
        assert_eq!(me.binary, std::env::current_exe().unwrap().to_string_lossy());
        assert_eq!(me.cwd, std::env::current_dir().unwrap().to_string_lossy());
        assert_eq!(me.args, std::env::args().collect::<Vec<_>>());
        assert!(me.before_start && me.namespaces.net != 0 && me.ns_pid != 0);
        let file = fs::metadata(std::env::current_exe().unwrap()).unwrap();
        assert_eq!((me.file.inode, me.file.mode, me.file.unlinked), (file.ino(), file.mode(), false));
    }
}
