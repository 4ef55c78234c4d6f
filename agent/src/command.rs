//! The command line: one file per subcommand.

mod detach;
mod doctor;
mod events;
mod flows;
mod ledger;
mod observe;
mod policy;
mod remote;
mod run;
mod self_test_child;
mod sql;
mod top;
mod tree;
mod version;
mod who;

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use watchfire_ledger::{Families, Family};

/// eBPF node security and network telemetry.
#[derive(clap::Parser, Debug)]
#[command(name = "watchfire", version = crate::build_info::VERSION)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Run the agent: watch processes and connections of this node
    Run(Box<run::RunArgs>),
    /// Show what the running agent sees, live
    Observe(Box<observe::ObserveArgs>),
    /// Show flows and DNS queries that match: recent ones, live ones, or those of an event log
    Flows(Box<flows::FlowsArgs>),
    /// Search the ledger: everything that was recorded
    Events(events::EventsArgs),
    /// Search the ledger for findings
    Findings(events::EventsArgs),
    /// Show a process of the ledger, or those of a pod, with what each did and the processes below it
    Tree(tree::TreeArgs),
    /// Ask the ledger by SQL
    Sql(sql::SqlArgs),
    /// Check the ledger, take evidence out of it, or say what it holds
    Ledger(ledger::LedgerArgs),
    /// Watch flows, talkers, verdicts, processes, drops and losses live, in a terminal
    Top(top::TopArgs),
    /// Say what the running agent knows of a pid, an address, a container or a pod, and from where
    Who(who::WhoArgs),
    /// Say what this kernel and host offer, and which hook each probe of `run` with the same arguments gets
    Doctor(Box<run::RunArgs>),
    /// Remove the kernel programs that `run` with the same arguments pinned (sensor.pin)
    Detach(Box<run::RunArgs>),
    /// Work with network policies
    Policy(policy::PolicyArgs),
    /// Print version, commit and target
    Version,
    /// What the agent starts as a child to see a process whose facts it knows
    #[command(name = "self-test-child", hide = true)]
    SelfTestChild,
}

/// Does what the command line says.
pub(crate) fn dispatch(cli: &Cli) -> Result<ExitCode> {
    match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Observe(args) => observe::run(args),
        Command::Flows(args) => flows::run(args),
        Command::Events(args) => events::run(args, Families::ALL),
        Command::Findings(args) => events::run(args, Families::of(&[Family::Finding])),
        Command::Tree(args) => tree::run(args),
        Command::Sql(args) => sql::run(args),
        Command::Ledger(args) => ledger::run(args),
        Command::Top(args) => top::run(args),
        Command::Who(args) => who::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Detach(args) => detach::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Version => version::run(),
        Command::SelfTestChild => self_test_child::run(),
    }
}

/// Whether whoever reads the output has gone.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is_broken))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
