//! The process table.

mod image;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use watchfire_model::{
    CredentialSet, Exec, ExecDetail, ExecId, Exit, ExitStatus, Fork, Namespaces, Process, ProcessOrigin,
    ProcessState,
};

pub use image::Intake;

/// Most processes that are kept, running and ended ones together.
pub const PROCESSES_MAX: usize = 65_536;
/// Most ended processes that are kept.
pub const EXITED_PROCESSES_MAX: usize = 16_384;
/// How long an ended process is kept for records that come late, milliseconds.
pub const EXITED_KEEP_MS: u64 = 60_000;

/// Longest chain of ancestors that is followed.
const ANCESTRY_MAX: usize = 256;
/// The kernel's `INVALID_UID` and `INVALID_GID`.
const INVALID_ID: u32 = u32::MAX;
/// Inode number of the initial pid namespace (include/uapi/linux/nsfs.h, `PROC_PID_INIT_INO`).
const INITIAL_PID_NS: u32 = 0xEFFF_FFFC;

/// What the table did since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ProcessCounters {
    /// Running processes forced out by [`PROCESSES_MAX`].
    pub evicted_running: u64,
    /// Ended processes forced out by a limit before their time.
    pub evicted_exited: u64,
    /// Processes whose end was not seen: their pid came back.
    pub exits_missed: u64,
}

#[derive(Debug)]
struct Entry {
    process: Process,
    order: u64,
    /// Its pid namespace and its id there, where known: those that it was born with, which never change.
    place: Option<(u32, u32)>,
}

/// Processes by identity. Times are nanoseconds of CLOCK_BOOTTIME, as on the records that are put in.
#[derive(Debug)]
pub struct Processes {
    entries: HashMap<ExecId, Entry>,
    /// The running process of each pid.
    running: HashMap<u32, ExecId>,
    /// The running process of each pid namespace and id in it.
    places: HashMap<(u32, u32), ExecId>,
    /// Running ones by the order of coming in.
    by_age: BTreeMap<u64, ExecId>,
    /// Ended ones, earliest first.
    exited: VecDeque<(u64, ExecId)>,
    next_order: u64,
    /// Changes with whatever may change the ancestors of a process.
    generation: u64,
    intake: Intake,
    counters: ProcessCounters,
}

impl Processes {
    /// An empty table. What `intake` masks or leaves out never gets into it.
    #[must_use]
    pub fn new(intake: Intake) -> Self {
        Self {
            entries: HashMap::new(),
            running: HashMap::new(),
            places: HashMap::new(),
            by_age: BTreeMap::new(),
            exited: VecDeque::new(),
            next_order: 0,
            generation: 0,
            intake,
            counters: ProcessCounters::default(),
        }
    }

    /// A process was forked: it has its parent's image until it gets one of its own. One that is known already, from
    /// /proc or by a record of another CPU, keeps what is known of it.
    pub fn fork(&mut self, fork: &Fork, boot_ns: u64) -> &Process {
        self.part(fork.child, boot_ns);
        if let Some(known) = self.entries.get_mut(&fork.child) {
            known.process.parent = Some(fork.parent);
            self.generation += 1;
            known.process.origin = ProcessOrigin::Observed;
            return &self.entries[&fork.child].process;
        }
        let parent = self.get(fork.parent);
        let process = Process {
            exec_id: fork.child,
            parent: Some(fork.parent),
            binary: parent.map(|parent| parent.binary.clone()).unwrap_or_default(),
            args: parent.map(|parent| parent.args.clone()).unwrap_or_default(),
            args_truncated: parent.is_some_and(|parent| parent.args_truncated),
            cwd: parent.map(|parent| parent.cwd.clone()).unwrap_or_default(),
            uid: fork.uid,
            euid: fork.euid,
            gid: fork.gid,
            egid: parent.and_then(|parent| parent.egid),
            permitted: parent.and_then(|parent| parent.permitted),
            ns_pid: fork.ns_pid,
            cgroup_id: fork.cgroup_id,
            namespaces: fork.namespaces,
            origin: ProcessOrigin::Observed,
            state: ProcessState::Running,
        };
        self.put(process, boot_ns)
    }

    /// A process got a new image, or was found running. Answers it with what is told of the image alone.
    pub fn exec(&mut self, mut exec: Exec, boot_ns: u64) -> (&Process, ExecDetail) {
        let known = self.get(exec.process);
        let origin = if exec.before_start { ProcessOrigin::BeforeStart } else { ProcessOrigin::Observed };
        let (args, detail) = image::describe(&mut exec, known, &self.intake);
        // A new image seldom begins elsewhere.
        let cwd = known.filter(|known| *known.cwd == *exec.cwd).map(|known| Arc::clone(&known.cwd));
        let process = Process {
            exec_id: exec.process,
            // Who forked it does not change when that process ends and another adopts it.
            parent: known.and_then(|known| known.parent).or(exec.parent),
            origin: known.map_or(origin, |known| known.origin),
            state: known.map_or(ProcessState::Running, |known| known.state),
            binary: exec.binary.into(),
            args: args.into(),
            args_truncated: exec.args_truncated,
            cwd: cwd.unwrap_or_else(|| exec.cwd.into()),
            uid: exec.uid,
            euid: exec.euid,
            gid: exec.gid,
            egid: Some(exec.egid),
            permitted: Some(exec.permitted),
            ns_pid: exec.ns_pid,
            cgroup_id: exec.cgroup_id,
            namespaces: exec.namespaces,
        };
        (self.put(process, boot_ns), detail)
    }

    /// A process changed its credentials. One that is not known stays so.
    pub fn credentials(&mut self, id: ExecId, new: &CredentialSet, user_ns: u32) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let process = &mut entry.process;
        (process.uid, process.euid, process.gid) = (new.uid, new.euid, new.gid);
        (process.egid, process.permitted) = (Some(new.egid), Some(new.permitted));
        process.namespaces.user = user_ns;
    }

    /// A process ended, with the credentials and in the cgroup that it had last. One that was not known is known from
    /// now on by these alone.
    pub fn exit(&mut self, exit: &Exit, boot_ns: u64) -> &Process {
        if !self.entries.contains_key(&exit.process) {
            self.put(unknown_process(exit.process), boot_ns);
        }
        if let Some(entry) = self.entries.get_mut(&exit.process) {
            let process = &mut entry.process;
            let Exit { process: _, status: _, uid, euid, gid, cgroup_id } = *exit;
            (process.uid, process.euid, process.gid, process.cgroup_id) = (uid, euid, gid, cgroup_id);
        }
        self.end(exit.process, exit.status, boot_ns);
        &self.entries[&exit.process].process
    }

    /// The process of that identity.
    #[must_use]
    pub fn get(&self, id: ExecId) -> Option<&Process> {
        self.entries.get(&id).map(|entry| &entry.process)
    }

    /// The pid namespace that a process is in, where known.
    #[must_use]
    pub fn pid_namespace(&self, id: ExecId) -> Option<u32> {
        self.entries.get(&id)?.place.map(|(pid_ns, _)| pid_ns)
    }

    /// The running process with that id in the initial pid namespace.
    #[must_use]
    pub fn running_pid(&self, pid: u32) -> Option<&Process> {
        self.running.get(&pid).and_then(|&id| self.get(id))
    }

    /// The running process with that id in that pid namespace. One of a namespace below is not found: the table knows
    /// of each process its innermost namespace and the initial one.
    #[must_use]
    pub fn in_namespace(&self, pid_ns: u32, ns_pid: u32) -> Option<&Process> {
        if pid_ns == INITIAL_PID_NS {
            return self.running_pid(ns_pid);
        }
        self.places.get(&(pid_ns, ns_pid)).and_then(|&id| self.get(id))
    }

    /// The process that forked it, the one that forked that, and so on as far as they are known.
    pub fn ancestry(&self, id: ExecId) -> impl Iterator<Item = &Process> {
        let parent_of = |process: &Process| process.parent.and_then(|parent| self.get(parent));
        std::iter::successors(self.get(id).and_then(parent_of), move |process| parent_of(process))
            .take(ANCESTRY_MAX)
    }

    /// As long as it is the same, so is the ancestry of every process.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Forgets the processes that ended long enough ago.
    pub fn expire(&mut self, now_boot_ns: u64) {
        let keep_ns = EXITED_KEEP_MS * 1_000_000;
        while let Some(&(ended_ns, id)) = self.exited.front() {
            if now_boot_ns.saturating_sub(ended_ns) < keep_ns {
                break;
            }
            self.exited.pop_front();
            self.generation += 1;
            self.entries.remove(&id);
        }
    }

    /// How many are kept, running and ended ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those that run.
    pub fn iter_running(&self) -> impl Iterator<Item = &Process> {
        self.by_age.values().filter_map(|&id| self.get(id))
    }

    /// How many of those run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.by_age.len()
    }

    /// What the table did since the start.
    #[must_use]
    pub const fn counters(&self) -> ProcessCounters {
        self.counters
    }

    fn put(&mut self, process: Process, boot_ns: u64) -> &Process {
        self.generation += 1;
        let id = process.exec_id;
        let place = (process.ns_pid != 0).then_some((process.namespaces.pid, process.ns_pid));
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.process = process;
            if let (None, Some(place)) = (entry.place, place) {
                entry.place = Some(place);
                self.places.insert(place, id);
            }
        } else {
            if let Some(&stale) = self.running.get(&id.pid) {
                self.counters.exits_missed += 1;
                self.end(stale, ExitStatus { code: None, signal: None, core_dumped: false }, boot_ns);
            }
            if self.entries.len() >= PROCESSES_MAX {
                self.evict();
            }
            let order = self.next_order;
            self.next_order += 1;
            self.running.insert(id.pid, id);
            if let Some(place) = place {
                self.places.insert(place, id);
            }
            self.by_age.insert(order, id);
            self.entries.insert(id, Entry { process, order, place });
        }
        &self.entries[&id].process
    }

    fn end(&mut self, id: ExecId, status: ExitStatus, boot_ns: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let was_running = entry.process.state == ProcessState::Running;
        entry.process.state = ProcessState::Exited(status);
        if !was_running {
            return;
        }
        self.by_age.remove(&entry.order);
        let place = entry.place;
        self.leave(id, place);
        self.exited.push_back((boot_ns, id));
        if self.exited.len() > EXITED_PROCESSES_MAX {
            self.evict_exited();
        }
    }

    /// A pid that comes back within a clock tick, which takes asking the kernel for it (`set_tid` of clone3(2), ns_last_pid),
    /// makes the identity of the one before. Who is forked after that one's end is another.
    fn part(&mut self, id: ExecId, forked_ns: u64) {
        let is_ended = |entry: &Entry| matches!(entry.process.state, ProcessState::Exited(_));
        if !self.entries.get(&id).is_some_and(is_ended) {
            return;
        }
        let ended = self.exited.iter().rposition(|&(ended_ns, ended)| ended == id && ended_ns < forked_ns);
        if let Some(at) = ended {
            self.exited.remove(at);
            self.generation += 1;
            self.entries.remove(&id);
        }
    }

    /// Ended processes go first; then whichever running one came in first, since an end that was missed is likeliest
    /// there.
    fn evict(&mut self) {
        if self.evict_exited() {
            return;
        }
        if let Some((_, id)) = self.by_age.pop_first() {
            self.generation += 1;
            let place = self.entries.remove(&id).and_then(|entry| entry.place);
            self.leave(id, place);
            self.counters.evicted_running += 1;
        }
    }

    /// Its ids are free for another process. That may have them already.
    fn leave(&mut self, id: ExecId, place: Option<(u32, u32)>) {
        if self.running.get(&id.pid) == Some(&id) {
            self.running.remove(&id.pid);
        }
        if let Some(place) = place
            && self.places.get(&place) == Some(&id)
        {
            self.places.remove(&place);
        }
    }

    fn evict_exited(&mut self) -> bool {
        let Some((_, id)) = self.exited.pop_front() else { return false };
        self.generation += 1;
        self.entries.remove(&id);
        self.counters.evicted_exited += 1;
        true
    }
}

/// A process of which nothing but its identity is known: names are empty and ids are the kernel's invalid ones.
#[must_use]
pub fn unknown_process(exec_id: ExecId) -> Process {
    Process {
        exec_id,
        parent: None,
        binary: Arc::default(),
        args: Arc::default(),
        args_truncated: false,
        cwd: Arc::default(),
        uid: INVALID_ID,
        euid: INVALID_ID,
        gid: INVALID_ID,
        egid: None,
        permitted: None,
        ns_pid: 0,
        cgroup_id: 0,
        namespaces: Namespaces::default(),
        origin: ProcessOrigin::Unseen,
        state: ProcessState::Running,
    }
}
