//! Configuration: one YAML file, then the environment, then flags.

mod flags;
mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;
use watchfire_inventory::read_yaml;

pub(crate) use flags::ConfigFlags;
pub(crate) use values::{DrainSeconds, LogFormat, Output, RingBytes};

/// Where the observe socket is, unless told otherwise.
pub(crate) const OBSERVE_SOCKET: &str = "/run/watchfire/observe.sock";

/// Everything that can be set. `config.example.yaml` documents each key.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct Config {
    pub(crate) node_name: Option<String>,
    pub(crate) inventory: Option<PathBuf>,
    pub(crate) policies: Option<PathBuf>,
    pub(crate) redact_args: bool,
    pub(crate) drain_timeout_seconds: DrainSeconds,
    pub(crate) output: OutputConfig,
    pub(crate) metrics: MetricsConfig,
    pub(crate) observe: ObserveConfig,
    pub(crate) sensor: SensorConfig,
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

/// The kernel side.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct SensorConfig {
    pub(crate) ring_bytes: RingBytes,
    pub(crate) self_test: bool,
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
            node_name: None,
            inventory: None,
            policies: None,
            redact_args: true,
            drain_timeout_seconds: DrainSeconds::default(),
            output: OutputConfig::default(),
            metrics: MetricsConfig::default(),
            observe: ObserveConfig::default(),
            sensor: SensorConfig::default(),
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

impl Default for SensorConfig {
    fn default() -> Self {
        Self { ring_bytes: RingBytes::default(), self_test: true }
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
        Ok(config)
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
        for map in ["", "output", "metrics", "observe", "sensor", "log"] {
            let text = if map.is_empty() {
                "no-such-key: 1".to_owned()
            } else {
                format!("{map}: {{no-such-key: 1}}")
            };
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
            ("redactArgs: sometimes", "config.yaml:1:13: redactArgs: expected true or false"),
            (
                "sensor:\n  ringBytes: 1000\n",
                "config.yaml:2:14: sensor.ringBytes: found 1000, expected a power of two from 4096 to 1073741824",
            ),
            (
                "log: {format: xml}",
                "config.yaml:1:15: log.format: unknown variant `xml`, expected one of text, json",
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
}
