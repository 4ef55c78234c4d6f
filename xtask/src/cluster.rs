//! `cluster`: a real Kubernetes node on this machine, or its container runtime alone.

mod command_line;
mod config;
mod harness;
mod http;
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

use crate::cgroups;
use crate::journal::{Journal, undone_on_error};
use crate::process::{self, Step};
use crate::setup::Kubernetes;
use crate::turn::Turn;
pub(crate) use harness::{environment, is_kept, kubernetes_environment, missing, missing_kubernetes, reason};
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
        /// Whoever starts it takes it down: what an interrupted run has left is nobody's
        #[arg(long, hide = true)]
        temporary: bool,
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
    /// Run containerd's client
    Ctr {
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Make etcd forget all versions of objects but the current ones
    Compact,
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
        if let Action::Up { only, .. } = &args.action {
            // As the user who owns the cache.
            Programs::ready(wanted(only))?;
        }
        return process::again_as_root();
    }
    // Looking is free.
    let changes = |action: &Action| {
        matches!(action, Action::Up { .. } | Action::Down | Action::Stop { .. } | Action::Start { .. })
    };
    let _turn = if changes(&args.action) { Some(Turn::take("cluster")?) } else { None };
    match &args.action {
        Action::Up { only, temporary } => up(wanted(only), *temporary),
        Action::Down => down(),
        Action::Status => status(),
        Action::Kubectl { arguments } => client(tools::kubectl_command, arguments),
        Action::Compact => {
            require_folder()?;
            println!("etcd keeps revision {} and later", tools::compact()?);
            Ok(())
        }
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

/// Fetches and builds everything; where each part is.
pub(crate) fn setup() -> Result<Vec<String>> {
    let programs = Programs::ready(Part::value_variants())?;
    let kubernetes = Kubernetes::ready()?.bin();
    Ok(vec![format!("runc: {}", programs.runc.display()), format!("kubernetes: {}", kubernetes.display())])
}

fn wanted(only: &[Part]) -> &[Part] {
    if only.is_empty() { Part::value_variants() } else { only }
}

fn up(parts: &[Part], temporary: bool) -> Result<()> {
    let programs = Programs::ready(parts)?;
    // What an interrupted run has left.
    if !is_prepared().exists() && undo()? {
        eprintln!("==> what was left of an earlier cluster is removed");
    }
    if is_prepared().exists() {
        start::all(parts, &programs)?;
        if !temporary && is_temporary().exists() {
            fs::remove_file(is_temporary()).context("keep the cluster")?;
        }
    } else {
        undone_on_error(prepare(&programs, temporary).and_then(|()| start::all(parts, &programs)), undo)?;
    }
    for line in directions(parts) {
        println!("{line}");
    }
    Ok(())
}

fn prepare(programs: &Programs, temporary: bool) -> Result<()> {
    let _step = Step::new("cluster: bridges, cgroups and configuration");
    machine::check()?;
    fs::create_dir_all(FOLDER).with_context(|| format!("create {FOLDER}"))?;
    machine::create()?;
    config::create(programs)?;
    if temporary {
        fs::write(is_temporary(), "").with_context(|| format!("write {}", is_temporary().display()))?;
    }
    fs::write(is_prepared(), "").with_context(|| format!("write {}", is_prepared().display()))
}

/// Exists once everything does that is there before programs start.
fn is_prepared() -> PathBuf {
    plan::file("prepared")
}

/// Exists where nobody relies on the cluster once the task that has started it ends.
fn is_temporary() -> PathBuf {
    plan::file("temporary")
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
