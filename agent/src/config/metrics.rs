//! The keys of the metrics.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use watchfire_export::{RemoteWriteAuth, RemoteWriteConfig, SERIES_MAX_DEFAULT};

use super::AbsolutePath;

/// The HTTP server, and what the metrics are.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct MetricsConfig {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) series_max: SeriesMax,
    pub(crate) hubble: bool,
    pub(crate) remote_write: Option<RemoteWriteSection>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9464))),
            series_max: SeriesMax::default(),
            hubble: false,
            remote_write: None,
        }
    }
}

/// Most series that are labelled with names of workloads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "usize")]
pub(crate) struct SeriesMax(usize);

impl SeriesMax {
    const MAX: usize = 1_000_000;

    pub(crate) const fn get(self) -> usize {
        self.0
    }
}

impl Default for SeriesMax {
    fn default() -> Self {
        Self(SERIES_MAX_DEFAULT)
    }
}

impl TryFrom<usize> for SeriesMax {
    type Error = String;

    fn try_from(series: usize) -> Result<Self, String> {
        match series {
            0..=Self::MAX => Ok(Self(series)),
            _ => Err(format!("found {series}, expected a whole number from 0 to {}", Self::MAX)),
        }
    }
}

/// Where metrics are sent to.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(try_from = "RemoteWriteKeys")]
pub(crate) struct RemoteWriteSection {
    url: String,
    interval: Duration,
    auth: Option<RemoteWriteAuth>,
    ca_file: Option<AbsolutePath>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RemoteWriteKeys {
    url: String,
    #[serde(default = "interval_seconds")]
    interval_seconds: u64,
    bearer_token_file: Option<AbsolutePath>,
    username: Option<String>,
    password_file: Option<AbsolutePath>,
    ca_file: Option<AbsolutePath>,
}

const fn interval_seconds() -> u64 {
    15
}

impl TryFrom<RemoteWriteKeys> for RemoteWriteSection {
    type Error = String;

    fn try_from(keys: RemoteWriteKeys) -> Result<Self, String> {
        const SECONDS_MAX: u64 = 3600;
        let RemoteWriteKeys { url, interval_seconds, bearer_token_file, username, password_file, ca_file } =
            keys;
        if !(1..=SECONDS_MAX).contains(&interval_seconds) {
            return Err(format!(
                "found intervalSeconds {interval_seconds}, expected a whole number from 1 to {SECONDS_MAX}"
            ));
        }
        if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(format!("found url `{url}`, expected one as https://host/api/v1/write"));
        }
        if ca_file.is_some() && !url.starts_with("https://") {
            return Err(format!("found caFile and url `{url}`, expected one as https://host/api/v1/write"));
        }
        let auth = match (bearer_token_file, username, password_file) {
            (None, None, None) => None,
            (Some(file), None, None) => Some(RemoteWriteAuth::BearerTokenFile(file.to_path_buf())),
            (None, Some(username), Some(file)) => {
                Some(RemoteWriteAuth::Basic { username, password_file: file.to_path_buf() })
            }
            _ => {
                return Err("expected either bearerTokenFile, or username and passwordFile, or none of them"
                    .to_owned());
            }
        };
        Ok(Self { url, interval: Duration::from_secs(interval_seconds), auth, ca_file })
    }
}

impl RemoteWriteSection {
    /// As it is sent, in the name of a node.
    pub(crate) fn config(&self, node: &str) -> anyhow::Result<RemoteWriteConfig> {
        use anyhow::Context as _;
        let Self { url, interval, auth, ca_file } = self;
        Ok(RemoteWriteConfig {
            url: url.parse().with_context(|| format!("metrics.remoteWrite.url `{url}`"))?,
            interval: *interval,
            auth: auth.clone(),
            ca_file: ca_file.as_ref().map(AbsolutePath::to_path_buf),
            instance: node.to_owned(),
            job: "watchfire".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn remote_write_is_whole_or_an_error() {
        let parse = |keys: serde_json::Value| {
            serde_json::from_value::<RemoteWriteSection>(keys).map_err(|error| error.to_string())
        };
        let good = json!({ "url": "https://h/api/v1/write", "username": "u", "passwordFile": "/p" });
        let good = parse(good).unwrap();
        assert_eq!(good.interval, Duration::from_secs(15));
        assert!(matches!(good.auth, Some(RemoteWriteAuth::Basic { .. })));
        let token_and_name =
            json!({ "url": "http://h/", "bearerTokenFile": "/t", "username": "u", "passwordFile": "/p" });
        for (keys, expected) in [
            (json!({ "url": "ftp://h/" }), "expected one as https"),
            (json!({ "url": "http://h/", "intervalSeconds": 0 }), "whole number from 1 to 3600"),
            (json!({ "url": "http://h/", "username": "u" }), "either bearerTokenFile"),
            (token_and_name, "either bearerTokenFile"),
            (json!({ "url": "http://h/", "bearerTokenFile": "t" }), "absolute path"),
            (json!({ "url": "http://h/", "caFile": "/ca" }), "found caFile and url `http://h/`"),
            (json!({ "url": "https://h/", "caFile": "ca" }), "absolute path"),
            (json!({ "url": "http://h/", "labels": {} }), "unknown field `labels`"),
            (json!({ "intervalSeconds": 1 }), "missing field"),
        ] {
            let error = parse(keys).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
