//! The client against runtimes that behave and that do not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use watchfire_inventory::{ContainerChange, ContainerObject, PodObject, UnknownReason};

use crate::fake::{Fake, Served};
use crate::limits::{REQUESTS_IN_FLIGHT_MAX, RESPONSE_BYTES_MAX};
use crate::options::Timing;
use crate::{Cri, CriOptions, CriState, LOOKUPS_QUEUED_MAX, MOUNTS_MAX, proto};

/// A wait ends a failed test, it decides nothing.
const DEADLINE: Duration = Duration::from_secs(60);

struct Bench {
    folder: tempfile::TempDir,
    fake: Fake,
    changes: mpsc::Receiver<ContainerChange>,
    sender: mpsc::Sender<ContainerChange>,
    cri: Option<Cri>,
    /// What has been told and stands.
    containers: BTreeMap<String, Arc<ContainerObject>>,
    pods: BTreeMap<String, Arc<PodObject>>,
    timing: Timing,
}

impl Bench {
    fn new() -> Self {
        let (sender, changes) = mpsc::channel(16);
        let timing = Timing {
            request: Duration::from_millis(300),
            list: Duration::from_secs(5),
            backoff: (Duration::from_millis(5), Duration::from_millis(20)),
            retries: vec![Duration::from_millis(5); 4],
            ..Timing::default()
        };
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            fake: Fake::new(),
            changes,
            sender,
            cri: None,
            containers: BTreeMap::new(),
            pods: BTreeMap::new(),
            timing,
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("cri.sock")
    }

    fn serve(&self) -> Served {
        _ = std::fs::remove_file(self.socket());
        self.fake.serve(&self.socket())
    }

    fn start(&mut self) {
        let options = CriOptions { socket: Some(self.socket()), host_root: None };
        self.cri =
            Some(Cri::start_with(&Handle::current(), options, self.sender.clone(), self.timing.clone()));
    }

    fn cri(&self) -> &Cri {
        self.cri.as_ref().unwrap()
    }

    async fn next(&mut self) -> ContainerChange {
        let change = tokio::time::timeout(DEADLINE, self.changes.recv()).await;
        let change = change.expect("a change comes").expect("the client runs");
        match &change {
            ContainerChange::Apply(object) => {
                self.containers.insert(object.id.clone(), Arc::clone(object));
            }
            ContainerChange::ApplyPod(pod) => {
                self.pods.insert(pod.uid.clone(), Arc::clone(pod));
            }
            ContainerChange::Delete { id } => {
                self.containers.remove(id);
            }
            ContainerChange::ListBegins => {
                self.containers.clear();
                self.pods.clear();
            }
            ContainerChange::ListEnds | ContainerChange::Unknown { .. } => {}
        }
        change
    }

    async fn list(&mut self) {
        while self.next().await != ContainerChange::ListEnds {}
    }

    /// Reads changes until what stands is as wanted.
    async fn until(&mut self, is_wanted: impl Fn(&Self) -> bool) {
        while !is_wanted(self) {
            self.next().await;
        }
    }

    async fn unknown(&mut self) -> (String, UnknownReason) {
        loop {
            if let ContainerChange::Unknown { id, reason } = self.next().await {
                return (id, reason);
            }
        }
    }

    async fn state(&self, is_wanted: impl Fn(&CriState) -> bool) -> CriState {
        let wait = async {
            loop {
                let state = self.cri().state();
                if is_wanted(&state) {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.expect("the state is reached")
    }
}

#[tokio::test]
async fn everything_is_listed_and_then_completed() {
    let mut bench = Bench::new();
    let sandbox = bench.fake.pod(1);
    let id = bench.fake.container(&sandbox, 1);
    let ended = bench.fake.container(&sandbox, 2);
    bench.fake.world.lock().unwrap().containers.get_mut(&ended).unwrap().1.state =
        proto::container_state::EXITED;
    let _served = bench.serve();
    bench.start();
    assert_eq!(bench.next().await, ContainerChange::ListBegins);
    bench.list().await;
    assert_eq!(bench.containers.len(), 2);
    assert_eq!(bench.containers[&id].pod.as_ref().unwrap().name, "pod-1");
    bench.until(|bench| bench.containers[&id].is_complete && bench.pods.len() == 1).await;

    let container = &bench.containers[&id];
    assert_eq!((container.name.as_str(), container.image.as_str()), ("c-1", "web:1"));
    assert_eq!(container.image_digest.as_deref(), Some("sha256:ab"));
    assert_eq!((container.privileged, container.pid), (Some(true), Some(2)));
    assert_eq!(container.mounts[0].host_path, "/srv");
    assert_eq!(container.sandbox_id, sandbox);
    let pod = &bench.pods["uid-1"];
    assert_eq!((pod.namespace.as_str(), pod.ips.len(), pod.labels.len()), ("shop", 2, 1));
    assert!(bench.containers[&sandbox].is_sandbox);

    let state = bench.state(|state| state.is_listed && state.containers == 1).await;
    assert_eq!((state.sandboxes, state.runtime.unwrap().name.as_str()), (1, "containerd"));
    assert_eq!(state.last_error, None);
    bench.cri().stop().await;
    assert!(!bench.cri().state().is_connected);
}

#[tokio::test]
async fn a_new_container_is_looked_up_with_its_pod() {
    let mut bench = Bench::new();
    let _served = bench.serve();
    bench.start();
    bench.list().await;
    let sandbox = bench.fake.pod(1);
    let id = bench.fake.container(&sandbox, 1);
    assert!(bench.cri().lookup(&id));
    bench.until(|bench| bench.containers.contains_key(&id)).await;
    assert!(bench.containers[&id].is_complete);
    assert_eq!(bench.containers[&id].pod.as_ref().unwrap().uid, "uid-1");
    assert_eq!(bench.pods["uid-1"].ips.len(), 2, "the pod comes first");

    // The second time nobody is asked.
    let calls = bench.fake.calls("ContainerStatus");
    bench.containers.clear();
    assert!(bench.cri().lookup(&id));
    bench.until(|bench| bench.containers.contains_key(&id)).await;
    assert_eq!(bench.fake.calls("ContainerStatus"), calls);

    // A sandbox that the runtime knows a moment later.
    let later = format!("{:064x}", 0x5000_0002);
    assert!(bench.cri().lookup(&later));
    bench.state(|_| bench.fake.calls("PodSandboxStatus") > 2).await;
    assert_eq!(bench.fake.pod(2), later);
    bench.until(|bench| bench.containers.contains_key(&later)).await;
    assert_eq!(bench.pods["uid-2"].name, "pod-2");

    // A container without verbose information: its sandbox is found by a list.
    let bare = bench.fake.container(&sandbox, 7);
    bench.fake.world.lock().unwrap().containers.get_mut(&bare).unwrap().2.clear();
    assert!(bench.cri().lookup(&bare));
    bench.until(|bench| bench.containers.contains_key(&bare)).await;
    assert_eq!((bench.containers[&bare].privileged, bench.containers[&bare].pid), (None, None));
    assert_eq!(bench.containers[&bare].pod.as_ref().unwrap().uid, "uid-1");
}

#[tokio::test]
async fn what_is_unknown_is_said_to_be() {
    let mut bench = Bench::new();
    let served = bench.serve();
    bench.start();
    bench.list().await;
    assert!(bench.cri().lookup("none"));
    assert_eq!(bench.unknown().await, ("none".to_owned(), UnknownReason::NotYet));
    assert_eq!(bench.unknown().await, ("none".to_owned(), UnknownReason::NotFound));
    assert!(!bench.cri().lookup("") && !bench.cri().lookup(&"x".repeat(1000)));
    drop(served);
    bench.state(|state| !state.is_connected).await;
    assert!(bench.cri().lookup("away"));
    assert_eq!(bench.unknown().await, ("away".to_owned(), UnknownReason::NotConnected));
    let counters = bench.cri().state().counters;
    assert_eq!((counters.lookups, counters.lookups_refused, counters.lookups_unknown), (4, 2, 2));
}

#[tokio::test]
async fn a_restart_is_noticed_and_listed_anew() {
    let mut bench = Bench::new();
    bench.start();
    bench.state(|state| state.last_error.is_some()).await;
    for round in 1..=3 {
        bench.fake.world.lock().unwrap().containers.clear();
        let sandbox = bench.fake.pod(1);
        let id = bench.fake.container(&sandbox, round);
        let served = bench.serve();
        bench.list().await;
        assert_eq!(bench.containers.keys().collect::<Vec<_>>(), [&sandbox, &id]);
        // The pod is told with the list, as it is known from before.
        assert!(round == 1 || bench.pods["uid-1"].ips.len() == 2);
        bench.until(|bench| bench.containers[&id].is_complete && bench.pods.len() == 1).await;
        bench.state(|state| state.counters.connections == round as u64).await;
        drop(served);
        bench.state(|state| !state.is_connected).await;
    }
}

#[tokio::test]
async fn a_hanging_runtime_is_given_up_and_tried_again() {
    let mut bench = Bench::new();
    bench.timing.request = Duration::from_millis(20);
    bench.fake.world.lock().unwrap().hangs = vec!["ContainerStatus"];
    let served = bench.serve();
    bench.start();
    bench.list().await;
    assert!(bench.cri().lookup("stuck"));
    assert_eq!(bench.unknown().await, ("stuck".to_owned(), UnknownReason::Timeout));
    // All are answered, those that were under way when the connection was given up as well.
    for number in 0..8 {
        assert!(bench.cri().lookup(&number.to_string()));
    }
    for _ in 0..8 {
        bench.unknown().await;
    }
    bench.list().await;
    let state = bench.state(|state| state.is_connected).await;
    assert!(state.counters.timeouts >= 5 && state.counters.connections >= 2);

    // Not even a version: nothing is blocked, and the client ends at once.
    bench.fake.world.lock().unwrap().hangs = vec!["Version", "ListContainers"];
    drop(served);
    let _served = bench.serve();
    bench.state(|_| bench.fake.calls("Version") > 4).await;
    bench.cri().stop().await;
}

#[tokio::test]
async fn a_socket_that_speaks_something_else_is_named() {
    let bench = Bench::new();
    let listener = UnixListener::bind(bench.socket()).unwrap();
    let garbage = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\0\xff\xff\xff garbage garbage garbage").await;
        }
    });
    let mut bench = bench;
    bench.start();
    let state = bench.state(|state| state.counters.connect_failures > 3).await;
    assert!(!state.is_connected && state.last_error.is_some());
    garbage.abort();
    bench.cri().stop().await;
}

#[tokio::test]
async fn a_runtime_without_cri_is_named_and_the_next_socket_is_tried() {
    let mut bench = Bench::new();
    let root = bench.folder.path().to_path_buf();
    for folder in ["run/containerd", "run/crio", "run/k3s/containerd"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    // Whatever it is asked: `unknown service`, as grpc-go says where the plugin is off.
    let nothing = UnixListener::bind(root.join(&crate::SOCKETS[1][1..])).unwrap();
    drop(nothing);
    let no_cri = bench.fake.serve_without_cri(&root.join(&crate::SOCKETS[0][1..]));
    let options = CriOptions { socket: None, host_root: Some(root.clone()) };
    bench.cri =
        Some(Cri::start_with(&Handle::current(), options, bench.sender.clone(), bench.timing.clone()));
    let state = bench.state(|state| state.counters.connect_failures > 3).await;
    assert!(state.socket.is_none());
    let _served = bench.fake.serve(&root.join(&crate::SOCKETS[2][1..]));
    bench.list().await;
    assert_eq!(bench.cri().state().socket, Some(root.join(&crate::SOCKETS[2][1..])));
    drop(no_cri);
}

#[tokio::test]
async fn thousands_of_containers_with_few_requests_at_once() {
    const COUNT: usize = 3000;
    let mut bench = Bench::new();
    bench.timing.request = DEADLINE;
    bench.timing.list = DEADLINE;
    bench.timing.resync = Duration::from_millis(500);
    let sandbox = bench.fake.pod(1);
    for number in 0..COUNT {
        bench.fake.container(&sandbox, number);
    }
    let _served = bench.serve();
    bench.start();
    bench.list().await;
    assert_eq!(bench.containers.len(), COUNT + 1);
    // A look-up does not wait for all the details.
    let late = bench.fake.container(&sandbox, COUNT);
    assert!(bench.cri().lookup(&late));
    bench.until(|bench| bench.containers.contains_key(&late)).await;
    let is_complete = |object: &Arc<ContainerObject>| object.is_complete;
    bench
        .until(|bench| bench.containers.len() == COUNT + 2 && bench.containers.values().all(is_complete))
        .await;
    // What is known is not asked for again by the lists that follow.
    let calls = bench.fake.calls("ContainerStatus");
    for _ in 0..2 {
        bench.list().await;
    }
    assert_eq!(bench.containers.len(), COUNT + 2);
    assert_eq!(bench.fake.calls("ContainerStatus"), calls);
    let most = bench.fake.world.lock().unwrap().in_flight.1;
    assert!(most <= REQUESTS_IN_FLIGHT_MAX, "{most}");
}

#[tokio::test]
async fn limits_are_counted() {
    let mut bench = Bench::new();
    let sandbox = bench.fake.pod(1);
    let id = bench.fake.container(&sandbox, 1);
    {
        let mut world = bench.fake.world.lock().unwrap();
        let (_, status, info) = world.containers.get_mut(&id).unwrap();
        status.mounts = vec![proto::Mount { host_path: "/é".repeat(1000), ..status.mounts[0].clone() }; 100];
        "{".clone_into(info);
    }
    let _served = bench.serve();
    bench.start();
    bench.list().await;
    bench.until(|bench| bench.containers[&id].is_complete).await;
    assert_eq!(bench.containers[&id].mounts.len(), MOUNTS_MAX);
    let state = bench.state(|state| state.counters.cut >= 100).await;
    assert_eq!(state.counters.info_unreadable, 1);

    // An answer longer than any that is taken.
    bench.fake.world.lock().unwrap().containers.get_mut(&id).unwrap().1.image_ref =
        "x".repeat(RESPONSE_BYTES_MAX + 1);
    bench.fake.world.lock().unwrap().containers.get_mut(&id).unwrap().1.id = "other".to_owned();
    assert!(bench.cri().lookup("other"));
    assert_eq!(bench.unknown().await.1, UnknownReason::NotYet);
    assert_eq!(bench.unknown().await.1, UnknownReason::NotFound);
}

#[tokio::test]
async fn nobody_waits_for_a_slow_receiver_or_a_slow_runtime() {
    let mut bench = Bench::new();
    let sandbox = bench.fake.pod(1);
    for number in 0..100 {
        bench.fake.container(&sandbox, number);
    }
    bench.fake.world.lock().unwrap().delay = Duration::from_millis(50);
    let _served = bench.serve();
    bench.start();
    // Nothing is received: the list stands in the channel, and look-ups are refused when their queue is full.
    bench.state(|_| bench.changes.len() == 16).await;
    let taken = (0..LOOKUPS_QUEUED_MAX + 10).filter(|number| bench.cri().lookup(&number.to_string())).count();
    assert_eq!(taken, LOOKUPS_QUEUED_MAX);
    assert_eq!(bench.cri().state().counters.lookups_refused, 10);
    bench.cri().stop().await;
    assert!(!bench.cri().lookup("late"));
}

#[tokio::test]
async fn events_hasten_what_lists_would_find() {
    let mut bench = Bench::new();
    bench.fake.world.lock().unwrap().version = "v2.0.5";
    let _served = bench.serve();
    bench.start();
    bench.list().await;
    bench.state(|_| bench.fake.events.receiver_count() == 1).await;
    let sandbox = bench.fake.pod(1);
    let id = bench.fake.container(&sandbox, 1);
    let event = |container_event_type| proto::ContainerEventResponse {
        container_id: id.clone(),
        container_event_type,
    };
    bench.fake.events.send(event(proto::event_type::CREATED)).unwrap();
    bench.until(|bench| bench.containers.contains_key(&id)).await;
    bench.fake.events.send(event(proto::event_type::STOPPED)).unwrap();
    let exited = watchfire_inventory::ContainerState::Exited;
    bench.until(|bench| bench.containers[&id].state == exited).await;
    bench.fake.events.send(event(proto::event_type::DELETED)).unwrap();
    bench.until(|bench| !bench.containers.contains_key(&id)).await;
    assert!(bench.cri().state().has_events);
}

#[tokio::test]
async fn older_containerd_keeps_its_events() {
    let mut bench = Bench::new();
    let _served = bench.serve();
    bench.start();
    bench.list().await;
    assert!(bench.cri().lookup("none"));
    bench.unknown().await;
    assert_eq!((bench.fake.calls("GetContainerEvents"), bench.cri().state().has_events), (0, false));
}
