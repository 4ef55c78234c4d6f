//! Starting and stopping.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use aya::maps::MapError;
use aya::sys::{Stats, enable_stats};
use watchfire_model::{Body, ExecId, KindCounters, Observation, RecordKind};

use crate::account::Account;
use crate::decode::Context;
use crate::filter::FilterError;
use crate::filter_maps::FilterMaps;
use crate::flow_maps::FlowMaps;
use crate::gaps::Gaps;
use crate::host::{Host, boot_ns};
use crate::kernel::{Kernel, LoadError, RINGS, with_source};
use crate::late::{self, Late, LateRoot, Waiting, lock};
use crate::links::Links;
use crate::options::{FileFilter, Options, RING_BYTES_RANGE};
use crate::pin::{self, Ledger, PinError, Pinned, Prepared, Unsettled};
use crate::reader::Reader;
use crate::self_test::{self, SelfTestError};
use crate::sockets::Holder;
use crate::status::{ProbeStatus, ProgramStatistics, RefusedRung};
use crate::sweep::{Sweep, SweepCounts, SweepTotals};
use crate::{attach, procfs, sockets, sweep};

/// Why the sensor did not start.
#[derive(thiserror::Error, Debug)]
pub enum StartError {
    /// Not a size that the kernel takes.
    #[error("a ring of {0} bytes is not possible, expected a power of two from {min} to {max}", min = RING_BYTES_RANGE.0, max = RING_BYTES_RANGE.1)]
    RingBytes(u32),
    /// Nothing was loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Programs are to be pinned and cannot.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// Every probe was refused.
    #[error("this kernel admits none of the probes:\n{0}")]
    NoProbe(String),
    /// A map is not what it should be.
    #[error("cannot use the map {0}")]
    Map(&'static str, #[source] MapError),
    /// The object lacks a map.
    #[error("the kernel programs have no map {0}")]
    NoMap(&'static str),
    /// The watched files are not possible.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The kernel does not count run times.
    #[error("the kernel does not count the run time of programs (sensor.programStatistics)")]
    Statistics(#[source] aya::sys::SyscallError),
    /// What the kernel programs read is wrong.
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
    /// No iterator over the connections, though there was one before.
    #[error("cannot look how connections go")]
    Sweep(#[source] std::io::Error),
    /// The reader thread could not be started.
    #[error("cannot start the reader thread")]
    Thread(#[source] std::io::Error),
    /// The receiver was gone before the start was complete.
    #[error("nobody takes the observations")]
    Closed,
}

/// The running sensor. Dropping it does what [`Sensor::stop`] does, and tells no final account.
pub struct Sensor {
    late: Arc<Late>,
    links: Arc<Mutex<Links>>,
    /// While this is held, no other agent uses what is pinned.
    pinned: Option<Pinned>,
    /// While this descriptor is open, the kernel counts the run time of all programs.
    _statistics: Option<OwnedFd>,
    sweeps: Arc<SweepTotals>,
    account: Arc<Account>,
    filters: Arc<Mutex<FilterMaps>>,
    stop: Arc<AtomicBool>,
    detached: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    /// Looks for a root of cgroup v2, where there is none.
    waiting: Option<JoinHandle<()>>,
}

/// Loads and attaches the kernel programs, takes in what is older, and starts the thread that fills `batches`.
///
/// What was there before comes first, as [`Body::Exec`] with `before_start` and as flows of origin `BeforeStart`.
/// The probes are attached before /proc is read, so that nothing falls between the two; what started in the very
/// moment of attachment may come from both. A full channel blocks the reader; what then does not fit into the ring is
/// counted as dropped.
///
/// With [`Options::pin`], programs that were pinned with the same settings are not loaded again: their rings are read on.
/// Those with others go on until the new ones are attached; then their rings are told to that moment, and they are removed.
pub fn start(
    options: &Options,
    host: &Host,
    batches: SyncSender<Vec<Observation>>,
) -> Result<Sensor, StartError> {
    let range = RING_BYTES_RANGE.0..=RING_BYTES_RANGE.1;
    for bytes in [options.ring_bytes, options.priority_ring_bytes] {
        if !bytes.is_power_of_two() || !range.contains(&bytes) {
            return Err(StartError::RingBytes(bytes));
        }
    }
    let statistics = options.program_statistics.then(|| enable_stats(Stats::RunTime)).transpose();
    let statistics = statistics.map_err(StartError::Statistics)?;
    let Prepared { kernel, mut pinned, older, drop_reasons } = pin::prepare(options, host)?;
    let mut attached_ns = boot_ns();
    let Kernel { mut objects, probes, programs, links, rings } = kernel;
    let attached = |name: &str| probes.iter().any(|probe| probe.probe == name && probe.hook.is_some());
    if probes.iter().all(|probe| probe.hook.is_none()) {
        let lines: Vec<String> = probes.iter().map(ToString::to_string).collect();
        return Err(StartError::NoProbe(lines.join("\n")));
    }
    let sweeps_wanted = attached(attach::TCP_UPDATES);
    let sees_payloads = options.flows.payloads && attached(attach::PACKETS);
    let socket_map = objects.take("SOCKETS")?;
    let (mut sockets, socket_map) =
        sockets::storage(socket_map).map_err(|source| StartError::Map("SOCKETS", source))?;
    let iterator = sweep::iterator(&programs, socket_map.as_ref()).map_err(StartError::Sweep)?;
    let mut filters = FilterMaps {
        children: objects.get("FILTER_CHILDREN")?,
        nodes: objects.get("FILTER_NODES")?,
        root: objects.get("FILTER_ROOT")?,
        inodes: objects.get("FILTER_INODES")?,
        half: 0,
        paths: Vec::new(),
        found: Vec::new(),
    };
    filters.go_on().map_err(|source| StartError::Map("FILTER_ROOT", source))?;
    filters.install(&options.files)?;
    let filters = Arc::new(Mutex::new(filters));
    let rings = RINGS[..rings].iter().map(|name| objects.get(name)).collect::<Result<_, _>>()?;
    let mut ledger = Ledger::open(&mut objects)?;
    let account = Arc::new(Account::new(objects.get("COUNTS")?, programs, &ledger));
    let losses = objects.get("LOSSES")?;
    let gaps = match &pinned {
        Some(_) => Gaps::of_ledger(losses, objects.get("LOSSES_TOLD")?, &ledger),
        None => Gaps::new(losses),
    };
    let context = Context { boot: host.boot, owners_probed: attached(attach::SOCKET_OWNER) };
    let mut reader =
        Reader::new(rings, gaps, Arc::clone(&filters), Arc::clone(&account), context, batches.clone());
    // Everything is seen from here on: what is later is in these rings, what is not in those of older programs.
    let complete_ns = boot_ns();
    if pinned.as_ref().is_some_and(Pinned::is_adopted) {
        pin::warn_of_kill(&ledger);
        reader.settle(Unsettled::new(ledger.written_ns(), complete_ns));
        attached_ns = complete_ns;
    } else {
        ledger.begin(if older.is_empty() { 0 } else { complete_ns }, links.len());
    }
    let since_ns = ledger.since_ns();
    reader.tell_between(since_ns, u64::MAX);
    let links = Arc::new(Mutex::new(Links::new(links, pinned.as_ref().map(Pinned::links))));
    reader.look_after(Arc::clone(&links));
    if pinned.is_some() {
        reader.keep_in(ledger);
        reader.enter();
    }

    let update_ns = u64::from(options.update_interval_seconds) * 1_000_000_000;
    reader.count_flows(FlowMaps::new(
        objects.get("DATAGRAMS")?,
        objects.get("DROPS")?,
        drop_reasons,
        context,
        (attached_ns, update_ns),
    ));

    let running = procfs::running(host, attached_ns / ExecId::NS_PER_TICK);
    let holders: Vec<Holder> = running.values().map(Holder::from).collect();
    reader.send_all(older_processes(running.into_values().collect())).map_err(|_| StartError::Closed)?;
    let tell = |found| reader.send(found);
    let unmarked =
        sockets::take_in(&mut sockets, &holders, boot_ns(), context, options.flows.datagrams, tell)
            .map_err(|_| StartError::Closed)?;
    reader.know(unmarked);
    let executable = options.self_test.as_deref().filter(|_| attached(attach::PROCESS_EXEC));
    let tested = executable.map(|executable| self_test::run(&mut reader, executable, host)).transpose()?;
    if let Some(pinned) = &mut pinned {
        pinned.finish()?;
    }
    for older in older {
        if let Err(error) = older.take_over(since_ns, context, &filters, &batches) {
            tracing::error!("older programs stay: {}", with_source(&error));
        }
    }
    reader.send(tested.unwrap_or_default()).map_err(|_| StartError::Closed)?;
    reader.enter();
    let sweeps = Arc::default();
    let late = Arc::new(Late {
        objects: Mutex::new(Some(objects)),
        client_hellos_since: AtomicU64::new(if sees_payloads { attached_ns } else { 0 }),
        waiting: AtomicU64::new(probes.iter().filter(|probe| attach::waits_for_cgroup(probe)).count() as u64),
        news: Mutex::new(None),
        probes: Mutex::new(probes),
    });
    let stop = Arc::new(AtomicBool::new(false));
    let mut waiting = None;
    if host.cgroup_root.is_err() {
        let (older, found) = mpsc::channel();
        reader.hear(found);
        let another = late::another(socket_map.as_ref()).map_err(StartError::Sweep)?;
        let wait = Waiting {
            late: Arc::clone(&late),
            options: options.clone(),
            host: host.clone(),
            links: Arc::clone(&links),
            account: Arc::clone(&account),
            storage: std::mem::replace(&mut sockets, another),
            older,
        };
        waiting = Some(wait.start(Arc::clone(&stop)).map_err(StartError::Thread)?);
    }
    if sweeps_wanted {
        reader.sweep(Sweep::new(iterator, sockets, options.update_interval_seconds), Arc::clone(&sweeps));
    }

    let detached = Arc::new(AtomicBool::new(false));
    let (stopped, detached_too) = (Arc::clone(&stop), Arc::clone(&detached));
    let thread = std::thread::Builder::new()
        .name("sensor".to_owned())
        .spawn(move || reader.run(&stopped, &detached_too));
    let reader = Some(thread.map_err(StartError::Thread)?);
    Ok(Sensor {
        late,
        links,
        pinned,
        _statistics: statistics,
        sweeps,
        account,
        filters,
        stop,
        detached,
        reader,
        waiting,
    })
}

/// Oldest first, so that parents come before their children.
fn older_processes(mut processes: Vec<watchfire_model::Exec>) -> impl Iterator<Item = Observation> {
    processes.sort_by_key(|exec| (exec.process.start_ticks, exec.process.pid));
    let observation = |exec: watchfire_model::Exec| Observation {
        boot_ns: exec.process.start_ticks * ExecId::NS_PER_TICK,
        body: Body::Exec(Box::new(exec)),
    };
    processes.into_iter().map(observation)
}

impl Sensor {
    /// The loss account by kind, exact at any time; see [`KindCounters`].
    #[must_use]
    pub fn counters(&self) -> Vec<(RecordKind, KindCounters)> {
        self.account.totals()
    }

    /// Program runs that the kernel skipped because the same program was running on that CPU already.
    #[must_use]
    pub fn missed_runs(&self) -> u64 {
        self.account.missed_runs()
    }

    /// How the sweeps over open connections went.
    #[must_use]
    pub fn sweeps(&self) -> SweepCounts {
        self.sweeps.counts()
    }

    /// Records that could not be decoded.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.account.malformed()
    }

    /// Which hook each probe has.
    #[must_use]
    pub fn probes(&self) -> Vec<ProbeStatus> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let mut probes = lock(&self.late.probes).clone();
        for probe in &mut probes {
            if let (Some(hook), Some(trouble)) = (probe.hook, links.blinded(probe.probe)) {
                (probe.hook, probe.rung) = (None, 0);
                probe.refused.push(RefusedRung { hook, why: trouble.as_str().to_owned() });
            }
        }
        probes
    }

    /// Since when everything that opens TLS is told of, nanoseconds of CLOCK_BOOTTIME; none where it is not.
    #[must_use]
    pub fn client_hellos_since(&self) -> Option<u64> {
        Some(self.late.client_hellos_since.load(Ordering::Acquire)).filter(|since| *since > 0)
    }

    /// Probes that wait for a root of cgroup v2.
    #[must_use]
    pub fn waiting_probes(&self) -> u64 {
        self.late.waiting.load(Ordering::Acquire)
    }

    /// The root of cgroup v2 that was found since the start; once.
    #[must_use]
    pub fn late_root(&self) -> Option<LateRoot> {
        lock(&self.late.news).take()
    }

    /// Whether the kernel programs go on when the agent ends.
    #[must_use]
    pub const fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    /// How many links somebody has detached, replaced or unpinned since they were made.
    #[must_use]
    pub fn troubled_links(&self) -> usize {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).troubled()
    }

    /// What the kernel tells of each program.
    #[must_use]
    pub fn program_statistics(&self) -> Vec<ProgramStatistics> {
        self.account.programs()
    }

    /// Watches other files from now on. Where that is not possible, those of before stay watched.
    pub fn set_files(&self, filter: &FileFilter) -> Result<(), FilterError> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner).install(filter)
    }

    /// Detaches the probes unless they are pinned, hands on what is still in the rings and answers the final account.
    #[must_use]
    pub fn stop(mut self) -> Vec<(RecordKind, KindCounters)> {
        self.shut_down();
        self.account.totals()
    }

    fn shut_down(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(waiting) = self.waiting.take() {
            waiting.thread().unpark();
            // A panic of it has been printed; what it was to attach is not there.
            _ = waiting.join();
        }
        // What is not pinned is detached by this; the maps live on in the account and the reader.
        let (objects, links, detached) =
            (lock(&self.late.objects).take(), Arc::clone(&self.links), Arc::clone(&self.detached));
        let detach = move || {
            links.lock().unwrap_or_else(PoisonError::into_inner).clear();
            drop(objects);
            detached.store(true, Ordering::Release);
        };
        // Nobody waits for it: what is left of it the end of the process does. A thread that cannot be had has dropped
        // its closure, and so the object.
        if std::thread::Builder::new().name("detach".to_owned()).spawn(detach).is_err() {
            self.detached.store(true, Ordering::Release);
        }
        if let Some(reader) = self.reader.take()
            && reader.join().is_err()
        {
            tracing::error!("the sensor's reader thread panicked");
        }
        if let Some(pinned) = self.pinned.take() {
            tracing::info!(
                folder = %pinned.folder().display(),
                "the kernel programs go on for the next agent; `watchfire detach` with the same arguments removes them"
            );
        }
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        self.shut_down();
    }
}
