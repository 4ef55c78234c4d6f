//! The process table.

use std::collections::{BTreeMap, HashMap, VecDeque};

use watchfire_model::{
    Exec, ExecId, Exit, ExitStatus, Fork, Namespaces, Process, ProcessOrigin, ProcessState,
};

use crate::redact_args;

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
}

/// Processes by identity. Times are nanoseconds of CLOCK_BOOTTIME, as on the records that are put in.
#[derive(Debug)]
pub struct Processes {
    entries: HashMap<ExecId, Entry>,
    /// The running process of each pid.
    running: HashMap<u32, ExecId>,
    /// Running ones by the order of coming in.
    by_age: BTreeMap<u64, ExecId>,
    /// Ended ones, earliest first.
    exited: VecDeque<(u64, ExecId)>,
    next_order: u64,
    redact: bool,
    counters: ProcessCounters,
}

impl Processes {
    /// An empty table; with `redact` the arguments that look like secrets never get into it.
    #[must_use]
    pub fn new(redact: bool) -> Self {
        Self {
            entries: HashMap::new(),
            running: HashMap::new(),
            by_age: BTreeMap::new(),
            exited: VecDeque::new(),
            next_order: 0,
            redact,
            counters: ProcessCounters::default(),
        }
    }

    /// A process was forked: it has its parent's image until it gets one of its own. One that is known already, from
    /// /proc or by a record of another CPU, keeps what is known of it.
    pub fn fork(&mut self, fork: &Fork, boot_ns: u64) -> &Process {
        if let Some(known) = self.entries.get_mut(&fork.child) {
            known.process.parent = Some(fork.parent);
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
            cgroup_id: fork.cgroup_id,
            namespaces: fork.namespaces,
            origin: ProcessOrigin::Observed,
            state: ProcessState::Running,
        };
        self.put(process, boot_ns)
    }

    /// A process got a new image, or was found running.
    pub fn exec(&mut self, exec: Exec, boot_ns: u64) -> &Process {
        let known = self.get(exec.process);
        let origin = if exec.before_start { ProcessOrigin::BeforeStart } else { ProcessOrigin::Observed };
        let process = Process {
            exec_id: exec.process,
            // Who forked it does not change when that process ends and another adopts it.
            parent: known.and_then(|known| known.parent).or(exec.parent),
            origin: known.map_or(origin, |known| known.origin),
            state: known.map_or(ProcessState::Running, |known| known.state),
            binary: exec.binary,
            args: if self.redact { redact_args(exec.args) } else { exec.args },
            args_truncated: exec.args_truncated,
            cwd: exec.cwd,
            uid: exec.uid,
            euid: exec.euid,
            gid: exec.gid,
            cgroup_id: exec.cgroup_id,
            namespaces: exec.namespaces,
        };
        self.put(process, boot_ns)
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

    /// The process that forked it, the one that forked that, and so on as far as they are known.
    pub fn ancestry(&self, id: ExecId) -> impl Iterator<Item = &Process> {
        let parent_of = |process: &Process| process.parent.and_then(|parent| self.get(parent));
        std::iter::successors(self.get(id).and_then(parent_of), move |process| parent_of(process))
            .take(ANCESTRY_MAX)
    }

    /// Forgets the processes that ended long enough ago.
    pub fn expire(&mut self, now_boot_ns: u64) {
        let keep_ns = EXITED_KEEP_MS * 1_000_000;
        while let Some(&(ended_ns, id)) = self.exited.front() {
            if now_boot_ns.saturating_sub(ended_ns) < keep_ns {
                break;
            }
            self.exited.pop_front();
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
        let id = process.exec_id;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.process = process;
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
            self.by_age.insert(order, id);
            self.entries.insert(id, Entry { process, order });
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
        self.running.remove(&id.pid);
        self.exited.push_back((boot_ns, id));
        if self.exited.len() > EXITED_PROCESSES_MAX {
            self.evict_exited();
        }
    }

    /// Ended processes go first; then whichever running one came in first, since an end that was missed is likeliest
    /// there.
    fn evict(&mut self) {
        if self.evict_exited() {
            return;
        }
        if let Some((_, id)) = self.by_age.pop_first() {
            self.running.remove(&id.pid);
            self.entries.remove(&id);
            self.counters.evicted_running += 1;
        }
    }

    fn evict_exited(&mut self) -> bool {
        let Some((_, id)) = self.exited.pop_front() else { return false };
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
        binary: String::new(),
        args: Vec::new(),
        args_truncated: false,
        cwd: String::new(),
        uid: INVALID_ID,
        euid: INVALID_ID,
        gid: INVALID_ID,
        cgroup_id: 0,
        namespaces: Namespaces::default(),
        origin: ProcessOrigin::Unseen,
        state: ProcessState::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUCCESS: ExitStatus = ExitStatus { code: Some(0), signal: None, core_dumped: false };

    fn id(pid: u32, ticks: u64) -> ExecId {
        ExecId { boot: 1, pid, start_ticks: ticks }
    }

    fn exit(process: ExecId) -> Exit {
        Exit { process, status: SUCCESS, uid: 0, euid: 0, gid: 0, cgroup_id: 0 }
    }

    fn fork(parent: ExecId, child: ExecId) -> Fork {
        let namespaces = Namespaces::default();
        Fork { child, parent, uid: 0, euid: 0, gid: 0, cgroup_id: 7, namespaces }
    }

    fn exec(process: ExecId, args: &[&str]) -> Exec {
        Exec {
            process,
            parent: None,
            binary: args[0].to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            args_truncated: false,
            cwd: "/".to_owned(),
            uid: 0,
            euid: 0,
            gid: 0,
            cgroup_id: 7,
            namespaces: Namespaces::default(),
            before_start: false,
        }
    }

    #[test]
    fn a_fork_has_its_parents_image_until_exec() {
        let mut table = Processes::new(true);
        table.exec(exec(id(1, 1), &["/bin/sh", "--token=abc"]), 0);
        assert_eq!(table.fork(&fork(id(1, 1), id(2, 5)), 0).args, ["/bin/sh", "--token=REDACTED"]);
        let child = table.exec(exec(id(2, 5), &["/bin/ls"]), 0);
        assert_eq!((child.binary.as_str(), child.parent), ("/bin/ls", Some(id(1, 1))));
        table.fork(&fork(id(2, 5), id(3, 6)), 0);
        let line: Vec<_> = table.ancestry(id(3, 6)).map(|process| process.exec_id.pid).collect();
        assert_eq!(line, [2, 1]);
    }

    #[test]
    fn a_fork_that_comes_late_leaves_the_image() {
        let mut table = Processes::new(true);
        table.exec(Exec { before_start: true, ..exec(id(2, 5), &["/bin/ls"]) }, 0);
        let known = table.fork(&fork(id(1, 1), id(2, 5)), 0);
        assert_eq!((known.binary.as_str(), known.parent), ("/bin/ls", Some(id(1, 1))));
        assert_eq!(known.origin, ProcessOrigin::Observed);
    }

    #[test]
    fn redaction_can_be_turned_off() {
        let mut table = Processes::new(false);
        assert_eq!(table.exec(exec(id(1, 1), &["x", "--token=abc"]), 0).args[1], "--token=abc");
    }

    #[test]
    fn ended_processes_stay_for_a_while() {
        let mut table = Processes::new(true);
        table.fork(&fork(id(1, 1), id(2, 5)), 0);
        table.exit(&exit(id(2, 5)), 1_000_000_000);
        table.expire(1_000_000_000 + EXITED_KEEP_MS * 1_000_000 - 1);
        assert_eq!(table.get(id(2, 5)).unwrap().state, ProcessState::Exited(SUCCESS));
        table.expire(1_000_000_000 + EXITED_KEEP_MS * 1_000_000);
        assert!(table.is_empty());
    }

    #[test]
    fn a_pid_that_comes_back_ends_its_last_owner() {
        let mut table = Processes::new(true);
        table.fork(&fork(id(1, 1), id(2, 5)), 0);
        table.fork(&fork(id(1, 1), id(2, 9)), 0);
        assert!(matches!(table.get(id(2, 5)).unwrap().state, ProcessState::Exited(_)));
        assert_eq!((table.running(), table.counters().exits_missed), (1, 1));
    }

    #[test]
    fn the_end_of_an_unknown_process_is_kept() {
        let mut table = Processes::new(true);
        let process = table.exit(&Exit { uid: 1000, cgroup_id: 7, ..exit(id(9, 9)) }, 0);
        assert_eq!((process.origin, process.state), (ProcessOrigin::Unseen, ProcessState::Exited(SUCCESS)));
        assert_eq!((process.uid, process.cgroup_id), (1000, 7));
        assert_eq!(table.running(), 0);
    }

    #[test]
    fn limits_hold_and_are_counted() {
        let mut table = Processes::new(true);
        let parent = id(1, 1);
        for pid in 0..PROCESSES_MAX as u32 + 10 {
            table.fork(&fork(parent, id(pid + 2, 5)), 0);
        }
        assert_eq!((table.len(), table.running()), (PROCESSES_MAX, PROCESSES_MAX));
        assert_eq!(table.counters().evicted_running, 10);
        for pid in 20..20 + EXITED_PROCESSES_MAX as u32 + 3 {
            table.exit(&exit(id(pid, 5)), 0);
        }
        assert_eq!(table.counters().evicted_exited, 3);
        assert_eq!(table.len(), PROCESSES_MAX - 3);
    }
}
