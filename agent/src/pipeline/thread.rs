//! The thread that the stages run on.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use watchfire_export::{Condition, Health, Metrics, Outputs, Question};
use watchfire_inventory::{ContainerChange, SourceBatch};
use watchfire_model::{ApiAccessRecord, Observation, Record, RecordBody};
use watchfire_sensor::CgroupRoot;

use super::Stages;
use super::clock::moment;
use super::gauges::Gauges;
use crate::knowledge::Loaded;

/// Batches that wait between sensor and pipeline. The sensor waits when it is full, the ring fills, and what is lost
/// then is counted in the kernel: the one place where records are lost.
const BATCHES_MAX: usize = 64;
/// How often things are done that no record asks for.
const TICK: Duration = Duration::from_secs(1);

/// The same where sources tell and ask: they do not wake the thread.
const TICK_WITH_FEEDS: Duration = Duration::from_millis(100);
/// The same where observations wait for what sources tell.
const TICK_WHILE_WAITING: Duration = Duration::from_millis(3);
/// Most that is taken in of each feed at a time, so that observations are not held up.
const FEED_SHARE: usize = 64;
const CONTAINERS_SHARE: usize = 1024;
const ACCESSES_SHARE: usize = 256;

/// What the pipeline is told from outside.
#[derive(Debug)]
pub(crate) enum Control {
    /// What the configuration names was read again.
    Loaded(Box<Loaded>),
    /// The sensor is attached, and what it found running has been sent.
    SensorStarted,
    /// Each `ClientHello` of flows that were opened later than this, nanoseconds of CLOCK_BOOTTIME, is told.
    ClientHellosWatched(u64),
    /// The root of the cgroup v2 hierarchy is to be had, and was not before.
    CgroupRoot(CgroupRoot),
}

/// What sources tell, what is asked, and who asked the API.
#[derive(Debug)]
pub(crate) struct Feeds {
    pub(crate) objects: mpsc::Receiver<SourceBatch>,
    pub(crate) containers: mpsc::Receiver<ContainerChange>,
    pub(crate) questions: mpsc::Receiver<Question>,
    pub(crate) accesses: mpsc::Receiver<ApiAccessRecord>,
}

/// The running pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    thread: JoinHandle<Outputs>,
    controls: Sender<Control>,
}

impl Pipeline {
    /// Starts the thread. `on_end` is called when it ends, by a panic too.
    pub(crate) fn start(
        stages: Stages,
        feeds: Feeds,
        outputs: Outputs,
        metrics: &Metrics,
        health: Arc<Health>,
        on_end: impl FnOnce() + Send + 'static,
    ) -> io::Result<(Self, SyncSender<Vec<Observation>>)> {
        let (batch_sender, batches) = sync_channel(BATCHES_MAX);
        let (controls, control_receiver) = channel();
        let gauges = Gauges::register(metrics);
        let worker = Worker {
            stages,
            feeds,
            outputs,
            gauges,
            health,
            batches,
            controls: control_receiver,
            initial_batches: None,
        };
        let thread = thread::Builder::new().name("pipeline".to_owned()).spawn(move || {
            let _on_end = OnDrop(Some(on_end));
            worker.run()
        })?;
        Ok((Self { thread, controls }, batch_sender))
    }

    /// Tells it something. Without effect once it has ended.
    pub(crate) fn tell(&self, control: Control) {
        _ = self.controls.send(control);
    }

    /// Waits for its end: it comes when the sensor has dropped its end of the batches. An error is its panic.
    pub(crate) fn join(self) -> thread::Result<Outputs> {
        self.thread.join()
    }
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(on_drop) = self.0.take() {
            on_drop();
        }
    }
}

struct Worker {
    stages: Stages,
    feeds: Feeds,
    outputs: Outputs,
    gauges: Gauges,
    health: Arc<Health>,
    batches: Receiver<Vec<Observation>>,
    controls: Receiver<Control>,
    /// Batches that may still be waiting from the time before the sensor had started.
    initial_batches: Option<usize>,
}

impl Worker {
    fn run(mut self) -> Outputs {
        let mut records = Vec::new();
        let mut ticked = Instant::now();
        // When something last waited to be taken in.
        let mut busy = Instant::now();
        loop {
            self.hear();
            self.hear_feeds(&mut records);
            let waiting = self.batches.try_recv().ok();
            self.note_initial_state(waiting.is_none());
            let patience = self.patience();
            let batch = match waiting.map_or_else(|| self.batches.recv_timeout(patience), Ok) {
                Ok(batch) => Some(batch),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.health.beat();
            if batch.is_some() {
                busy = Instant::now();
            }
            let now = Instant::now();
            self.stages.rejudge(now, &mut records);
            self.stages.release(now, &mut records);
            for observation in batch.into_iter().flatten() {
                self.stages.admit(observation, now, &mut records);
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.stages.clock.look(watchfire_sensor::timebase(), ticked);
                self.stages.tick(busy.elapsed(), &mut records);
                self.gauges.set(&self.stages);
            }
            self.outputs.publish(&records);
            records.clear();
        }
        self.stages.finish(&mut records);
        self.outputs.publish(&records);
        self.gauges.set(&self.stages);
        self.outputs
    }

    fn hear(&mut self) {
        for control in self.controls.try_iter() {
            match control {
                Control::Loaded(loaded) => {
                    let at = moment(self.stages.clock.timebase());
                    self.stages.knowledge.reload(*loaded, at);
                }
                Control::ClientHellosWatched(since_ns) => self.stages.client_hellos_watched(since_ns),
                Control::CgroupRoot(root) => self.stages.host.set_cgroup_root(root),
                Control::SensorStarted => self.initial_batches = Some(BATCHES_MAX),
            }
        }
    }

    /// How long to wait for observations when nothing else is to be done.
    fn patience(&self) -> Duration {
        let Feeds { objects, containers, questions, accesses } = &self.feeds;
        if self.stages.rejudging.is_walking() {
            return Duration::ZERO;
        }
        match self.stages.waiting.len() {
            _ if self.stages.is_unsettled() => TICK_WHILE_WAITING,
            0 if objects.is_closed()
                && containers.is_closed()
                && questions.is_closed()
                && accesses.is_closed() =>
            {
                TICK
            }
            0 => TICK_WITH_FEEDS,
            _ => TICK_WHILE_WAITING,
        }
    }

    /// Takes in what sources tell, and answers what is asked. Requests to the API are put into `records`.
    fn hear_feeds(&mut self, records: &mut Vec<Record>) {
        let at = moment(self.stages.clock.timebase());
        let Self { stages, feeds: Feeds { objects, containers, questions, accesses }, .. } = self;
        for _ in 0..FEED_SHARE {
            let Ok(batch) = objects.try_recv() else { break };
            stages.knowledge.take(batch, at);
        }
        for _ in 0..CONTAINERS_SHARE {
            let Ok(change) = containers.try_recv() else { break };
            stages.take_container(change, at);
        }
        stages.knowledge.settle(at);
        for _ in 0..FEED_SHARE {
            let Ok(Question { ask, answer }) = questions.try_recv() else { break };
            // Whoever asked may have gone.
            _ = answer.send(stages.answer(&ask, at.boot_ns));
        }
        for _ in 0..ACCESSES_SHARE {
            let Ok(access) = accesses.try_recv() else { break };
            records.push(stages.record(at.boot_ns, RecordBody::ApiAccess(Box::new(access))));
        }
    }

    /// What was running before the agent is taken in when nothing waits, or as much has come as could wait.
    fn note_initial_state(&mut self, nothing_waits: bool) {
        match &mut self.initial_batches {
            None => {}
            Some(left) if *left == 0 || nothing_waits => {
                self.initial_batches = None;
                // Who is told that the agent is ready may ask for the figures at once.
                self.gauges.set(&self.stages);
                self.health.fulfil(Condition::InitialState);
            }
            Some(left) => *left -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    #[test]
    fn the_end_is_told_after_a_panic_too() {
        let (sender, ended) = channel();
        let thread = thread::spawn(move || {
            let _on_end = OnDrop(Some(move || _ = sender.send(())));
            panic::resume_unwind(Box::new("not printed"));
        });
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Ok(()));
        assert!(thread.join().is_err());
    }
}
