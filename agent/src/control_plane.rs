//! What talks to the outside and not to the kernel: HTTP, the observe socket, the object store and signals, on tokio.

mod token_review;

use std::process;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use watchfire_api::limits::ACCESSES_MAX;
use watchfire_api::{Build, Setup, TcpServer, UnixServer};
use watchfire_export::{
    Health, HttpServer, LedgerFacts, Metrics, ObserveHub, ObserveServer, QUESTIONS_MAX, Question, RemoteWrite,
};
use watchfire_model::ApiAccessRecord;
use watchfire_ship::Shipper;

use crate::build_info::{COMMIT, VERSION};
use crate::config::Config;

/// Threads of the control plane.
const WORKERS: usize = 2;

/// What the main thread waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// The pipeline thread is no more.
    PipelineEnded,
}

/// The running control plane.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    runtime: Runtime,
    servers: JoinSet<()>,
    shutdown: watch::Sender<bool>,
    hub: Option<Arc<ObserveHub>>,
    asked: mpsc::Sender<Question>,
    questions: Option<mpsc::Receiver<Question>>,
    accesses: Option<mpsc::Receiver<ApiAccessRecord>>,
}

impl ControlPlane {
    /// Binds everything and begins to answer. A port or socket in use is an error that names it.
    pub(crate) fn start(
        config: &Config,
        metrics: &Metrics,
        health: &Arc<Health>,
        events: Sender<Event>,
    ) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("control")
            .enable_all()
            .build()
            .context("cannot start the control plane's threads")?;
        let (shutdown, _) = watch::channel(false);
        let (asked, questions) = mpsc::channel(QUESTIONS_MAX);
        let mut plane = Self {
            runtime,
            servers: JoinSet::new(),
            shutdown,
            hub: None,
            asked,
            questions: Some(questions),
            accesses: None,
        };
        plane.handle_signals(events)?;
        plane.serve_http(config, metrics, health)?;
        plane.serve_observers(config, metrics)?;
        Ok(plane)
    }

    /// Where live records go, if anyone may ask for them.
    pub(crate) const fn hub(&self) -> Option<&Arc<ObserveHub>> {
        self.hub.as_ref()
    }

    /// Ships sealed segments of the ledger until the end.
    pub(crate) fn ship(&mut self, shipper: Shipper) {
        self.servers.spawn_on(shipper.run(self.shut_down()), self.runtime.handle());
    }

    /// Its threads.
    pub(crate) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// What is asked over the observe socket and the API; nothing where there is neither.
    pub(crate) fn questions(&mut self) -> mpsc::Receiver<Question> {
        let is_asked = self.hub.is_some() || self.accesses.is_some();
        self.questions.take_if(|_| is_asked).unwrap_or_else(|| mpsc::channel(1).1)
    }

    /// Requests to the API, to be recorded; nothing where there is none.
    pub(crate) fn accesses(&mut self) -> mpsc::Receiver<ApiAccessRecord> {
        self.accesses.take().unwrap_or_else(|| mpsc::channel(1).1)
    }

    /// Begins to answer over the API.
    pub(crate) fn serve_api(
        &mut self,
        config: &Config,
        metrics: &Metrics,
        health: &Arc<Health>,
        node: &Arc<str>,
        ledger: Option<LedgerFacts>,
    ) -> Result<()> {
        let socket = config.api.socket(config.observe.socket.as_ref());
        let tcp = config.api.tcp()?;
        if socket.is_none() && tcp.is_none() {
            return Ok(());
        }
        let (audit, accesses) = mpsc::channel(ACCESSES_MAX);
        self.accesses = Some(accesses);
        let build = Build {
            version: VERSION,
            commit: COMMIT,
            node: Arc::clone(node),
            cluster: config.cluster_name.as_deref().map(Arc::from),
        };
        let hub = self.hub.get_or_insert_with(|| Arc::new(ObserveHub::new(metrics.sink("observe"))));
        let setup = Setup::new(
            build,
            ledger,
            Arc::clone(hub),
            self.asked.clone(),
            audit,
            metrics.clone(),
            Arc::clone(health),
        );
        if let Some(path) = socket {
            let server = {
                let _runtime = self.runtime.enter();
                UnixServer::bind(&path).context("cannot serve the API")?
            };
            tracing::info!("API at unix:{}", path.display());
            self.servers.spawn_on(server.serve(setup.clone(), self.shut_down()), self.runtime.handle());
        }
        if let Some((address, files)) = tcp {
            let server = self.runtime.block_on(async {
                let reviewer = token_review::reviewer(config).await?;
                anyhow::Ok(TcpServer::bind(address, files, reviewer).await?)
            })?;
            tracing::info!("API at https://{}", server.address());
            self.servers.spawn_on(server.serve(setup, self.shut_down()), self.runtime.handle());
        }
        Ok(())
    }

    /// Lets observers read what is queued for them, closes the servers and ends the threads.
    pub(crate) fn stop(mut self, within: Duration) {
        self.shutdown.send_replace(true);
        let servers = async { while self.servers.join_next().await.is_some() {} };
        if self.runtime.block_on(async { tokio::time::timeout(within, servers).await }).is_err() {
            tracing::warn!("the HTTP server or an observer did not end in time and is cut off");
        }
        self.runtime.shutdown_background();
    }

    /// Begins to send the metrics, if they are to be sent anywhere.
    pub(crate) fn send_metrics(&mut self, config: &Config, metrics: &Metrics, node: &str) -> Result<()> {
        let Some(remote) = &config.metrics.remote_write else { return Ok(()) };
        let remote = RemoteWrite::new(remote.config(node)?, VERSION, metrics.clone())?;
        self.servers.spawn_on(remote.run(self.shut_down()), self.runtime.handle());
        Ok(())
    }

    fn serve_http(&mut self, config: &Config, metrics: &Metrics, health: &Arc<Health>) -> Result<()> {
        let Some(address) = config.metrics.listen else { return Ok(()) };
        let server = self.runtime.block_on(HttpServer::bind(address))?;
        tracing::info!("metrics at http://{}/metrics", server.address());
        let (metrics, health, shutdown) = (metrics.clone(), Arc::clone(health), self.shut_down());
        let serve = async move {
            if let Err(error) = server.serve(metrics, health, shutdown).await {
                tracing::error!(%error, "the HTTP server has ended");
            }
        };
        self.servers.spawn_on(serve, self.runtime.handle());
        Ok(())
    }

    fn serve_observers(&mut self, config: &Config, metrics: &Metrics) -> Result<()> {
        let Some(path) = &config.observe.socket else { return Ok(()) };
        let server = {
            let _runtime = self.runtime.enter();
            ObserveServer::bind(path)?
        };
        let hub = Arc::new(ObserveHub::new(metrics.sink("observe")).with_questions(self.asked.clone()));
        self.servers.spawn_on(server.serve(Arc::clone(&hub), self.shut_down()), self.runtime.handle());
        self.hub = Some(hub);
        Ok(())
    }

    fn shut_down(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut shutdown = self.shutdown.subscribe();
        async move {
            // An error means that the control plane is gone: an end as well.
            _ = shutdown.wait_for(|shutdown| *shutdown).await;
        }
    }

    fn handle_signals(&self, events: Sender<Event>) -> Result<()> {
        let _runtime = self.runtime.enter();
        let listen = |kind| signal(kind).context("cannot handle signals");
        let (terminate, interrupt, hangup) = (
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::hangup())?,
        );
        self.runtime.spawn(stop_signals(terminate, interrupt, events.clone()));
        self.runtime.spawn(async move {
            let mut hangup = hangup;
            while hangup.recv().await.is_some() {
                _ = events.send(Event::Reload);
            }
        });
        Ok(())
    }
}

/// The first asks for an orderly end; the second is obeyed at once.
async fn stop_signals(mut terminate: Signal, mut interrupt: Signal, events: Sender<Event>) {
    let mut asked = false;
    loop {
        let number = tokio::select! {
            _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        };
        if asked {
            // As a shell reports a process that the signal ended.
            process::exit(128 + number);
        }
        asked = true;
        _ = events.send(Event::Stop);
    }
}
