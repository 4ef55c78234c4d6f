//! The state of the running agent.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::Value;
use watchfire_export::StateOf;
use watchfire_model::Dialect;
use watchfire_policy::{CiliumOptions, parse_object};

use super::State;
use super::read::Objects;
use crate::pipeline::state::{NAMES_KIND, STATE_KIND};

impl State {
    /// What the agent behind a socket judges by.
    pub(in super::super) fn of_agent(socket: &Path, dialect: Option<Dialect>) -> Result<Self> {
        let values = watchfire_export::state(socket, StateOf::Policy)
            .context("give --manifests DIR or --case FILE to do without an agent")?;
        let mut objects = Objects::default();
        let (mut agents, mut options) = (None, CiliumOptions::default());
        for value in values {
            match value.get("kind").and_then(Value::as_str) {
                Some(STATE_KIND) => {
                    agents = match value.get("dialect").and_then(Value::as_str) {
                        Some("cilium") => Some(Dialect::Cilium),
                        _ => Some(Dialect::K8s),
                    };
                    // An agent of another version may know other switches.
                    options = serde_json::from_value(value["cilium"].clone())
                        .context("the agent's settings of Cilium; is it of this version?")?;
                }
                Some(NAMES_KIND) => {
                    let ip: Option<IpAddr> = value["address"].as_str().and_then(|text| text.parse().ok());
                    let names = value["names"].as_array().into_iter().flatten();
                    let names: Vec<Arc<str>> = names.filter_map(Value::as_str).map(Into::into).collect();
                    objects.facts.names.extend(ip.map(|ip| (ip, names)));
                }
                _ => match parse_object(value.clone()) {
                    Ok(Some(policy)) => objects.policies.push((policy, None)),
                    _ => {
                        objects.other(value).map_err(|reason| anyhow::anyhow!("the agent told: {reason}"))?;
                    }
                },
            }
        }
        Ok(objects.into_state(dialect.or(agents), options))
    }
}
