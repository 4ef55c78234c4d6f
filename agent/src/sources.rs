//! Who tells the agent who is who: the Kubernetes API, kubelet, a folder of manifests, the container runtime. All run on
//! the control plane's threads and tell the pipeline through bounded channels.

mod manifests;
mod states;

use std::env;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use watchfire_cri::{Cri, CriOptions};
use watchfire_export::{Metrics, Question};
use watchfire_inventory::{ContainerChange, SourceBatch};
use watchfire_kubernetes::{Access, InCluster, KubeletSettings, Kubernetes, Settings, State};
use watchfire_model::ApiAccessRecord;

use self::manifests::Manifests;
use crate::config::{AutoOr, Config, Place, Url};
use crate::pipeline::{Expected, Feeds};

/// Batches of changes that wait for the pipeline. Sources wait when there is no room.
const BATCHES_MAX: usize = 64;
/// What the container runtime told, that waits for the pipeline.
const CONTAINER_CHANGES_MAX: usize = 4096;
/// The address of the node that the agent runs on, which a DaemonSet tells its pods by `status.hostIP`.
const NODE_IP: &str = "WATCHFIRE_NODE_IP";

/// What comes to the pipeline from whoever asks the agent.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) questions: mpsc::Receiver<Question>,
    pub(crate) accesses: mpsc::Receiver<ApiAccessRecord>,
}

/// The sources that run.
#[derive(Debug)]
pub(crate) struct Sources {
    handle: Handle,
    tasks: JoinSet<()>,
    shutdown: watch::Sender<bool>,
    kubernetes: Option<State>,
    manifests: Option<manifests::State>,
    runtime: Option<Cri>,
    /// Whether it was there at the start, or is said to come.
    has_runtime: bool,
    metrics: Metrics,
}

impl Sources {
    /// Starts what the configuration names. What cannot be reached yet is waited for; what can never be is an error.
    pub(crate) fn start(
        config: &Config,
        handle: &Handle,
        metrics: &Metrics,
        asked: Asked,
    ) -> Result<(Self, Feeds)> {
        let (batches, objects) = mpsc::channel(BATCHES_MAX);
        let (changes, containers) = mpsc::channel(CONTAINER_CHANGES_MAX);
        let mut sources = Self {
            handle: handle.clone(),
            tasks: JoinSet::new(),
            shutdown: watch::channel(false).0,
            kubernetes: None,
            manifests: None,
            runtime: None,
            has_runtime: false,
            metrics: metrics.clone(),
        };
        sources.start_kubernetes(config, batches.clone())?;
        sources.start_manifests(config, batches)?;
        sources.start_runtime(config, changes);
        let Asked { questions, accesses } = asked;
        Ok((sources, Feeds { objects, containers, questions, accesses }))
    }

    /// What somebody is there to tell.
    pub(crate) fn expected(&self, config: &Config) -> Expected {
        let has_api = self.kubernetes.is_some() && !matches!(config.kubernetes.api, AutoOr::None);
        Expected {
            pods: self.kubernetes.is_some() || self.has_runtime,
            containers: self.has_runtime,
            peers: has_api,
            // Who keeps them in files need not let the agent read those of the cluster.
            policies: has_api && config.policies.is_none(),
        }
    }

    /// The client of the container runtime, which can be asked for single containers.
    pub(crate) const fn runtime(&self) -> Option<&Cri> {
        self.runtime.as_ref()
    }

    fn start_kubernetes(&mut self, config: &Config, batches: mpsc::Sender<SourceBatch>) -> Result<()> {
        let Some(settings) = kubernetes_settings(config)? else { return Ok(()) };
        let kubernetes = self.handle.block_on(Kubernetes::find(&settings))?;
        match kubernetes.about() {
            Ok(api) => tracing::info!("who is who is told by the Kubernetes API at {api}"),
            Err(why) if settings.kubelet.is_none() => {
                tracing::info!("no Kubernetes API: {why}");
                return Ok(());
            }
            Err(why) => tracing::info!("no Kubernetes API: {why}; the kubelet tells this node's pods"),
        }
        self.kubernetes = Some(kubernetes.state());
        self.tasks.spawn_on(kubernetes.run(batches, self.shut_down()), &self.handle);
        Ok(())
    }

    fn start_manifests(&mut self, config: &Config, batches: mpsc::Sender<SourceBatch>) -> Result<()> {
        let Some(folder) = &config.manifests else { return Ok(()) };
        let mut manifests = Manifests::open(folder)
            .with_context(|| format!("cannot read manifests from {}", folder.display()))?;
        self.manifests = Some(manifests.state());
        // Who is who is known before anybody is told of. Nothing else waits in the channel yet.
        if let Some(batch) = manifests.look() {
            _ = batches.try_send(batch);
        }
        self.tasks.spawn_on(manifests.run(batches, self.shut_down()), &self.handle);
        Ok(())
    }

    fn start_runtime(&mut self, config: &Config, changes: mpsc::Sender<ContainerChange>) {
        let options = match &config.container_runtime {
            AutoOr::None => return,
            AutoOr::Auto => CriOptions::default(),
            AutoOr::At(Place(socket)) => CriOptions { socket: Some(socket.clone()), ..CriOptions::default() },
        };
        // One that may come later is looked for, but nothing waits for what it might tell until it does.
        self.has_runtime = options.socket.is_some()
            || watchfire_cri::SOCKETS.iter().any(|socket| Path::new(socket).exists());
        self.runtime = Some(Cri::start(&self.handle, options, changes));
    }

    fn shut_down(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut shutdown = self.shutdown.subscribe();
        async move {
            // An error means that the sources are gone: an end as well.
            _ = shutdown.wait_for(|shutdown| *shutdown).await;
        }
    }

    /// Closes every connection.
    pub(crate) fn stop(mut self, within: Duration) {
        self.shutdown.send_replace(true);
        let ends = async {
            if let Some(runtime) = &self.runtime {
                runtime.stop().await;
            }
            while self.tasks.join_next().await.is_some() {}
        };
        if self.handle.block_on(async { tokio::time::timeout(within, ends).await }).is_err() {
            tracing::warn!("a source of the inventory did not end in time and is cut off");
        }
    }
}

/// None where nothing of Kubernetes is to be asked.
fn kubernetes_settings(config: &Config) -> Result<Option<Settings>> {
    let has_other = config.inventory.is_some() || config.manifests.is_some();
    let access = match &config.kubernetes.api {
        AutoOr::None => Access::Off,
        AutoOr::Auto if has_other => Access::Off,
        AutoOr::Auto => Access::Automatic,
        AutoOr::At(Place(file)) => Access::Kubeconfig { file: file.clone(), context: None },
    };
    let cluster = InCluster::from_environment()?;
    let node_ip = env::var(NODE_IP).ok().filter(|text| !text.is_empty());
    let kubelet = match (&config.kubernetes.kubelet, node_ip, cluster) {
        (AutoOr::Auto, Some(ip), Some(cluster)) if access != Access::Off => {
            let ip: IpAddr =
                ip.parse().with_context(|| format!("{NODE_IP} is `{ip}`, expected an address"))?;
            Some(KubeletSettings::of_node(ip, &cluster))
        }
        (AutoOr::Auto | AutoOr::None, ..) => None,
        (AutoOr::At(Url(url)), _, cluster) => Some(KubeletSettings {
            url: url.clone(),
            token: cluster.as_ref().map(InCluster::token),
            authority: cluster.as_ref().map(InCluster::authority),
            accept_any_certificate: false,
        }),
    };
    let kubelet = kubelet.map(|kubelet| KubeletSettings {
        accept_any_certificate: config.kubernetes.kubelet_insecure_tls,
        ..kubelet
    });
    let is_wanted = access != Access::Off || kubelet.is_some();
    Ok(is_wanted.then(|| Settings { access, kubelet, ..Settings::default() }))
}
