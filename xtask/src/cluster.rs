//! `cluster`: a real Kubernetes node on this machine, or its container runtime alone.

mod command_line;
mod config;
mod identity;
mod images;
mod machine;
mod part;
mod plan;
mod programs;
mod start;
mod tools;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::{Subcommand, ValueEnum as _};

use crate::journal::{Journal, undone_on_error};
use crate::process::{self, Step};
use crate::setup::Kubernetes;
use crate::{cgroups, debian};
use part::Part;
use plan::{CGROUP, FOLDER};
use programs::Programs;

/// What the cluster has made.
const JOURNAL: Journal = Journal::new("cluster", FOLDER);

/// Arguments of `cluster`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start what does not run yet
    Up {
        /// Start these parts alone, e.g. containerd
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Part>,
    },
    /// Remove everything that the cluster has made, pods included
    Down,
    /// Which parts run
    Status,
    /// Run kubectl as administrator
    Kubectl {
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run etcd's client
    Etcdctl {
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run containerd's client
    Ctr {
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Import an archive of images, as `cargo xtask image` writes it
    Load {
        /// The tar file
        archive: PathBuf,
    },
    /// Stop parts; pods go on
    Stop {
        /// Without asking, as a crash would
        #[arg(long)]
        kill: bool,
        /// Which
        #[arg(required = true, value_enum)]
        parts: Vec<Part>,
    },
    /// Start parts that were stopped
    Start {
        /// Which
        #[arg(required = true, value_enum)]
        parts: Vec<Part>,
    },
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !process::is_root() {
        if let Action::Up { only } = &args.action {
            // As the user who owns the cache.
            Programs::ready(wanted(only))?;
        }
        return process::again_as_root();
    }
    match &args.action {
        Action::Up { only } => up(wanted(only)),
        Action::Down => down(),
        Action::Status => status(),
        Action::Kubectl { arguments } => client(tools::kubectl_command, arguments),
        Action::Etcdctl { arguments } => client(tools::etcdctl_command, arguments),
        Action::Ctr { arguments } => client(tools::ctr_command, arguments),
        Action::Load { archive } => {
            require_folder()?;
            let names = images::load(archive)?;
            names.iter().for_each(|name| println!("{name}"));
            Ok(())
        }
        Action::Stop { kill, parts } => {
            require_folder()?;
            parts.iter().try_for_each(|part| start::stop(*part, *kill))
        }
        Action::Start { parts } => {
            require_folder()?;
            start::all(parts, &Programs::ready(parts)?)
        }
    }
}

/// Fetches and builds everything, and says where Kubernetes is.
pub(crate) fn fetch_all() -> Result<String> {
    Ok(Programs::ready(Part::value_variants())?.search_path)
}

/// Why there can be no cluster on this machine, where that is so.
pub(crate) fn missing() -> Option<String> {
    if !process::is_root() && process::which("sudo").is_none() {
        return Some("needs root or sudo".to_owned());
    }
    if !debian::is_host() {
        return Some("containerd and etcd come as Debian packages, and this is no Debian".to_owned());
    }
    // What cannot be fetched or built is no fault of the code under test.
    let outcome = cgroups::v2_root().and_then(|_| Programs::ready(Part::value_variants()));
    outcome.err().map(|error| format!("{error:#}").lines().next().unwrap_or_default().to_owned())
}

/// Whether there is a cluster.
pub(crate) fn is_up() -> bool {
    is_prepared().exists()
}

/// What tests are told of the cluster.
pub(crate) fn environment() -> Result<Vec<(&'static str, String)>> {
    let text = |path: PathBuf| path.display().to_string();
    Ok(vec![
        ("WATCHFIRE_CLUSTER_DIR", FOLDER.to_owned()),
        ("WATCHFIRE_CLUSTER_IMAGE", images::WORKLOAD.to_owned()),
        ("WATCHFIRE_CRI_SOCKET", text(plan::containerd_socket())),
        ("WATCHFIRE_KUBECONFIG", text(plan::kubeconfig())),
        ("WATCHFIRE_KUBECTL", text(Kubernetes::ready()?.program("kubectl"))),
    ])
}

fn wanted(only: &[Part]) -> &[Part] {
    if only.is_empty() { Part::value_variants() } else { only }
}

fn up(parts: &[Part]) -> Result<()> {
    let programs = Programs::ready(parts)?;
    // What an interrupted run has left.
    if !is_prepared().exists() && undo()? {
        eprintln!("==> what was left of an earlier cluster is removed");
    }
    if is_prepared().exists() {
        start::all(parts, &programs)?;
    } else {
        undone_on_error(prepare(&programs).and_then(|()| start::all(parts, &programs)), undo)?;
    }
    for line in directions(parts) {
        println!("{line}");
    }
    Ok(())
}

fn prepare(programs: &Programs) -> Result<()> {
    let _step = Step::new("cluster: bridges, cgroups and configuration");
    machine::check()?;
    fs::create_dir_all(FOLDER).with_context(|| format!("create {FOLDER}"))?;
    machine::create()?;
    config::create(programs)?;
    fs::write(is_prepared(), "").with_context(|| format!("write {}", is_prepared().display()))
}

/// Exists once everything does that is there before programs start.
fn is_prepared() -> PathBuf {
    plan::file("prepared")
}

fn directions(parts: &[Part]) -> Vec<String> {
    let mut lines = vec![format!("folder:      {FOLDER}")];
    if parts.contains(&Part::Containerd) {
        lines.push(format!("CRI socket:  {}", plan::containerd_socket().display()));
        lines.push(format!("image:       {}", images::WORKLOAD));
    }
    if parts.contains(&Part::Apiserver) {
        lines.push(format!("kubeconfig:  {}", plan::kubeconfig().display()));
        lines.push("use it:      cargo xtask cluster kubectl get pods --all-namespaces".to_owned());
    }
    lines.push("end it:      cargo xtask cluster down".to_owned());
    lines
}

fn down() -> Result<()> {
    if undo()? {
        eprintln!("==> the cluster is torn down");
    } else {
        eprintln!("==> there is no cluster");
    }
    Ok(())
}

/// Removes everything that is noted, and what programs have left in folders of others.
fn undo() -> Result<bool> {
    if JOURNAL.exists() {
        cgroups::empty_everywhere(CGROUP)?;
        machine::remove_traces();
    }
    JOURNAL.undo()
}

fn status() -> Result<()> {
    for part in Part::value_variants() {
        match JOURNAL.running(part.name()) {
            Some(running) => println!("{:<19} running, process {}", part.name(), running.id),
            None => println!("{:<19} not running", part.name()),
        }
    }
    Ok(())
}

/// Becomes a client of one of the parts, as far as the terminal can tell.
fn client(command: impl FnOnce() -> Result<Command>, arguments: &[String]) -> Result<()> {
    require_folder()?;
    let mut command = command()?;
    let status =
        command.args(arguments).status().with_context(|| format!("start {}", process::shown(&command)))?;
    // It has said why itself.
    if status.success() { Ok(()) } else { std::process::exit(status.code().unwrap_or(1)) }
}

fn require_folder() -> Result<()> {
    ensure!(is_prepared().exists(), "there is no cluster: `cargo xtask cluster up` starts one");
    Ok(())
}
