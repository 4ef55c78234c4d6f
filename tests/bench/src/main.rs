//! What Watchfire costs: the same work with and without it, beside the designs that others use.
//!
//! `cargo xtask bench` builds everything and runs this. Work and designs run in processes of their own, which are this
//! program again, so that what each takes can be told apart.
#![forbid(unsafe_code)]

mod account;
mod calibration;
mod cell;
mod cpu_clock;
mod design;
mod latency;
mod lines;
mod machine;
mod metrics;
mod network;
mod pairs;
mod peer;
mod probe;
mod profile;
mod report;
mod statistics;
mod subject;
mod trial;
mod usage;
mod version;
mod what;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use self::calibration::Calibration;
use self::peer::{Note, Peers, Unavailable};
use self::profile::{Profile, Unit};
use self::report::Report;
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
    let profile = args.profile;
    let mut left_out = Vec::new();
    let mut is_chosen = |what: What| {
        let is_named = args.what.is_empty() || args.what.contains(&what);
        let obstacle = is_named.then(|| what.obstacle(profile)).flatten();
        left_out.extend(obstacle.map(|reason| (what.name(), reason)));
        is_named && obstacle.is_none()
    };
    let workloads = Workload::ALL.map(|workload| is_chosen(What::Workload(workload)).then_some(workload));
    let trials = Trial::ALL.map(|trial| is_chosen(What::Trial(trial)).then_some(trial));
    // Peers are not in the emulated machine.
    let is_timed = profile.unit() == Unit::Nanosecond;
    let is_asked = |subject: &Subject| {
        (is_timed || subject.peer().is_none())
            && (args.subjects.is_empty() || args.subjects.contains(subject))
    };
    let calibration = match profile.unit() {
        Unit::Nanosecond => None,
        Unit::Instruction => Some(Calibration::measure()?),
    };
    let needs_network = workloads.iter().flatten().any(|workload| workload.service().is_some());
    let _network = needs_network.then(network::Pair::create).transpose()?;
    let peers = Peers::of(&args.peers, &args.without)?;
    let is_named = |peer| args.subjects.is_empty() || args.subjects.iter().any(|s| s.peer() == Some(peer));
    let mut report = Report {
        agent: version::of_agent()?,
        unit: profile.unit(),
        profile,
        machine: machine::Machine::here(),
        calibration,
        left_out,
        peers: if is_timed { peers.notes(is_named)? } else { Vec::new() },
        cells: Vec::new(),
        trials: Vec::new(),
    };
    for workload in workloads.into_iter().flatten() {
        for subject in workload.subjects().iter().copied().filter(is_asked) {
            match cell::measure(workload, subject, profile, &args.designs, &peers) {
                Ok(cell) => {
                    eprintln!("{}", report::line(&cell));
                    report.cells.push(cell);
                }
                Err(error) => report.peers.push(skipped(workload, subject, error)?),
            }
        }
    }
    for trial in trials.into_iter().flatten() {
        eprintln!("{} ...", trial.name());
        for finding in trial.run(profile, &args.designs)? {
            eprintln!("{}", report::finding_line(&finding));
            report.trials.push(finding);
        }
    }
    report.write(&args.output)
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
