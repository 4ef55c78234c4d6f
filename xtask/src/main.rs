//! The project's only automation language: every task is `cargo xtask <task>`.
#![forbid(unsafe_code)]

mod alerts;
mod bench;
mod build;
mod cargo;
mod cgroups;
mod cluster;
mod debian;
mod demo;
mod elf;
mod image;
mod journal;
mod lab;
mod lint;
mod mutants;
mod packages;
mod paths;
mod process;
mod run;
mod setup;
mod tally;
mod test;
mod test_binaries;
mod turn;
mod unpacked;
mod vm;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests and demonstrates Watchfire")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing into the cache folder
    Setup(setup::Args),
    /// Build the kernel programs and the static agent
    Build(build::Args),
    /// Build, then run the agent with the given arguments (with sudo where needed)
    Run(run::Args),
    /// Check formatting, lints, dependencies and the repository's own rules
    Lint,
    /// What a change has to pass: lint, then test
    Ci,
    /// Write what operators take of the alerts, from deploy/alerts/rules.yaml
    Alerts,
    /// Build an OCI image of the agent, without an image builder
    Image(image::Args),
    /// Pods without Kubernetes, with real servers and clients
    Lab(lab::Args),
    /// A real Kubernetes node on this machine
    Cluster(cluster::Args),
    /// Show what the agent sees of the lab, from nothing to a table
    Demo(demo::Args),
    /// Run every test tier that this machine can run
    Test(test::Args),
    /// Measure what the agent costs, beside nothing and beside other designs
    Bench(bench::Args),
    /// Make known mistakes in a copy of the policy engine, and see whether a test notices each
    Mutants(mutants::Args),
    /// Run the privileged tests, or a command, on other kernels
    Vm(vm::Args),
}

fn main() -> std::process::ExitCode {
    let outcome = match Cli::parse().task {
        Task::Setup(args) => setup::run(&args),
        Task::Build(args) => build::run(&args),
        Task::Run(args) => run::run(&args),
        Task::Lab(args) => lab::run(&args),
        Task::Cluster(args) => cluster::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::Lint => lint::run(),
        Task::Ci => lint::run().and_then(|()| test::run(&test::Args::default())),
        Task::Alerts => alerts::run(),
        Task::Image(args) => image::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Mutants(args) => mutants::run(&args),
        Task::Vm(args) => vm::run(&args),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
