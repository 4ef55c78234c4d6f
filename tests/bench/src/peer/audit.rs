//! The kernel's audit, and auditd, which writes it to a file.
//!
//! There is one audit in a machine. Where the machine has a daemon of its own, that is left alone and the peer left out.
//! Otherwise the audit is as it was once the peer has ended, with one exception: a kernel whose audit was ever enabled looks
//! at each system call of each process that starts later, which costs more than many of the workloads here. The rule
//! `never,task`, which Debian's own rules lack and Fedora's have, takes that away again, so it stays.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::probe::FILES;
use super::tool::Tool;
use super::{Mark, Unavailable, sandbox};
use crate::workload::Workload;

/// The log, in the folder of the peer's own files.
pub(super) const LOG: &str = "audit.log";
/// Where the script leaves how many records the kernel had no room for.
const LOST: &str = "lost";

/// Starts the daemon with one rule for each argument, and undoes everything when it is asked to end.
pub(super) const BODY: &str = r#"
control() { chroot "$root" /usr/sbin/auditctl "$@"; }
state() { control -s | sed -n "s/^$1 //p"; }
enabled=$(state enabled) backlog=$(state backlog_limit) lost=$(state lost) other=$(state pid)
[ "$other" = 0 ] || { echo "the machine has a daemon of its own, process $other" >&2; exit 1; }
[ "$enabled" != 2 ] || { echo "the rules of the kernel's audit are locked" >&2; exit 1; }
quietly() { control "$@" > /dev/null 2>&1; }
quietly -D -k watchfire-bench || true
quietly -d never,task || true
quietly -b 65536
for rule in "$@"; do control -a always,exit -F arch=b64 $rule -k watchfire-bench > /dev/null; done
chroot "$root" /usr/sbin/auditd -n -c /mnt/config -s enable &
daemon=$!
trap 'kill -TERM $daemon' INT TERM HUP
set +e
while kill -0 $daemon 2> /dev/null; do wait $daemon; done
echo $(($(state lost) - lost)) > "$own/lost"
quietly -D -k watchfire-bench
if [ "$enabled" = 0 ]; then quietly -a never,task; quietly -e 0; fi
quietly -b "$backlog"
"#;

/// Nothing is rotated away or waited for.
const CONFIG: &str = "local_events = yes
write_logs = yes
log_file = /mnt/audit.log
log_format = RAW
flush = NONE
max_log_file = 8192
max_log_file_action = IGNORE
num_logs = 0
space_left = 2
space_left_action = IGNORE
admin_space_left = 1
admin_space_left_action = IGNORE
disk_full_action = SUSPEND
disk_error_action = SUSPEND
plugin_dir = /mnt/config
";

/// Rules for a workload.
pub(super) fn rules(workload: Workload, watched: &Path) -> Option<Vec<String>> {
    let name = watched.file_name()?.to_str()?;
    let file = |name: &str| format!("-S openat -F path={}/{name}", sandbox::WORK);
    Some(match workload {
        Workload::Exec => vec!["-S execve,execveat".to_owned()],
        Workload::Open => vec![file(name), file(&format!("{FILES}probe"))],
        Workload::Connect => vec!["-S connect".to_owned()],
        Workload::Getppid | Workload::Stream | Workload::Datagram => return None,
    })
}

/// What the records contain.
pub(super) fn texts(workload: Workload, mark: Mark<'_>) -> Option<Box<[String]>> {
    Some(match workload {
        Workload::Exec => Box::new(["type=EXECVE ".to_owned(), format!(r#"a1="nothing" a2="{}""#, mark.tag)]),
        Workload::Open => Box::new([
            "type=PATH ".to_owned(),
            format!(r#"name="{}""#, mark.path),
            "nametype=NORMAL".to_owned(),
        ]),
        // `struct sockaddr_in` as it lies in memory: the family in the machine's order, port and address in the network's.
        Workload::Connect => {
            let family = u16::to_ne_bytes(2);
            Box::new([
                "type=SOCKADDR ".to_owned(),
                format!("saddr={:02X}{:02X}{:04X}7F000001", family[0], family[1], mark.port),
            ])
        }
        Workload::Getppid | Workload::Stream | Workload::Datagram => return None,
    })
}

/// Writes the daemon's configuration, which it wants to be nobody else's.
pub(super) fn write_config(folder: &Path) -> Result<()> {
    let config = folder.join("config");
    fs::create_dir(&config)?;
    let file = config.join("auditd.conf");
    fs::write(&file, CONFIG).with_context(|| format!("write {}", file.display()))?;
    Ok(fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?)
}

/// The daemon, a child of the script, and the kernel's thread that hands it its records.
pub(super) fn processes(script: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end meanwhile.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((before, after)) = stat.rsplit_once(") ") else { continue };
        let parent = after.split_whitespace().nth(1).and_then(|parent| parent.parse::<u32>().ok());
        let is_daemon = before.ends_with("(auditd") && parent == Some(script);
        if is_daemon || before.ends_with("(kauditd") {
            found.push(pid);
        }
    }
    if found.len() != 2 {
        bail!(Unavailable(format!("of auditd and kauditd {} are there", found.len())));
    }
    Ok(found)
}

/// How many records the kernel had no room for, once the script has ended.
pub(super) fn lost(tool: &Tool) -> Result<u64> {
    let text = fs::read_to_string(tool.file(LOST)).context("the script says what was lost")?;
    text.trim().parse().with_context(|| format!("a number of records lost, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_by_its_bytes() {
        let mark = Mark { tag: "t", path: "/p", port: 47_811 };
        let texts = texts(Workload::Connect, mark).unwrap();
        let log = "type=SOCKADDR msg=audit(1.2:3): saddr=0200BAC37F0000010000000000000000\n";
        if cfg!(target_endian = "little") {
            assert_eq!(crate::lines::count(log.as_bytes(), &texts).unwrap(), 1);
        }
    }
}
