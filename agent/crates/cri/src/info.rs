//! What runtimes add to a status that is asked for verbosely: JSON under the key `info`, of which nothing is promised.
//!
//! containerd (`internal/cri/server/container_status.go` ContainerInfo, `sandbox_status.go`): `sandboxID`, `pid`, `config`
//! with the CRI's `ContainerConfig` or `PodSandboxConfig`. CRI-O (`server/container_status.go` containerInfo): `sandboxID`,
//! `pid`, `privileged`. cri-dockerd: nothing of these.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::limits::INFO_BYTES_MAX;

#[derive(Default, Debug)]
pub(crate) struct Info {
    pub(crate) sandbox_id: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) privileged: Option<bool>,
    /// Whether there was something that could not be read.
    pub(crate) is_unreadable: bool,
}

#[derive(Deserialize)]
struct Verbose {
    #[serde(rename = "sandboxID")]
    sandbox_id: Option<String>,
    pid: Option<i64>,
    privileged: Option<bool>,
    config: Option<Config>,
}

#[derive(Deserialize)]
struct Config {
    linux: Option<Linux>,
}

#[derive(Deserialize)]
struct Linux {
    security_context: Option<SecurityContext>,
}

/// False is left out: the field is `omitempty`.
#[derive(Deserialize)]
struct SecurityContext {
    #[serde(default)]
    privileged: bool,
}

impl Info {
    pub(crate) fn read(info: &BTreeMap<String, String>) -> Self {
        let Some(text) = info.get("info") else { return Self::default() };
        if text.len() > INFO_BYTES_MAX {
            return Self { is_unreadable: true, ..Self::default() };
        }
        let Ok(verbose) = serde_json::from_str::<Verbose>(text) else {
            return Self { is_unreadable: true, ..Self::default() };
        };
        let of_config = verbose.config.map(|config| {
            let context = config.linux.and_then(|linux| linux.security_context);
            context.is_some_and(|context| context.privileged)
        });
        Self {
            sandbox_id: verbose.sandbox_id.filter(|id| !id.is_empty()),
            // Zero before it starts and after it ended.
            pid: verbose.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid != 0),
            privileged: verbose.privileged.or(of_config),
            is_unreadable: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_information() {
        let read = |text: &str| {
            let info = Info::read(&BTreeMap::from([("info".to_owned(), text.to_owned())]));
            (info.sandbox_id, info.pid, info.privileged, info.is_unreadable)
        };
        let id = || Some("ab".to_owned());
        for (text, expected) in [
            // containerd
            (
                r#"{"sandboxID":"ab","pid":7,"config":{"linux":{"security_context":{"privileged":true}}}}"#,
                (id(), Some(7), Some(true), false),
            ),
            (
                r#"{"sandboxID":"ab","pid":0,"config":{"linux":{"security_context":{}}}}"#,
                (id(), None, Some(false), false),
            ),
            (r#"{"sandboxID":"ab","config":{}}"#, (id(), None, Some(false), false)),
            // CRI-O
            (r#"{"sandboxID":"ab","pid":7,"privileged":true}"#, (id(), Some(7), Some(true), false)),
            (r#"{"sandboxID":"","pid":-1}"#, (None, None, None, false)),
            ("{}", (None, None, None, false)),
            ("[]", (None, None, None, true)),
            (r#"{"pid":"seven"}"#, (None, None, None, true)),
            ("", (None, None, None, true)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        let long = " ".repeat(INFO_BYTES_MAX) + "{}";
        assert!(read(&long).3);
        assert!(!Info::read(&BTreeMap::new()).is_unreadable);
    }
}
