//! The whole source: every kind of the API, and the kubelet beside it.

use kube::{Client, Config};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use watchfire_inventory::{ResourceKind, Source, SourceBatch};

use crate::access::{Access, AccessError, Found, prepare, with_files};
use crate::api::{Api, with_causes};
use crate::batch::Batches;
use crate::client::client;
use crate::discovery::Discovery;
use crate::kubelet::{KubeletSettings, Poller};
use crate::resource::Resource;
use crate::state::State;
use crate::timing::Timing;
use crate::watcher::{Asks, Watcher};

/// What is asked, where and how.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Settings {
    /// Where the API is.
    pub access: Access,
    /// Where the kubelet is; none where it is not to be asked.
    pub kubelet: Option<KubeletSettings>,
    /// How long is waited for what.
    pub timing: Timing,
}

/// The source, ready to run. Nothing was asked yet.
pub struct Kubernetes {
    api: Option<Api>,
    kubelet: Option<Api>,
    about: Result<String, String>,
    state: State,
    timing: Timing,
}

impl Kubernetes {
    /// Reads what leads to the API. It need not answer yet, and nothing is sent to it. Must be called on a tokio runtime.
    pub async fn find(settings: &Settings) -> Result<Self, AccessError> {
        let timing = settings.timing;
        let (api, about) = match settings.access.find().await? {
            Found::Absent(reason) => (None, Err(reason)),
            Found::Config { config, what } => {
                let client =
                    client(*config).map_err(|error| unusable(&settings.access, with_causes(&error)))?;
                (Some(Api::new(client, timing.answer_timeout)), Ok(what))
            }
        };
        let kubelet = settings.kubelet.as_ref().map(kubelet_client).transpose()?;
        let kubelet = kubelet.map(|client| Api::new(client, timing.answer_timeout));
        let kinds = if api.is_some() { &ResourceKind::ALL[..] } else { &[] };
        let state = State::new(kinds.iter().copied(), kubelet.is_some());
        Ok(Self { api, kubelet, about, state, timing })
    }

    /// Which API is asked and by what right, or why none is.
    pub fn about(&self) -> Result<&str, &str> {
        self.about.as_deref().map_err(String::as_str)
    }

    /// A handle on what is known, to be kept while the source runs.
    pub fn state(&self) -> State {
        self.state.clone()
    }

    /// Tells all changes until `shutdown`, or until nobody receives them. While the channel is full nothing more is read.
    pub async fn run(self, batches: Sender<SourceBatch>, shutdown: impl Future<Output = ()> + Send) {
        let mut tasks = JoinSet::new();
        let has_api = self.api.is_some();
        if let Some(api) = self.api {
            let (discovery, arrivals) = Discovery::new(api.clone(), self.timing);
            tasks.spawn(discovery.run());
            for kind in ResourceKind::ALL {
                let batches = Batches::new(Source::Api, batches.clone());
                let resource = Resource::first(kind);
                let asks = Asks { api: api.clone(), arrivals: arrivals.clone(), state: self.state.clone() };
                let watcher = Watcher::new(asks, self.timing, batches, resource);
                tasks.spawn(watcher.run());
            }
        }
        if let Some(kubelet) = self.kubelet {
            let batches = Batches::new(Source::Kubelet, batches.clone());
            tasks.spawn(Poller::new(kubelet, self.state.clone(), self.timing, batches, has_api).run());
        }
        // No task keeps anything outside of itself: what is dropped in the middle of a request has closed its connection.
        tokio::select! {
            () = shutdown => {}
            () = async {
                while let Some(ended) = tasks.join_next().await {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a kind of the Kubernetes API is no longer followed");
                    }
                }
            } => {}
        }
        tasks.shutdown().await;
    }
}

/// A client was refused what its configuration holds.
pub(crate) fn unusable(access: &Access, why: String) -> AccessError {
    match access {
        Access::Kubeconfig { file, .. } => AccessError::Kubeconfig { file: file.clone(), why },
        Access::InCluster(cluster) => AccessError::ServiceAccount { folder: cluster.folder.clone(), why },
        Access::Automatic | Access::Off => AccessError::Client(why),
    }
}

fn kubelet_client(settings: &KubeletSettings) -> Result<Client, AccessError> {
    let KubeletSettings { url, token, authority, accept_any_certificate } = settings;
    let failed = |why| AccessError::Kubelet { url: url.clone(), why };
    let mut config = Config::new(url.parse().map_err(|_| failed("it is no URL".to_owned()))?);
    with_files(&mut config, token.as_deref(), authority.as_deref()).map_err(failed)?;
    config.accept_invalid_certs = *accept_any_certificate;
    prepare(&mut config);
    client(config).map_err(|error| failed(with_causes(&error)))
}
