//! What Watchfire costs: the same work with and without it, beside the designs that others use.
//!
//! `cargo xtask bench` builds everything and runs this. Work and designs run in processes of their own, which are this
//! program again, so that what each takes can be told apart.
#![forbid(unsafe_code)]

mod account;
mod cell;
mod design;
mod lines;
mod machine;
mod metrics;
mod network;
mod pairs;
mod peer;
mod profile;
mod report;
mod statistics;
mod subject;
mod trial;
mod usage;
mod what;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use self::peer::{Note, Peers, Unavailable};
use self::profile::Profile;
use self::subject::Subject;
use self::trial::Trial;
use self::what::What;
use self::workload::{Service, Work, Workload};

#[derive(Parser)]
#[command(name = "watchfire-bench", about = "Measures what Watchfire costs")]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Measure, and write a table, a JSON file and plots
    Run(RunArgs),
    /// Be the work that is timed
    #[command(hide = true)]
    Work(Work),
    /// Be the other end of work over the network
    #[command(hide = true)]
    Serve {
        /// What to serve
        service: Service,
    },
    /// Be an agent of another design until standard input ends
    #[command(hide = true)]
    Design(design::Args),
    /// Be operations by which a peer is seen to tell what is done
    #[command(hide = true)]
    Probe(peer::Probe),
}

/// Arguments of `run`.
#[derive(clap::Args)]
struct RunArgs {
    /// Which workloads and trials; all unless named
    #[arg(value_parser = what::parser())]
    what: Vec<What>,
    /// How much and how often
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    profile: Profile,
    /// Beside what; everything that a workload has unless named
    #[arg(long = "subject", value_enum)]
    subjects: Vec<Subject>,
    /// Kernel programs of the other designs
    #[arg(long)]
    designs: PathBuf,
    /// Folder of an unpacked peer, NAME=FOLDER
    #[arg(long = "peer")]
    peers: Vec<String>,
    /// Why a peer is not there, NAME=REASON
    #[arg(long)]
    without: Vec<String>,
    /// Folder for the results
    #[arg(long)]
    output: PathBuf,
}

fn main() -> Result<ExitCode> {
    // What the process workload runs ends here, before anything is read or allocated.
    if std::env::args_os().nth(1).is_some_and(|word| word == workload::NOTHING) {
        return Ok(ExitCode::SUCCESS);
    }
    match Cli::parse().role {
        Role::Run(args) => run(&args)?,
        Role::Work(work) => work.run()?,
        Role::Serve { service } => service.run()?,
        Role::Design(args) => design::run(&args)?,
        Role::Probe(probe) => probe.run()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run(args: &RunArgs) -> Result<()> {
    let is_chosen = |what: What| args.what.is_empty() || args.what.contains(&what);
    let is_asked = |subject: &Subject| args.subjects.is_empty() || args.subjects.contains(subject);
    let _network = network::Pair::create()?;
    let machine = machine::Machine::here();
    let peers = Peers::of(&args.peers, &args.without)?;
    let mut notes = peers
        .notes(|peer| args.subjects.is_empty() || args.subjects.iter().any(|s| s.peer() == Some(peer)))?;
    let mut cells = Vec::new();
    for workload in Workload::ALL.into_iter().filter(|workload| is_chosen(What::Workload(*workload))) {
        for subject in workload.subjects().iter().copied().filter(is_asked) {
            match cell::measure(workload, subject, args.profile, &args.designs, &peers) {
                Ok(cell) => {
                    eprintln!("{}", report::line(&cell));
                    cells.push(cell);
                }
                Err(error) => notes.push(skipped(workload, subject, error)?),
            }
        }
    }
    let mut trials = Vec::new();
    for trial in Trial::ALL.into_iter().filter(|trial| is_chosen(What::Trial(*trial))) {
        eprintln!("{} ...", trial.name());
        for finding in trial.run(args.profile, &args.designs)? {
            eprintln!("{}", report::finding_line(&finding));
            trials.push(finding);
        }
    }
    report::write(&args.output, &machine, args.profile, &cells, &trials, &notes)
}

/// A note of what cannot be measured here, where it is a peer's; anything else is an error.
fn skipped(workload: Workload, subject: Subject, error: anyhow::Error) -> Result<Note> {
    let Unavailable(reason) = error.downcast()?;
    let note = Note {
        peer: subject.name().to_owned(),
        what: format!("SKIPPED beside {}: {reason}", workload.name()),
    };
    eprintln!("\r{}: {}", note.peer, note.what);
    Ok(note)
}
