//! A root folder that holds a program with all its libraries, down to the C library, and what it sees of this machine.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Where the program finds the folder for its own files.
pub(super) const OWN: &str = "/mnt";
/// Where it finds the folder of the work's files.
pub(super) const WORK: &str = "/media";

/// What is mounted for it, in a namespace that ends with it. The tracing file system is where the kernel says what can be
/// traced; a machine may not have mounted it.
const MOUNTS: &str = r#"set -e
root=$1 own=$2 work=$3
shift 3
for each in proc sys dev; do mount --rbind "/$each" "$root/$each"; done
for each in tmp run; do mount -t tmpfs none "$root/$each"; done
mount --bind "$own" "$root/mnt"
mount --bind "$work" "$root/media"
[ -e "$root/sys/kernel/tracing/events" ] || mount -t tracefs none "$root/sys/kernel/tracing" || true
"#;

/// What follows the mounts where the program is run by itself.
pub(super) const ALONE: &str = r#"exec chroot "$root" "$@""#;

/// A command that runs `body`, a shell script in which `$root` is the folder, after everything is mounted.
pub(super) fn command(root: &Path, own: &Path, work: &Path, body: &str, arguments: &[String]) -> Command {
    let mut command = Command::new("setpriv");
    // It ends with the benchmark, however that ends.
    command.args(["--pdeathsig", "TERM", "unshare", "--mount", "sh", "-c", &format!("{MOUNTS}{body}"), "sh"]);
    command.args([root, own, work].map(OsStr::new)).args(arguments);
    // Without a time zone opensnoop looks for one at each file that is opened, that one included, and so for ever.
    command.env("TZ", "UTC0");
    command
}
