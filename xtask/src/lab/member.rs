//! Programs in the lab: each runs in its member's network namespace and cgroup.

use std::fs;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::plan::{API, API_PORT, DB, DB_PORT, FOLDER, Member, OUTSIDER, OUTSIDER_PORT};
use crate::packages::{BUSYBOX, REDIS_CLI, REDIS_SERVER};
use crate::process::wait_until;
use crate::{cgroups, setup};

const START_LIMIT: Duration = Duration::from_secs(20);

/// What the api answers with: a word from the database.
const STOCK_PAGE: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nexec \"$REDIS_CLI\" -h \"$DB_ADDRESS\" -p \"$DB_PORT\" INCR requests\n";

/// Copies the programs into the lab's folder: they show up under short names, and may be on any file system.
pub(super) fn install_programs() -> Result<()> {
    for tool in [BUSYBOX, REDIS_SERVER, REDIS_CLI] {
        let (from, to) = (setup::tool_binary(&tool)?, program(tool.program));
        fs::create_dir_all(to.parent().context("programs lie in a folder")?)
            .and_then(|()| fs::copy(&from, &to))
            .with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    }
    let page = Path::new(FOLDER).join("www/cgi-bin/stock");
    fs::create_dir_all(page.parent().context("pages lie in a folder")?)
        .and_then(|()| fs::write(&page, STOCK_PAGE))
        .and_then(|()| fs::set_permissions(&page, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("write {}", page.display()))
}

/// Starts every server and waits until each listens.
pub(super) fn start_servers() -> Result<()> {
    let pages = Path::new(FOLDER).join("www").display().to_string();
    let api = format!("{}:{API_PORT}", API.address());
    let outsider = format!("{}:{OUTSIDER_PORT}", OUTSIDER.address());
    let (db_address, db_port) = (DB.address(), DB_PORT.to_string());
    let redis = ["--bind", &db_address, "--port", &db_port, "--save", "", "--protected-mode", "no"];
    serve(DB, DB_PORT, &program("redis-server"), &redis)?;
    serve(API, API_PORT, &program("busybox"), &["httpd", "-f", "-p", &api, "-h", &pages])?;
    serve(OUTSIDER, OUTSIDER_PORT, &program("busybox"), &["httpd", "-f", "-p", &outsider, "-h", &pages])
}

/// A command that runs as this member.
pub(super) fn command(member: Member, program: &Path, arguments: &[&str]) -> Result<Command> {
    let cgroup = cgroups::v2_root()?.join(member.cgroup()).join("cgroup.procs");
    let busybox = self::program("busybox");
    let mut command = Command::new(&busybox);
    command
        .arg("nsenter")
        .arg(format!("--net=/run/netns/{}", member.namespace()))
        .arg(&busybox)
        // The shell enters the cgroup and becomes the program: what is seen in the pod is the program alone.
        .args(["sh", "-c", "echo $$ > \"$0\" && exec \"$@\""])
        .arg(cgroup)
        .arg(program)
        .args(arguments)
        .current_dir(FOLDER)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LD_LIBRARY_PATH", libraries()?)
        .env("REDIS_CLI", self::program("redis-cli"))
        .env("DB_ADDRESS", DB.address())
        .env("DB_PORT", DB_PORT.to_string())
        .stdin(Stdio::null())
        // Ctrl-C at the terminal is for the task, which then tears down.
        .process_group(0);
    Ok(command)
}

/// Where a program lies inside the lab.
pub(super) fn program(name: &str) -> PathBuf {
    Path::new(FOLDER).join("bin").join(name)
}

fn libraries() -> Result<String> {
    let folders = [setup::tool_libraries(&REDIS_SERVER)?, setup::tool_libraries(&REDIS_CLI)?];
    Ok(folders.map(|folder| folder.display().to_string()).join(":"))
}

fn serve(member: Member, port: u16, program: &Path, arguments: &[&str]) -> Result<()> {
    let log = Path::new(FOLDER).join(format!("{}.log", member.name));
    let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let mut command = command(member, program, arguments)?;
    command.stdout(output.try_clone()?).stderr(output);
    let mut child = command.spawn().with_context(|| format!("start {}", member.name))?;
    wait_until(START_LIMIT, || is_listening(&mut child, port).then_some(()))
        .with_context(|| format!("{} does not listen on port {port}; see {}", member.name, log.display()))
}

/// Asks the kernel rather than the port: a connection would be traffic that nobody ordered.
fn is_listening(child: &mut Child, port: u16) -> bool {
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", child.id())).unwrap_or_default();
    // proc_pid_net(5): local address, remote address, state; 0A is LISTEN.
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1).is_some_and(|local| local.ends_with(&format!(":{port:04X}")))
            && fields.get(3) == Some(&"0A")
    })
}
