//! `watchfire policy`: what policies say, asked of the running agent, of manifests or of a case file.

mod candidates;
mod check;
mod explain;
mod flows;
mod graph;
mod groups;
mod lint;
mod options;
mod output;
mod pairs;
mod state;
mod suggest;
mod target;
mod test;
mod unused;

use std::process::ExitCode;

use anyhow::Result;

/// Something could not be read.
const EXIT_UNREADABLE: u8 = 2;

/// Arguments of `policy`.
#[derive(clap::Args, Debug)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(clap::Subcommand, Debug)]
enum PolicyCommand {
    /// Say what becomes of a connection, by which rule, and which rule nearly allowed it
    Explain(explain::ExplainArgs),
    /// Say what would change with other policies; exits 1 if something would break
    Check(check::CheckArgs),
    /// Say what candidate policies would change: which of the flows that the running agent saw would break or open
    Candidates(candidates::CandidatesArgs),
    /// List policies and rules that no recorded flow ever matched
    Unused(unused::UnusedArgs),
    /// Write policies that allow what was observed and nothing else
    Suggest(suggest::SuggestArgs),
    /// Find traps in policies; exits 1 on errors
    Lint(lint::LintArgs),
    /// Show who may talk to whom
    Graph(graph::GraphArgs),
    /// Check the policy engine against files of cases; exits 1 on a mismatch and 2 on a file that cannot be read. Objects that
    /// the API would refuse are reported, and the cases judged without them
    Test(test::TestArgs),
}

/// Runs `policy`. What cannot be read or makes no sense ends with exit code 2.
pub(crate) fn run(args: &PolicyArgs) -> Result<ExitCode> {
    let result = match &args.command {
        PolicyCommand::Explain(args) => explain::run(args),
        PolicyCommand::Check(args) => check::run(args),
        PolicyCommand::Candidates(args) => candidates::run(args),
        PolicyCommand::Unused(args) => unused::run(args),
        PolicyCommand::Suggest(args) => suggest::run(args),
        PolicyCommand::Lint(args) => lint::run(args),
        PolicyCommand::Graph(args) => graph::run(args),
        PolicyCommand::Test(args) => Ok(test::run(args)),
    };
    result.or_else(|error| {
        if super::is_broken_pipe(&error) {
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("watchfire: {error:#}");
        Ok(ExitCode::from(EXIT_UNREADABLE))
    })
}
