//! The programs that are attached to the root of cgroup v2, where there was none when the agent started.

use std::convert::Infallible;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, io};

use aya::Ebpf;
use watchfire_model::{ExecId, Observation};

use crate::account::Account;
use crate::attach::{self, Attached};
use crate::cgroup_root::{CgroupRoot, MOUNTS};
use crate::decode::Context;
use crate::host::{Host, boot_ns};
use crate::kernel::{loaded, with_source};
use crate::links::Links;
use crate::objects::Objects;
use crate::options::Options;
use crate::plan::Plan;
use crate::procfs;
use crate::sockets::{self, Holder, Storage, UnmarkedListeners};
use crate::status::ProbeStatus;

/// How often a root is looked for while there is none, milliseconds.
pub(crate) const LOOK_INTERVAL_MS: u64 = 5000;

/// What changes when programs are attached late.
pub(crate) struct Late {
    pub(crate) objects: Mutex<Option<Objects>>,
    pub(crate) probes: Mutex<Vec<ProbeStatus>>,
    /// Since when everything that opens TLS is told of, nanoseconds of CLOCK_BOOTTIME; 0 where it is not.
    pub(crate) client_hellos_since: AtomicU64,
    /// Probes that wait.
    pub(crate) waiting: AtomicU64,
    /// Until somebody asks for it.
    pub(crate) news: Mutex<Option<LateRoot>>,
}

/// The root of cgroup v2 that was not there at the start.
#[derive(Clone, Debug)]
pub struct LateRoot {
    /// Where it is.
    pub root: CgroupRoot,
    /// The probes that had waited for it.
    pub probes: Vec<ProbeStatus>,
}

/// What was there before the programs were attached.
pub(crate) struct Older {
    pub(crate) found: Vec<Observation>,
    pub(crate) unmarked: UnmarkedListeners,
    pub(crate) context: Context,
}

/// Looks for a root until there is one.
pub(crate) struct Waiting {
    pub(crate) late: Arc<Late>,
    pub(crate) options: Options,
    pub(crate) host: Host,
    pub(crate) links: Arc<Mutex<Links>>,
    pub(crate) account: Arc<Account>,
    /// Held all the time: programs that are not loaded yet refer to it by the number of its descriptor.
    pub(crate) storage: Storage,
    pub(crate) older: Sender<Older>,
}

impl Waiting {
    /// Waits on a thread of its own.
    pub(crate) fn start(self, stop: Arc<AtomicBool>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("cgroup-wait".to_owned()).spawn(move || self.run(&stop))
    }

    fn run(mut self, stop: &AtomicBool) {
        loop {
            thread::park_timeout(Duration::from_millis(LOOK_INTERVAL_MS));
            if stop.load(Ordering::Acquire) {
                return;
            }
            let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
            if let Ok(root) = CgroupRoot::find(&mounts) {
                self.host.cgroup_root = Ok(root.clone());
                return self.attach(root);
            }
        }
    }

    fn attach(&mut self, root: CgroupRoot) {
        let late = Arc::clone(&self.late);
        let names: Vec<&str> = lock(&late.probes)
            .iter()
            .filter(|probe| attach::waits_for_cgroup(probe))
            .map(|probe| probe.probe)
            .collect();
        let probes = match lock(&late.objects).as_mut() {
            Some(Objects::Loaded(ebpf)) => self.attach_to(ebpf, &names),
            // Stopped in the meantime, or of an agent before this one, whose object is not at hand.
            Some(Objects::Pinned(_)) => {
                tracing::warn!(
                    root = %root.path().display(),
                    "a cgroup v2 hierarchy appeared; what needs it is loaded when the agent starts the next time"
                );
                return;
            }
            None => return,
        };
        let is_attached = |name: &str| probes.iter().any(|probe| probe.probe == name && probe.hook.is_some());
        if self.options.flows.payloads && is_attached(attach::PACKETS) {
            late.client_hellos_since.store(boot_ns(), Ordering::Release);
        }
        self.take_in(is_attached(attach::SOCKET_OWNER));
        for probe in lock(&late.probes).iter_mut() {
            if let Some(now) = probes.iter().find(|now| now.probe == probe.probe) {
                *probe = now.clone();
            }
        }
        late.waiting.store(0, Ordering::Release);
        *lock(&late.news) = Some(LateRoot { root, probes });
    }

    fn attach_to(&self, ebpf: &mut Ebpf, names: &[&str]) -> Vec<ProbeStatus> {
        let plan = Plan::new(&self.options);
        let site = plan.site(&self.host);
        let Attached { probes, programs, links, handed_over: _ } =
            attach::attach_waiting(ebpf, &site, &self.options, names);
        self.account.add_programs(loaded(ebpf, &programs));
        lock(&self.links).add(links);
        probes
    }

    /// Sockets from before, as at a start.
    fn take_in(&mut self, owners_probed: bool) {
        let now_ns = boot_ns();
        let context = Context { boot: self.host.boot, owners_probed };
        let running = procfs::running(&self.host, now_ns / ExecId::NS_PER_TICK);
        let datagrams = self.options.flows.datagrams;
        let holders: Vec<Holder> = running.values().map(Holder::from).collect();
        let mut found = Vec::new();
        let keep = |batch| {
            found.extend(batch);
            Ok::<_, Infallible>(())
        };
        let Ok(unmarked) =
            sockets::take_in_later(&mut self.storage, &holders, now_ns, context, datagrams, keep);
        // The reader ends when the agent does.
        _ = self.older.send(Older { found, unmarked, context });
    }
}

/// Another descriptor of the socket map, as a map.
pub(crate) fn another(map: Option<&std::os::fd::OwnedFd>) -> io::Result<Storage> {
    let fd = map.ok_or(io::ErrorKind::NotFound)?.as_fd().try_clone_to_owned()?;
    let data = aya::maps::MapData::from_fd(fd).map_err(|error| io::Error::other(with_source(&error)))?;
    Storage::try_from(aya::maps::Map::SkStorage(data)).map_err(io::Error::other)
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
