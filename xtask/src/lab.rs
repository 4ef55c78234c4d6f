//! `lab`: three pods and an outsider on one bridge, with real servers and clients, without Kubernetes.

mod attack;
mod cgroup;
mod member;
mod network;
mod plan;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Subcommand;

pub(crate) use attack::{ATTEMPTS, DROP_FOLDER, VICTIM, attack, delete_victim};
pub(crate) use plan::{DB, DB_PORT, FOLDER, FRONTEND, NETWORK};
pub(crate) use traffic::{CONNECTIONS, Connection, drive};

use crate::journal::{Journal, undone_on_error};
use crate::packages::{BUSYBOX, IP, REDIS_CLI, REDIS_SERVER};
use crate::process::{self, Step};
use crate::setup;

/// What the lab and the demo have made.
pub(crate) const JOURNAL: Journal = Journal::new("lab", FOLDER);

/// Arguments of `lab`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make the pods and start their servers
    Up,
    /// Make each connection of the lab so many times
    Traffic {
        /// How many times
        #[arg(default_value_t = 3)]
        rounds: usize,
    },
    /// Remove everything that the lab and the demo have made
    Down,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !process::is_root() {
        fetch_tools()?;
        return process::again_as_root();
    }
    match args.action {
        Action::Up => {
            let files = Files::prepare()?;
            servers()?;
            println!("inventory: {}", files.inventory.display());
            println!("policies:  {}", files.policies.display());
            println!(
                "watch it:  cargo xtask run -- run --inventory {} --policies {}",
                files.inventory.display(),
                files.policies.display()
            );
            println!("use it:    cargo xtask lab traffic");
            println!("end it:    cargo xtask lab down");
            Ok(())
        }
        Action::Traffic { rounds } => drive(rounds),
        Action::Down => down(),
    }
}

/// What the agent is told about the lab.
pub(crate) struct Files {
    pub(crate) inventory: PathBuf,
    pub(crate) policies: PathBuf,
}

impl Files {
    /// Makes everything but the servers: they start when an agent may already watch.
    pub(crate) fn prepare() -> Result<Self> {
        fetch_tools()?;
        // What an interrupted run has left.
        JOURNAL.undo()?;
        let _step = Step::new("lab: namespaces, bridge and cgroups");
        let folder = Path::new(FOLDER);
        let files = Self { inventory: folder.join("inventory.yaml"), policies: folder.join("policies") };
        fs::create_dir_all(&files.policies).with_context(|| format!("create {FOLDER}"))?;
        fs::write(&files.inventory, plan::inventory(|_| true))
            .and_then(|()| fs::write(files.policies.join("shop.yaml"), plan::POLICIES))
            .context("write the lab's files")?;
        let made =
            member::install_programs().and_then(|()| network::create()).and_then(|()| cgroup::create());
        undone_on_error(made, || JOURNAL.undo())?;
        Ok(files)
    }
}

/// Starts the servers of the lab.
pub(crate) fn servers() -> Result<()> {
    let _step = Step::new("lab: starting db, api and outsider");
    undone_on_error(member::start_servers(), || JOURNAL.undo())
}

/// Removes everything that the lab has made.
pub(crate) fn down() -> Result<()> {
    if JOURNAL.undo()? {
        eprintln!("==> the lab is torn down");
    } else {
        eprintln!("==> there is no lab");
    }
    Ok(())
}

/// Fetches what the lab starts, as the user who owns the cache.
pub(crate) fn fetch_tools() -> Result<()> {
    for tool in [IP, BUSYBOX, REDIS_SERVER, REDIS_CLI] {
        setup::tool(&tool)?;
    }
    Ok(())
}
