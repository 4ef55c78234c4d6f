//! Records of a running agent, over its API.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use watchfire_api::{Client, Target};
use watchfire_ledger::{Found, SearchQuery};

use crate::config::API_SOCKET;

/// Longest token and CA file, bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Which agent to ask.
#[derive(clap::Args, Debug)]
pub(crate) struct AgentArgs {
    /// Ask a running agent, and search no directory: unix:PATH or https://HOST:PORT [default: the agent of this node]
    #[arg(
        long,
        env = "WATCHFIRE_AGENT",
        value_name = "TARGET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = API_SOCKET
    )]
    agent: Option<Target>,
    /// For https: file with the token to show
    #[arg(long, env = "WATCHFIRE_TOKEN_FILE", value_name = "FILE", requires = "agent")]
    token_file: Option<PathBuf>,
    /// For https: certificates of the authorities that the agent's may be signed by (PEM)
    #[arg(long, env = "WATCHFIRE_CA_FILE", value_name = "FILE", requires = "agent")]
    ca_file: Option<PathBuf>,
}

impl AgentArgs {
    /// Whether an agent is to be asked.
    pub(crate) const fn is_asked(&self) -> bool {
        self.agent.is_some()
    }

    /// The agent to ask; none where a directory is to be searched.
    pub(crate) fn client(&self) -> Result<Option<Client>> {
        let Some(target) = self.agent.clone() else { return Ok(None) };
        let token = self.token_file.as_deref().map(read).transpose()?;
        let token = token.map(String::from_utf8).transpose().context("the token is no text")?;
        let authorities = self.ca_file.as_deref().map(read).transpose()?;
        Ok(Some(Client { target, token: token.map(|token| token.trim().to_owned()), authorities }))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    if bytes > FILE_BYTES_MAX {
        bail!("{} has {bytes} bytes, expected at most {FILE_BYTES_MAX}", path.display());
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What the agent finds, in the order of time. `path` has to be the route of the query's tables.
pub(crate) fn records(
    client: &Client,
    path: &str,
    query: &SearchQuery,
) -> Result<impl Iterator<Item = Result<Found>>> {
    let mut parameters = Vec::new();
    if !query.filter.is_empty() {
        parameters.push(("filter", query.filter.to_string()));
    }
    for (name, time) in [("since", query.since), ("until", query.until)] {
        parameters.extend(time.map(|time| (name, time.to_string())));
    }
    let lines = client.records(path, &parameters)?;
    Ok((1..).zip(lines).map(|(number, line)| {
        let line = line?;
        let record: Value =
            serde_json::from_slice(&line).context("the agent sent something else than a record")?;
        let time = record["time"].as_str().unwrap_or_default();
        let time = time.parse().context("the agent sent a record without a time")?;
        Ok(Found { time, seq: number, line: line.into() })
    }))
}
