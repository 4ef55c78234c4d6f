//! What records tell of a new program image.

use std::borrow::Cow;
use std::collections::BTreeMap;

use watchfire_model::{BinaryFile, Exec, ExecDetail, Process, capability_names};

use crate::{Redactor, VariableName};

const S_ISUID: u32 = 0o4000;
const S_ISGID: u32 = 0o2000;

/// File names of shells. busybox is one where it was started as one.
const SHELLS: [&str; 10] = ["sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "mksh", "csh", "tcsh"];

/// What gets into the process table and into records of new images.
#[derive(Clone, Default, Debug)]
pub struct Intake {
    /// Replaces secrets; none leaves everything as it is.
    pub redactor: Option<Redactor>,
    /// Variables of the environment that are kept.
    pub environment: Vec<VariableName>,
}

/// The arguments as they are kept, and what else is told of the new image. `before` is the process until now.
pub(super) fn describe(
    exec: &mut Exec,
    before: Option<&Process>,
    intake: &Intake,
) -> (Vec<String>, ExecDetail) {
    let args = std::mem::take(&mut exec.args);
    let shell = is_shell(&exec.binary, &args);
    let (args, args_redacted) = match &intake.redactor {
        Some(redactor) => redactor.args(args),
        None => (args, false),
    };
    let (env, env_redacted) = environment(std::mem::take(&mut exec.env), intake);
    let BinaryFile { inode, device, mode, owner, group, unlinked, drift } = exec.file;
    let known = (inode != 0).then_some(());
    // Another one than the user's own, or than until now.
    let euid_raised = exec.euid != exec.uid || before.is_some_and(|before| before.euid != exec.euid);
    let egid_raised =
        exec.egid != exec.gid || before.and_then(|before| before.egid).is_some_and(|egid| egid != exec.egid);
    let gained = match before.and_then(|before| before.permitted) {
        Some(permitted) if exec.uid != 0 => exec.permitted & !permitted,
        _ => 0,
    };
    let tty = exec.tty.terminal_name();
    let detail = ExecDetail {
        env,
        args_redacted,
        env_redacted,
        args_unreadable: exec.args_unreadable,
        env_truncated: exec.env_truncated,
        env_unreadable: exec.env_unreadable,
        binary_inode: known.map(|()| inode),
        binary_device: known.map(|()| device),
        binary_mode: (mode != 0).then(|| format!("{mode:o}")),
        binary_owner: known.map(|()| owner),
        setuid: mode & S_ISUID != 0 && exec.euid == owner && euid_raised,
        setgid: mode & S_ISGID != 0 && exec.egid == group && egid_raised,
        secure_exec: exec.secure,
        fileless: unlinked,
        drift,
        script: exec.script.take(),
        interpreter: exec.interpreter.take(),
        capabilities_gained: capability_names(gained),
        shell_with_tty: shell && tty.is_some(),
        tty,
    };
    (args, detail)
}

/// The variables that are to be kept, and whether something in them was masked.
fn environment(env: Vec<String>, intake: &Intake) -> (BTreeMap<String, String>, bool) {
    let mut kept = BTreeMap::new();
    let mut masked = false;
    for variable in env {
        let Some((name, value)) = variable.split_once('=') else { continue };
        if !intake.environment.iter().any(|wanted| wanted.matches(name)) {
            continue;
        }
        let redacted = match &intake.redactor {
            Some(redactor) => redactor.variable(name, value),
            None => Cow::Borrowed(value),
        };
        masked |= redacted != value;
        kept.insert(name.to_owned(), redacted.into_owned());
    }
    (kept, masked)
}

fn is_shell(binary: &str, args: &[String]) -> bool {
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    match file_name(binary).as_str() {
        "busybox" => {
            // `busybox sh`, or by a link named after the shell; a login shell begins with a dash.
            let first = args.first().map(|arg| file_name(arg)).unwrap_or_default();
            let applet = if first == "busybox" { args.get(1).cloned().unwrap_or_default() } else { first };
            SHELLS.contains(&applet.trim_start_matches('-'))
        }
        name => SHELLS.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use watchfire_model::Device;

    use super::*;
    use crate::unknown_process;

    fn exec() -> Exec {
        let mut exec = crate::processes::tests::exec(crate::processes::tests::id(2, 5), &["/bin/su"]);
        (exec.uid, exec.gid, exec.euid, exec.egid) = (1000, 1000, 1000, 1000);
        exec.file = BinaryFile { inode: 7, mode: 0o104_755, owner: 0, group: 0, ..BinaryFile::default() };
        exec
    }

    fn detail(mut exec: Exec, before: Option<&Process>) -> ExecDetail {
        describe(&mut exec, before, &Intake::default()).1
    }

    #[test]
    fn a_setuid_bit_counts_where_it_gave_something() {
        assert!(!detail(exec(), None).setuid, "nosuid mounts and traced processes gain nothing");
        assert!(detail(Exec { euid: 0, ..exec() }, None).setuid);
        let root = Exec { uid: 0, euid: 0, ..exec() };
        assert!(!detail(root.clone(), None).setuid);
        let before = Process { euid: 1000, ..unknown_process(root.process) };
        assert!(detail(root.clone(), Some(&before)).setuid, "back to the saved id");
        let plain = Exec { euid: 0, file: BinaryFile { mode: 0o100_755, ..root.file }, ..exec() };
        assert!(!detail(plain, None).setuid);
        let setgid = Exec { egid: 5, file: BinaryFile { mode: 0o102_755, group: 5, ..root.file }, ..exec() };
        let setgid = detail(setgid, None);
        assert_eq!(
            (setgid.setgid, setgid.setuid, setgid.binary_mode.as_deref()),
            (true, false, Some("102755"))
        );
    }

    #[test]
    fn gained_capabilities() {
        let before = Process { permitted: Some(1), ..unknown_process(exec().process) };
        let now = Exec { permitted: 1 | 1 << 12, ..exec() };
        assert_eq!(detail(now.clone(), Some(&before)).capabilities_gained, ["CAP_NET_ADMIN"]);
        assert!(detail(now.clone(), None).capabilities_gained.is_empty());
        assert!(detail(Exec { uid: 0, ..now }, Some(&before)).capabilities_gained.is_empty());
    }

    #[test]
    fn kept_variables_are_redacted() {
        let names = ["PATH", "DB_*"].map(|name| VariableName::try_from(name.to_owned()).unwrap());
        let intake = Intake { redactor: Some(Redactor::default()), environment: names.to_vec() };
        let env = ["PATH=/bin", "HOME=/root", "DB_PASSWORD=x", "DB_NAME=shop", "none"];
        let mut exec = Exec { env: env.map(str::to_owned).to_vec(), ..exec() };
        let (_, detail) = describe(&mut exec, None, &intake);
        let kept: Vec<_> = detail.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(kept, ["DB_NAME=shop", "DB_PASSWORD=REDACTED", "PATH=/bin"]);
        assert!(detail.env_redacted && !detail.args_redacted);
    }

    #[test]
    fn shells_with_terminals() {
        for (binary, args, expected) in [
            ("/bin/bash", &["-bash"][..], true),
            ("/usr/bin/dash", &["sh"], true),
            ("/bin/busybox", &["sh"], true),
            ("/bin/busybox", &["-ash"], true),
            ("/bin/busybox", &["busybox", "sh"], true),
            ("/bin/busybox", &["ls"], false),
            ("/bin/ls", &["sh"], false),
        ] {
            let exec = Exec {
                binary: binary.to_owned(),
                args: args.iter().map(|&arg| arg.to_owned()).collect(),
                tty: Device::new(136, 3),
                ..exec()
            };
            let told = detail(exec.clone(), None);
            assert_eq!(
                (told.shell_with_tty, told.tty.as_deref()),
                (expected, Some("pts/3")),
                "{binary} {args:?}"
            );
            assert!(!detail(Exec { tty: Device::default(), ..exec }, None).shell_with_tty);
        }
    }
}
