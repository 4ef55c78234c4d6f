//! What can be set.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits;

/// Where runtimes put their sockets, in the order in which they are tried: containerd, containerd of k3s and RKE2, CRI-O,
/// cri-dockerd.
pub const SOCKETS: [&str; 4] = [
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/var/run/cri-dockerd.sock",
];

/// Which socket to use.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CriOptions {
    /// The socket, with or without `unix://`. Without one the first of [`SOCKETS`] that exists and speaks CRI is used.
    pub socket: Option<PathBuf>,
    /// Folder under which the host's root is seen; none where it is `/`. Applies to [`SOCKETS`] alone.
    pub host_root: Option<PathBuf>,
}

impl CriOptions {
    pub(crate) fn candidates(&self) -> Vec<PathBuf> {
        if let Some(socket) = &self.socket {
            let socket = socket.to_str().and_then(|text| text.strip_prefix("unix://")).map(PathBuf::from);
            return vec![socket.or_else(|| self.socket.clone()).unwrap_or_default()];
        }
        let Some(root) = &self.host_root else { return SOCKETS.iter().map(PathBuf::from).collect() };
        // `/var/run` is a link to `/run`, which below another root would lead back out of it.
        let below =
            |socket: &str| socket.replacen("/var/run/", "/run/", 1).trim_start_matches('/').to_owned();
        SOCKETS.iter().map(|socket| root.join(below(socket))).collect()
    }
}

/// How long things take. Tests have less patience.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    pub(crate) request: Duration,
    pub(crate) list: Duration,
    pub(crate) resync: Duration,
    /// Shortest and longest time between two attempts to connect.
    pub(crate) backoff: (Duration, Duration),
    /// Pauses after which a container that the runtime does not know is asked for again: it makes the cgroup of a sandbox
    /// a moment before it keeps the sandbox.
    pub(crate) retries: Vec<Duration>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            request: limits::REQUEST_TIMEOUT,
            list: limits::LIST_TIMEOUT,
            resync: limits::RESYNC_INTERVAL,
            backoff: (Duration::from_millis(100), Duration::from_secs(10)),
            retries: [10, 20, 40, 80, 160, 320].map(Duration::from_millis).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates() {
        let with = |socket: Option<&str>, root: Option<&str>| {
            CriOptions { socket: socket.map(PathBuf::from), host_root: root.map(PathBuf::from) }.candidates()
        };
        assert_eq!(with(Some("unix:///run/x.sock"), None), [PathBuf::from("/run/x.sock")]);
        assert_eq!(with(Some("/run/x.sock"), Some("/host")), [PathBuf::from("/run/x.sock")]);
        assert_eq!(with(None, None), SOCKETS.map(PathBuf::from));
        assert_eq!(with(None, Some("/host"))[2], PathBuf::from("/host/run/crio/crio.sock"));
        assert_eq!(with(None, Some("/host"))[3], PathBuf::from("/host/run/cri-dockerd.sock"));
    }
}
