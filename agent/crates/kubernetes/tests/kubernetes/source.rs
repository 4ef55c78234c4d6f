//! A source that runs, and what it has told.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use watchfire_inventory::{Change, Object, ResourceKind, Source, SourceBatch};
use watchfire_kubernetes::{Access, KindState, KubeletSettings, Kubernetes, Settings, State, Timing};

/// How long a test waits before it fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// Everything at once.
pub(crate) fn quick() -> Timing {
    let short = Duration::from_millis(5);
    Timing {
        backoff_first: short,
        backoff_max: short,
        absent_interval: short,
        kubelet_interval: short,
        kubelet_after: Duration::ZERO,
        ..Timing::default()
    }
}

pub(crate) struct Running {
    pub(crate) state: State,
    receiver: mpsc::Receiver<SourceBatch>,
    told: Vec<(Source, String)>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
    _folder: TempDir,
}

pub(crate) fn kubeconfig(text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

/// One that leads to a server on loopback.
pub(crate) fn kubeconfig_of(port: u16) -> (TempDir, PathBuf) {
    kubeconfig(&format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: k, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n\
         contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         users: [{{name: u, user: {{token: secret}}}}]\n"
    ))
}

impl Running {
    pub(crate) async fn start(port: u16, timing: Timing) -> Self {
        Self::start_with(port, timing, None, 64).await
    }

    pub(crate) async fn start_with(
        port: u16,
        timing: Timing,
        kubelet: Option<KubeletSettings>,
        capacity: usize,
    ) -> Self {
        let (folder, file) = kubeconfig_of(port);
        let access = Access::Kubeconfig { file, context: None };
        let source = Kubernetes::find(&Settings { access, kubelet, timing }).await.unwrap();
        assert_eq!(source.about().unwrap().split(' ').next(), Some(&*format!("http://127.0.0.1:{port}/")));
        let state = source.state();
        let (sender, receiver) = mpsc::channel(capacity);
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(source.run(sender, async {
            _ = stopped.await;
        }));
        Self { state, receiver, told: Vec::new(), stop: Some(stop), ended, _folder: folder }
    }

    /// Waits until exactly this was told of a kind, after what was asked for before.
    pub(crate) async fn expect(&mut self, kind: ResourceKind, expected: &[&str]) {
        self.expect_from(Source::Api, kind, expected).await;
    }

    pub(crate) async fn expect_from(&mut self, source: Source, kind: ResourceKind, expected: &[&str]) {
        let of_kind = format!(" {kind}");
        for wanted in expected {
            let wanted = wanted.replacen(' ', &format!("{of_kind} "), 1);
            let wanted = if wanted.contains(' ') { wanted } else { wanted + &of_kind };
            let told = loop {
                let is_of_kind = |(from, told): &(Source, String)| {
                    *from == source && told.split(' ').nth(1) == Some(kind.name())
                };
                if let Some(at) = self.told.iter().position(is_of_kind) {
                    break self.told.remove(at).1;
                }
                self.receive().await;
            };
            assert_eq!(told, wanted, "of {expected:?}");
        }
    }

    /// Waits until a kind is known as the test wants it.
    pub(crate) async fn until(
        &mut self,
        kind: ResourceKind,
        is_so: impl Fn(&KindState) -> bool,
    ) -> KindState {
        let known = self.state.clone();
        let wait = async {
            loop {
                let known = self.state.snapshot().kinds[&kind].clone();
                if is_so(&known) {
                    return known;
                }
                // What arrives meanwhile is taken, or the source would wait.
                if let Ok(Some(batch)) = timeout(Duration::from_millis(1), self.receiver.recv()).await {
                    self.keep(batch);
                }
            }
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{:?}", known.snapshot().kinds[&kind]))
    }

    /// Takes what arrives for some time.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let take = async {
            while let Some(batch) = self.receiver.recv().await {
                self.keep(batch);
            }
        };
        _ = timeout(time, take).await;
    }

    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(DEADLINE, self.ended).await.expect("the source ends").unwrap();
    }

    /// The number of batches that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.receiver.len()
    }

    async fn receive(&mut self) {
        let batch = timeout(DEADLINE, self.receiver.recv()).await;
        let batch = batch.unwrap_or_else(|_| panic!("nothing more was told; {:#?}", self.state.snapshot()));
        self.keep(batch.expect("the source runs"));
    }

    fn keep(&mut self, SourceBatch { source, changes }: SourceBatch) {
        self.told.extend(changes.iter().map(|change| (source, line(change))));
    }
}

fn line(change: &Change) -> String {
    match change {
        Change::ListBegins(kind) => format!("begin {kind}"),
        Change::ListEnds(kind) => format!("end {kind}"),
        Change::Absent(kind) => format!("absent {kind}"),
        Change::Delete(kind, key) => format!("delete {kind} {}", key.name),
        Change::Apply(object) => match &**object {
            Object::Namespace(namespace) => format!("apply Namespace {}", namespace.name),
            Object::Node(node) => format!("apply Node {}", node.name),
            Object::Pod(pod) => format!("apply Pod {}", pod.name),
            Object::Service(service) => format!("apply Service {}", service.name),
            Object::EndpointSlice(slice) => format!("apply EndpointSlice {}", slice.name),
            Object::Policy(policy) => format!("apply {} {}", policy.kind, policy.key.name),
        },
    }
}
