//! The life of the agent: start, watch, drain.

mod account;
mod recording;
mod shipping;

use std::cell::RefCell;
use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use watchfire_conntrack::Conntrack;
use watchfire_export::{
    Condition, Destination, Health, JsonLinesSink, LogFileConfig, Metrics, MetricsOptions, Outputs,
    SinkCounters,
};
use watchfire_sensor::{FileFilter, Host, LateRoot, Sensor};

use self::account::{Account, log_totals, say_probes, show_probes};
use self::recording::Recording;
use self::shipping::ToShip;
use crate::build_info::{COMMIT, VERSION};
use crate::config::{Config, ConfigSource, Output};
use crate::control_plane::{ControlPlane, Event};
use crate::knowledge::{Knowledge, Loaded};
use crate::pipeline::{Control, HostView, Pipeline, Services, Stages, moment};
use crate::sources::{Asked, Sources};

/// Longest time a record waits in the event log's buffer; the first after a pause does not wait.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// How often the kernel's counters are read.
const COUNTERS_INTERVAL: Duration = Duration::from_secs(1);
/// How long the servers get to close when there is nothing to drain.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(1);
/// Parts of the drain time at whose ends the records have to be through the pipeline, written, and told to observers.
/// The rest is for the end of the process itself.
const DRAINED_PERCENT: u32 = 50;
const WRITTEN_PERCENT: u32 = 80;
const SERVED_PERCENT: u32 = 90;

/// Runs the agent until it is told to stop or breaks. `source` is where `config` came from.
pub(crate) fn run(config: &Config, source: ConfigSource<'_>) -> Result<ExitCode> {
    let host = Host::read().context("cannot run on this host; `watchfire doctor` says more")?;
    let knowledge = Knowledge::new(Loaded::read(config)?, moment(host.timebase));
    let objects = knowledge.objects();
    tracing::info!(
        version = VERSION,
        commit = COMMIT,
        kernel = host.kernel_release,
        node = &*knowledge.node,
        pods = knowledge.directory.pods_len(),
        services = knowledge.directory.services(),
        policies = objects.loaded,
        policies_rejected = objects.rejected,
        "watchfire starts"
    );
    let metrics = Metrics::with(MetricsOptions {
        version: VERSION,
        commit: COMMIT,
        cluster: config.cluster_name.as_deref(),
        series_max: config.metrics.series_max.get(),
        hubble: config.metrics.hubble,
    });
    let health = Arc::new(Health::new());
    let (events_sender, events) = mpsc::channel();
    let mut plane = ControlPlane::start(config, &metrics, &health, events_sender.clone())?;
    plane.send_metrics(config, &metrics, &knowledge.node)?;
    let node = knowledge.node.to_string();
    let ledger = recording::open(config, &metrics, &node)?;
    let facts = ledger.as_ref().map(|ledger| ledger.facts().clone());
    plane.serve_api(config, &metrics, &health, &knowledge.node, facts.clone())?;
    let (outputs, sink) = outputs(config, &metrics, &plane)?;
    let to_ship = if ledger.is_some() { ToShip::of(config, &node)? } else { None };
    let mut recording = Recording::new(facts, to_ship, &metrics, &health);
    recording.show(&mut plane);
    let outputs = outputs.with_ledger(ledger);

    let asked = Asked { questions: plane.questions(), accesses: plane.accesses() };
    let (sources, feeds) = Sources::start(config, plane.handle(), &metrics, asked)?;
    let conntrack = config.conntrack.namespace().cloned().map(Conntrack::start).transpose();
    let mut stages = Stages::new(
        knowledge,
        HostView::read(host.cgroup_root.clone().ok()),
        Services::new(conntrack.context("cannot start the thread that asks connection tracking")?),
        host.timebase,
        config.intake(),
    )
    .with_tls_ports(config.flows.tls_ports())
    .finding(config.findings.settings())
    .waiting_for(sources.expected(config), config.enrichment.wait_milliseconds.get());
    if let Some(runtime) = sources.runtime().cloned() {
        stages = stages.asking_for_containers(Box::new(move |id| _ = runtime.lookup(id)));
    }
    let on_end = move || _ = events_sender.send(Event::PipelineEnded);
    // Before the sensor: it sends what it finds running while it starts.
    let (pipeline, batches) = Pipeline::start(stages, feeds, outputs, &metrics, Arc::clone(&health), on_end)
        .context("cannot start the pipeline thread")?;
    let sensor = match watchfire_sensor::start(&sensor_options(config), &host, batches) {
        Ok(sensor) => sensor,
        Err(error) => {
            sources.stop(GIVE_UP_TIMEOUT);
            plane.stop(GIVE_UP_TIMEOUT);
            return Err(error).context("cannot watch this kernel; `watchfire doctor` says more");
        }
    };
    show_probes(&sensor.probes(), &metrics);
    health.fulfil(Condition::SensorAttached);
    if let Some(since) = sensor.client_hellos_since() {
        pipeline.tell(Control::ClientHellosWatched(since));
    }
    pipeline.tell(Control::SensorStarted);

    let account = Account::register(&metrics, sink);
    let files = RefCell::new(config.sensor.files.filter());
    let mut agent =
        Agent { config, source, files, account, recording, sensor, sources, pipeline, plane, events };
    match agent.watch() {
        End::Asked => Ok(agent.drain()),
        End::Broken => {
            agent.give_up();
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The outputs, and what the event log counts, if there is one.
fn outputs(
    config: &Config,
    metrics: &Metrics,
    plane: &ControlPlane,
) -> Result<(Outputs, Option<SinkCounters>)> {
    let (name, destination) = match &config.output.to {
        Output::Nowhere => {
            return Ok((Outputs::new(metrics.clone(), Vec::new(), plane.hub().cloned()), None));
        }
        Output::Stdout => ("stdout", Destination::Stdout),
        Output::File(path) => (
            "file",
            Destination::File(LogFileConfig {
                path: path.clone(),
                file_bytes_max: config.output.file_bytes_max,
                files_max: config.output.files_max,
            }),
        ),
    };
    let counters = metrics.sink(name);
    let sink = JsonLinesSink::start(&destination, FLUSH_INTERVAL, counters.clone())?;
    Ok((Outputs::new(metrics.clone(), vec![sink], plane.hub().cloned()), Some(counters)))
}

fn sensor_options(config: &Config) -> watchfire_sensor::Options {
    let self_test = config.sensor.self_test.then(env::current_exe).and_then(|executable| {
        executable.inspect_err(|error| tracing::warn!(%error, "no self-test: own executable not found")).ok()
    });
    config.sensor.options(&config.flows, self_test)
}

/// Why watching ended.
enum End {
    Asked,
    Broken,
}

struct Agent<'a> {
    config: &'a Config,
    source: ConfigSource<'a>,
    /// The files that are told of now.
    files: RefCell<FileFilter>,
    account: Account,
    recording: Recording,
    sensor: Sensor,
    sources: Sources,
    pipeline: Pipeline,
    plane: ControlPlane,
    events: Receiver<Event>,
}

impl Agent<'_> {
    fn watch(&mut self) -> End {
        loop {
            match self.events.recv_timeout(COUNTERS_INTERVAL) {
                Ok(Event::Stop) => return End::Asked,
                Ok(Event::PipelineEnded) | Err(RecvTimeoutError::Disconnected) => return End::Broken,
                Ok(Event::Reload) => self.reload(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.account.show(&self.sensor);
            self.recording.show(&mut self.plane);
            self.sources.show();
            self.take_late_root();
        }
    }

    /// Goes on with a cgroup v2 hierarchy that was not there at the start.
    fn take_late_root(&self) {
        let Some(LateRoot { root, probes }) = self.sensor.late_root() else { return };
        tracing::info!(root = %root.path().display(), "a cgroup v2 hierarchy appeared");
        say_probes(&probes);
        self.account.show_attached(&self.sensor);
        self.pipeline.tell(Control::CgroupRoot(root));
        if let Some(since) = self.sensor.client_hellos_since() {
            self.pipeline.tell(Control::ClientHellosWatched(since));
        }
    }

    fn reload(&self) {
        if let Err(error) = self.reload_files() {
            self.account.reload_failures.add(1);
            tracing::error!(
                error = format!("{error:#}"),
                "reload failed; the files that are told of stay as they were"
            );
        }
        match Loaded::read(self.config) {
            Ok(loaded) => {
                let (pods, policies, rejected) =
                    (loaded.pods(), loaded.policies.loaded(), loaded.policies.rejected());
                tracing::info!(pods, policies, rejected, "reloaded");
                self.pipeline.tell(Control::Loaded(Box::new(loaded)));
            }
            Err(error) => {
                self.account.reload_failures.add(1);
                tracing::error!(
                    error = format!("{error:#}"),
                    "reload failed; inventory and policies stay as they were"
                );
            }
        }
    }

    /// Reads the configuration again for the files that are told of. The old ones stay in force on any error.
    fn reload_files(&self) -> Result<()> {
        let files = self.source.load()?.sensor.files.filter();
        if *self.files.borrow() == files {
            return Ok(());
        }
        self.sensor.set_files(&files)?;
        tracing::info!(
            read = files.read.len(),
            write = files.write.len(),
            inodes = files.inodes.len(),
            "file filter set"
        );
        self.files.replace(files);
        Ok(())
    }

    /// Detaches, lets everything that was seen reach the outputs, and says what was lost.
    fn drain(self) -> ExitCode {
        let Self { config, account, recording, sensor, sources, pipeline, plane, events, .. } = self;
        let timeout = config.drain_timeout_seconds.get();
        let now = Instant::now();
        let deadline = |percent| now + timeout * percent / 100;
        tracing::info!("stopping");

        let pinned = sensor.is_pinned();
        // On a thread of its own: should it hang, the drain still ends in time.
        let (totals_sender, totals) = mpsc::channel();
        thread::spawn(move || _ = totals_sender.send(sensor.stop()));
        let totals = totals.recv_timeout(left(deadline(DRAINED_PERCENT))).ok();
        let drained = totals.is_some() && pipeline_ended(&events, deadline(DRAINED_PERCENT));
        let flushed = drained
            && match pipeline.join() {
                Ok(outputs) => outputs.stop(left(deadline(WRITTEN_PERCENT))),
                Err(_) => false,
            };
        if let Some(totals) = &totals {
            account.show_totals(totals);
            log_totals(totals, pinned);
        }
        sources.stop(left(deadline(SERVED_PERCENT)));
        plane.stop(left(deadline(SERVED_PERCENT)));
        let not_written = account.log_sinks(recording.counters());
        match (drained, flushed) {
            (true, true) if not_written == 0 => {
                tracing::info!("stopped: everything that was seen was written");
            }
            (true, true) => tracing::warn!(not_written, "stopped: the event log or the ledger lacks records"),
            (true, false) => {
                tracing::error!("stopped: the event log or the ledger did not take all records in time");
            }
            (false, _) => {
                tracing::error!("stopped: records were still on their way when the drain time was over");
            }
        }
        if drained && flushed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// A stage is gone, so nothing more can be told. Waits for nothing that might hang.
    fn give_up(self) {
        match self.pipeline.join() {
            // Its message is on standard error already.
            Err(_) => tracing::error!("the pipeline thread panicked; the agent ends"),
            Ok(outputs) => {
                tracing::error!("the sensor ended by itself; the agent ends");
                _ = outputs.stop(GIVE_UP_TIMEOUT);
            }
        }
        self.sources.stop(GIVE_UP_TIMEOUT);
        self.plane.stop(GIVE_UP_TIMEOUT);
        // The end of the process detaches the probes as well.
        thread::spawn(move || drop(self.sensor));
    }
}

fn pipeline_ended(events: &Receiver<Event>, deadline: Instant) -> bool {
    loop {
        match events.recv_timeout(left(deadline)) {
            Ok(Event::PipelineEnded) => return true,
            Ok(Event::Stop | Event::Reload) => {}
            Err(_) => return false,
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
