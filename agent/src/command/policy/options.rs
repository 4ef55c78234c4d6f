//! Arguments that several subcommands have.

use std::path::PathBuf;

use anyhow::{Result, bail};
use watchfire_model::Dialect;

use super::state::State;
use crate::config::OBSERVE_SOCKET;

/// Where pods, namespaces and policies are known from.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct StateArgs {
    /// Read Kubernetes objects from this folder or file, and do not ask an agent
    #[arg(long, value_name = "DIR", conflicts_with = "case")]
    pub(super) manifests: Option<PathBuf>,
    /// Take the world of a case file; FILE#ID where it has several cases
    #[arg(long, value_name = "FILE[#ID]")]
    pub(super) case: Option<String>,
    /// Socket of the running agent
    #[arg(long, env = "WATCHFIRE_SOCKET", value_name = "PATH", default_value = OBSERVE_SOCKET)]
    pub(super) socket: PathBuf,
    /// Whose reading of the policies is followed
    #[arg(long, value_enum, default_value_t = DialectChoice::Auto)]
    pub(super) dialect: DialectChoice,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum DialectChoice {
    /// The agent's or the case file's; else Cilium's where there is an object of Cilium's kinds
    Auto,
    /// The Kubernetes API text and the SIG-network tests
    K8s,
    /// Cilium's policy engine
    Cilium,
}

impl DialectChoice {
    pub(super) const fn chosen(self) -> Option<Dialect> {
        match self {
            Self::Auto => None,
            Self::K8s => Some(Dialect::K8s),
            Self::Cilium => Some(Dialect::Cilium),
        }
    }
}

impl StateArgs {
    /// Whether files are asked and not an agent.
    pub(super) const fn is_files(&self) -> bool {
        self.manifests.is_some() || self.case.is_some()
    }

    /// Reads the state; everything in it has to be readable.
    pub(super) fn read(&self) -> Result<State> {
        let state = self.read_with_mistakes()?;
        if let Some((last, others)) = state.mistakes.split_last() {
            for mistake in others {
                eprintln!("watchfire: {mistake}");
            }
            bail!("{last}");
        }
        Ok(state)
    }

    /// Reads the state; policies that cannot be used are kept as mistakes.
    pub(super) fn read_with_mistakes(&self) -> Result<State> {
        let dialect = self.dialect.chosen();
        match (&self.manifests, &self.case) {
            (Some(folder), _) => State::of_manifests(folder, dialect),
            (None, Some(case)) => State::of_case(case, dialect),
            (None, None) => State::of_agent(&self.socket, dialect),
        }
    }
}

/// How answers are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}
