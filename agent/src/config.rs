//! Configuration: one YAML file, then the environment, then flags.

mod api;
mod findings;
mod flags;
mod flows;
mod ledger;
mod lists;
mod metrics;
mod policy;
mod sensor;
mod sources;
mod values;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use ipnet::IpNet;
use serde::Deserialize;
use watchfire_inventory::{Intake, PATTERNS_MAX, Redactor, SecretName, SecretPattern, read_yaml};

use lists::Limited;

pub(crate) use api::ApiConfig;
pub(crate) use findings::FindingsConfig;
pub(crate) use flags::ConfigFlags;
pub(crate) use flows::FlowsConfig;
pub(crate) use ledger::{LedgerSection, ShipSection};
pub(crate) use lists::AbsolutePath;
use metrics::MetricsConfig;
pub(crate) use policy::{DialectChoice, Mode, PolicyConfig};
pub(crate) use sensor::SensorConfig;
pub(crate) use sources::{AutoOr, EnrichmentConfig, KubernetesConfig, Place, Url, WaitMilliseconds};
pub(crate) use values::{ConntrackOf, DrainSeconds, LogFormat, Output, RingBytes};

/// Where the observe socket is, unless told otherwise.
pub(crate) const OBSERVE_SOCKET: &str = "/run/watchfire/observe.sock";

/// Where the API is, unless told otherwise, as clients name it.
pub(crate) const API_SOCKET: &str = "unix:/run/watchfire/api.sock";

/// Where the ledger is, unless told otherwise.
pub(crate) const LEDGER_DIR: &str = "/var/lib/watchfire/ledger";

/// Most ranges of pods' addresses that may be configured.
const CLUSTER_CIDRS_MAX: usize = 256;

/// Most names of secrets that may be configured.
const SECRET_NAMES_MAX: usize = 256;

/// Everything that can be set. `config.example.yaml` documents each key.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct Config {
    pub(crate) cluster_name: Option<String>,
    pub(crate) node_name: Option<String>,
    pub(crate) inventory: Option<PathBuf>,
    pub(crate) manifests: Option<PathBuf>,
    pub(crate) kubernetes: KubernetesConfig,
    pub(crate) container_runtime: AutoOr<Place>,
    #[serde(rename = "clusterCIDRs")]
    pub(crate) cluster_cidrs: Limited<IpNet, CLUSTER_CIDRS_MAX>,
    pub(crate) enrichment: EnrichmentConfig,
    pub(crate) policies: Option<PathBuf>,
    pub(crate) policy: PolicyConfig,
    pub(crate) conntrack: ConntrackOf,
    pub(crate) redact_args: bool,
    pub(crate) redaction: RedactionConfig,
    pub(crate) drain_timeout_seconds: DrainSeconds,
    pub(crate) output: OutputConfig,
    pub(crate) ledger: LedgerSection,
    pub(crate) metrics: MetricsConfig,
    pub(crate) observe: ObserveConfig,
    pub(crate) api: ApiConfig,
    pub(crate) sensor: SensorConfig,
    pub(crate) flows: FlowsConfig,
    pub(crate) findings: FindingsConfig,
    pub(crate) log: LogConfig,
}

/// The event log.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct OutputConfig {
    pub(crate) to: Output,
    pub(crate) file_bytes_max: u64,
    pub(crate) files_max: u32,
}

/// The socket that `watchfire observe` connects to.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct ObserveConfig {
    pub(crate) socket: Option<PathBuf>,
}

/// What is a secret besides what is built in.
#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct RedactionConfig {
    pub(crate) names: Limited<SecretName, SECRET_NAMES_MAX>,
    pub(crate) patterns: Limited<SecretPattern, PATTERNS_MAX>,
}

/// The agent's own log.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct LogConfig {
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster_name: None,
            node_name: None,
            inventory: None,
            manifests: None,
            kubernetes: KubernetesConfig::default(),
            container_runtime: AutoOr::Auto,
            cluster_cidrs: Limited::default(),
            enrichment: EnrichmentConfig::default(),
            policies: None,
            policy: PolicyConfig::default(),
            conntrack: ConntrackOf::default(),
            redact_args: true,
            redaction: RedactionConfig::default(),
            drain_timeout_seconds: DrainSeconds::default(),
            output: OutputConfig::default(),
            ledger: LedgerSection::default(),
            metrics: MetricsConfig::default(),
            observe: ObserveConfig::default(),
            api: ApiConfig::default(),
            sensor: SensorConfig::default(),
            flows: FlowsConfig::default(),
            findings: FindingsConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { to: Output::Stdout, file_bytes_max: 64 << 20, files_max: 4 }
    }
}

impl Default for ObserveConfig {
    fn default() -> Self {
        Self { socket: Some(PathBuf::from(OBSERVE_SOCKET)) }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Config {
    /// Defaults, then the file, then environment and flags.
    pub(crate) fn load(file: Option<&Path>, flags: &ConfigFlags) -> Result<Self> {
        let mut config = match file {
            Some(file) => read_yaml(file)?,
            None => Self::default(),
        };
        flags.apply(&mut config);
        config.check()?;
        Ok(config)
    }

    /// What no key by itself shows: who is who has to come from one place.
    fn check(&self) -> Result<()> {
        self.api.tcp()?;
        self.api.token_review(&self.kubernetes)?;
        let sources = [
            ("inventory", self.inventory.is_some()),
            ("manifests", self.manifests.is_some()),
            ("kubernetes.api", matches!(self.kubernetes.api, AutoOr::At(_))),
        ];
        let mut set = sources.into_iter().filter_map(|(key, is_set)| is_set.then_some(key));
        if let (Some(first), Some(second)) = (set.next(), set.next()) {
            bail!("{first} and {second} are both set, expected one of them: each tells all pods");
        }
        if self.ledger.ship().target().is_some() && self.ledger.dir.is_none() {
            bail!("ledger.ship.url is set without ledger.dir, expected both: what is shipped is the ledger");
        }
        if self.ledger.ship().target().is_some() && self.cluster_name.is_none() {
            bail!(
                "ledger.ship.url is set without clusterName, expected both: in the store it tells clusters apart"
            );
        }
        if self.inventory.is_some() && !self.cluster_cidrs.as_slice().is_empty() {
            bail!("clusterCIDRs is set beside inventory, expected clusterCIDRs within the inventory file");
        }
        Ok(())
    }

    /// What gets into the process table.
    pub(crate) fn intake(&self) -> Intake {
        let RedactionConfig { names, patterns } = &self.redaction;
        let redactor = || Redactor::new(names.as_slice(), patterns.as_slice().to_vec());
        Intake {
            redactor: self.redact_args.then(redactor),
            environment: self.sensor.environment.as_slice().to_vec(),
        }
    }
}

/// Where the configuration comes from, to be read again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigSource<'a> {
    pub(crate) file: Option<&'a Path>,
    pub(crate) flags: &'a ConfigFlags,
}

impl ConfigSource<'_> {
    pub(crate) fn load(self) -> Result<Config> {
        Config::load(self.file, self.flags)
    }
}

#[cfg(test)]
mod tests;
