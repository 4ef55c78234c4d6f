//! Configuration: one YAML file, then the environment, then flags.

mod findings;
mod flags;
mod flows;
mod ledger;
mod lists;
mod policy;
mod sensor;
mod sources;
mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use ipnet::IpNet;
use serde::Deserialize;
use watchfire_inventory::{Intake, PATTERNS_MAX, Redactor, SecretName, SecretPattern, read_yaml};

use lists::Limited;

pub(crate) use findings::FindingsConfig;
pub(crate) use flags::ConfigFlags;
pub(crate) use flows::FlowsConfig;
pub(crate) use ledger::LedgerSection;
pub(crate) use lists::AbsolutePath;
pub(crate) use policy::{DialectChoice, Mode, PolicyConfig};
pub(crate) use sensor::SensorConfig;
pub(crate) use sources::{AutoOr, EnrichmentConfig, KubernetesConfig, Place, Url, WaitMilliseconds};
pub(crate) use values::{ConntrackOf, DrainSeconds, LogFormat, Output, RingBytes};

/// Where the observe socket is, unless told otherwise.
pub(crate) const OBSERVE_SOCKET: &str = "/run/watchfire/observe.sock";

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

/// The HTTP server.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct MetricsConfig {
    pub(crate) listen: Option<SocketAddr>,
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

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9464))) }
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
        let sources = [
            ("inventory", self.inventory.is_some()),
            ("manifests", self.manifests.is_some()),
            ("kubernetes.api", matches!(self.kubernetes.api, AutoOr::At(_))),
        ];
        let mut set = sources.into_iter().filter_map(|(key, is_set)| is_set.then_some(key));
        if let (Some(first), Some(second)) = (set.next(), set.next()) {
            bail!("{first} and {second} are both set, expected one of them: each tells all pods");
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
mod tests {
    use watchfire_inventory::parse_yaml;

    use super::*;

    const EXAMPLE: &str = include_str!("../config.example.yaml");

    fn parse(text: &str) -> Result<Config, String> {
        parse_yaml(Path::new("config.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_is_exactly_the_defaults() {
        assert_eq!(parse(EXAMPLE).unwrap(), Config::default());
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn the_example_names_every_key() {
        // The unknown key makes serde list the known ones of each map.
        for map in [
            "",
            "kubernetes",
            "enrichment",
            "policy",
            "policy.cilium",
            "redaction",
            "output",
            "ledger",
            "metrics",
            "observe",
            "sensor",
            "sensor.families",
            "sensor.files",
            "sensor.rate",
            "flows",
            "findings",
            "log",
        ] {
            let maps = map.rsplit('.').filter(|map| !map.is_empty());
            let text = maps.fold("{no-such-key: 1}".to_owned(), |inner, map| format!("{{{map}: {inner}}}"));
            let error = parse(&text).unwrap_err();
            let (_, keys) =
                error.rsplit_once("expected one of ").unwrap_or_else(|| error.split_at(error.len()));
            for key in keys.split(", ").filter(|key| !key.is_empty()) {
                assert!(EXAMPLE.contains(&format!("{key}:")), "{map}.{key} is not in config.example.yaml");
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("nodeName: [a]", "config.yaml:1:11: nodeName: expected a text"),
            (
                "metrics:\n  listen: localhost\n",
                "config.yaml:2:11: metrics.listen: invalid socket address syntax",
            ),
            (
                "conntrack: self",
                "config.yaml:1:12: conntrack: found `self`, expected host, none or an absolute path",
            ),
            (
                "kubernetes: {api: kubeconfig}",
                "config.yaml:1:19: kubernetes.api: found `kubeconfig`, expected auto, none or an absolute path",
            ),
            (
                "kubernetes: {kubelet: 10.0.0.1}",
                "config.yaml:1:23: kubernetes.kubelet: found `10.0.0.1`, expected auto, none or a URL that begins with https:// or http://",
            ),
            (
                "policy: {dialect: calico}",
                "config.yaml:1:19: policy.dialect: unknown variant `calico`, expected one of auto, k8s, cilium",
            ),
            (
                "policy: {cilium: {enable-policy: sometimes}}",
                "config.yaml:1:34: policy.cilium.enable-policy: unknown variant `sometimes`, expected one of default, always, never",
            ),
            (
                "policy: {modes: {shop: enforce}}",
                "config.yaml:1:24: policy.modes.shop: unknown variant `enforce`, expected one of candidate, watch",
            ),
            (
                "policy: {staleWindowSeconds: 61}",
                "config.yaml:1:30: policy.staleWindowSeconds: found 61, expected a whole number from 0 to 60",
            ),
            (
                "enrichment: {waitMilliseconds: 20000}",
                "config.yaml:1:32: enrichment.waitMilliseconds: found 20000, expected a whole number from 0 to 10000",
            ),
            ("redactArgs: sometimes", "config.yaml:1:13: redactArgs: expected true or false"),
            (
                "sensor:\n  ringBytes: 1000\n",
                "config.yaml:2:14: sensor.ringBytes: found 1000, expected a power of two from 4096 to 1073741824",
            ),
            (
                "log: {format: xml}",
                "config.yaml:1:15: log.format: unknown variant `xml`, expected one of text, json",
            ),
            (
                "sensor:\n  files:\n    read:\n    - /etc/shadow\n    - etc/passwd\n",
                "config.yaml:5:7: sensor.files.read[1]: found `etc/passwd`, expected an absolute path",
            ),
            (
                "sensor: {files: {write: [/etc/*.conf]}}",
                "config.yaml:1:26: sensor.files.write[0]: found `/etc/*.conf`, expected `*` as a whole component: it stands for any one",
            ),
            (
                "sensor: {files: {write: [/etc/../x]}}",
                "config.yaml:1:26: sensor.files.write[0]: found `/etc/../x`, expected a path without empty components, `.` and `..`",
            ),
            (
                "sensor:\n  capabilities: [CAP_SYS_ADMIN, CAP_EVERYTHING]\n",
                "config.yaml:2:33: sensor.capabilities[1]: found `CAP_EVERYTHING`, expected the name of a capability, such as CAP_SYS_ADMIN",
            ),
            (
                "sensor: {environment: [A=b]}",
                "config.yaml:1:24: sensor.environment[0]: found `A=b`, expected the name of a variable, or its beginning and `*` for any rest",
            ),
            (
                "flows: {updateIntervalSeconds: 100000}",
                "config.yaml:1:32: flows.updateIntervalSeconds: found 100000, expected a whole number from 0 to 86400",
            ),
            (
                "ledger: {fsync: sometimes}",
                "config.yaml:1:17: ledger.fsync: unknown variant `sometimes`, expected one of within, always",
            ),
            (
                "ledger: {segmentBytes: 10}",
                "config.yaml:1:24: ledger.segmentBytes: found 10, expected a whole number from 65536 to 268435456",
            ),
            (
                "findings: {uncoveredFlow: sometimes}",
                "config.yaml:1:27: findings.uncoveredFlow: unknown variant `sometimes`, expected one of always, with-policies, never",
            ),
            (
                "findings: {intervalSeconds: 0}",
                "config.yaml:1:29: findings.intervalSeconds: found 0, expected a whole number from 1 to 86400",
            ),
            (
                "sensor: {pin: bpf/watchfire}",
                "config.yaml:1:15: sensor.pin: found `bpf/watchfire`, expected an absolute path",
            ),
            (
                "flows: {tlsPorts: [443, 0]}",
                "config.yaml:1:25: flows.tlsPorts[1]: found 0, expected a port from 1 to 65535",
            ),
            (
                "redaction:\n  patterns:\n  - 'ok'\n  - 'a('\n",
                "config.yaml:4:5: redaction.patterns[1]: found `a(`, expected a regular expression (unclosed group)",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected);
        }
        let error = parse("metrics: {port: 1}").unwrap_err();
        assert!(
            error.starts_with("config.yaml:1:11: metrics.port: unknown field `port`, expected"),
            "{error}"
        );
    }

    #[test]
    fn who_is_who_comes_from_one_place() {
        let error = |text: &str| parse(text).unwrap().check().unwrap_err().to_string();
        assert_eq!(
            error("{inventory: /a, kubernetes: {api: /b}}"),
            "inventory and kubernetes.api are both set, expected one of them: each tells all pods"
        );
        assert!(error("{inventory: /a, clusterCIDRs: [10.0.0.0/8]}").contains("within the inventory file"));
        assert!(parse("{manifests: /a, clusterCIDRs: [10.0.0.0/8]}").unwrap().check().is_ok());
    }

    #[test]
    fn limits_are_named() {
        let list = |entry: &str, entries: usize| vec![entry; entries].join(", ");
        for (text, expected) in [
            (
                format!("sensor:\n  files:\n    read: [{}]\n", list("/a", 257)),
                "config.yaml:3:11: sensor.files.read: found 257 entries, expected at most 256",
            ),
            (
                format!("sensor: {{files: {{inodes: [{}]}}}}", list("/a", 1025)),
                "config.yaml:1:26: sensor.files.inodes: found 1025 entries, expected at most 1024",
            ),
            (
                format!("flows: {{tlsPorts: [{}]}}", list("1", 257)),
                "config.yaml:1:19: flows.tlsPorts: found 257 entries, expected at most 256",
            ),
            (
                format!("redaction: {{patterns: [{}]}}", list("a", 65)),
                "config.yaml:1:23: redaction.patterns: found 65 entries, expected at most 64",
            ),
        ] {
            assert_eq!(parse(&text).unwrap_err(), expected);
        }
    }

    #[test]
    fn what_is_configured_is_masked_and_kept() {
        let text = "redaction: {names: [vault-pin], patterns: ['id-([0-9]+)']}\nsensor: {environment: [LANG, 'LC_*']}\n";
        let config = parse(text).unwrap();
        let intake = config.intake();
        assert_eq!(intake.environment.len(), 2);
        let args = ["x", "--vault-pin=1", "id-7"].map(str::to_owned).to_vec();
        assert_eq!(intake.redactor.unwrap().args(args).0, ["x", "--vault-pin=REDACTED", "id-REDACTED"]);
        assert!(config.sensor.options(&config.flows, None).environment);
        assert!(parse("redactArgs: false").unwrap().intake().redactor.is_none());
    }
}
