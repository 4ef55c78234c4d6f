//! Events of the runtime: they tell of a container when it is created, which is before its cgroup is made.

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::RuntimeVersion;
use crate::client::Client;
use crate::limits::EVENTS_QUEUED_MAX;
use crate::proto;

/// Events as they come, as long as it exists. Where there are none nothing ever comes.
#[derive(Debug)]
pub(crate) struct Events {
    receiver: mpsc::Receiver<proto::ContainerEventResponse>,
    _reader: JoinSet<()>,
}

impl Events {
    pub(crate) fn start(client: &Client, runtime: &RuntimeVersion) -> Self {
        let (sender, receiver) = mpsc::channel(EVENTS_QUEUED_MAX);
        let mut reader = JoinSet::new();
        if gives_to_all(runtime) {
            reader.spawn(read(client.clone(), sender));
        }
        Self { receiver, _reader: reader }
    }

    pub(crate) async fn next(&mut self) -> Option<proto::ContainerEventResponse> {
        self.receiver.recv().await
    }
}

/// Whether every reader gets every event. containerd before 2.0 gives each event to one of its readers
/// (`pkg/cri/server/container_events.go`: one channel for all): we would take them from kubelet.
fn gives_to_all(runtime: &RuntimeVersion) -> bool {
    match runtime.name.as_str() {
        "cri-o" => true,
        "containerd" => {
            let version = runtime.version.trim_start_matches('v');
            let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
            major.is_some_and(|major| major >= 2)
        }
        _ => false,
    }
}

async fn read(client: Client, sender: mpsc::Sender<proto::ContainerEventResponse>) {
    // Events only hasten what lists and look-ups find as well: their end is no failure. CRI-O ends the stream at once where
    // its `enable_pod_events` is off.
    let Ok(mut stream) = client.events().await else { return };
    while let Ok(Some(event)) = stream.message().await {
        // What has no room is found by the next list.
        if let Err(mpsc::error::TrySendError::Closed(_)) = sender.try_send(event) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_whose_events_may_be_read() {
        for (name, version, expected) in [
            ("containerd", "v2.0.5", true),
            ("containerd", "2.1.4-1", true),
            ("containerd", "v1.7.28", false),
            ("containerd", "1.6.20~ds1", false),
            ("containerd", "", false),
            ("cri-o", "1.30.0", true),
            ("docker", "27.0", false),
        ] {
            let runtime = RuntimeVersion { name: name.to_owned(), version: version.to_owned() };
            assert_eq!(gives_to_all(&runtime), expected, "{name} {version}");
        }
    }
}
