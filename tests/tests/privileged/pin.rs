//! Programs that outlive the agent.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use watchfire_model::RecordKind;
use watchfire_tests::{Agent, PATIENCE, until, watchfire};

use crate::loss::{FORKS, flood_in, of_cgroup};
use crate::running::{TestCgroup, command, has_argument, http_get, metric, metric_until, nonce, ready};

/// Programs that are run while no agent does.
const RUNS: usize = 50;

/// A BPF filesystem of the test's own.
pub(crate) struct Pins {
    folder: TempDir,
}

impl Pins {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(folder.path()).status();
        assert!(status.unwrap().success());
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("watchfire")
    }

    fn agent(&self, more: &[&str]) -> Agent {
        ready(self.start(more))
    }

    fn start(&self, more: &[&str]) -> Agent {
        let path = self.path();
        let pin = ["--pin", path.to_str().unwrap()];
        command(&pin.iter().chain(more).copied().collect::<Vec<_>>()).start()
    }

    fn detach(&self) -> String {
        let output = Command::new(watchfire()).arg("detach").arg("--pin").arg(self.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The folders of what is pinned.
    fn folders(&self) -> Vec<PathBuf> {
        entries(&self.path())
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        // What is pinned goes with it. Where an agent has not ended yet, as soon as it has.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Runs a program that is known by its number.
fn run(nonce: &str, number: usize) {
    let status = Command::new("/bin/sh").args(["-c", "exit 7", nonce, &number.to_string()]).status();
    assert_eq!(status.unwrap().code(), Some(7));
}

/// Runs one program after another until it is told to stop, and answers how many.
struct Stream {
    stop: Arc<AtomicBool>,
    runs: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Stream {
    fn start(nonce: &str) -> Self {
        let (stop, runs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted, nonce) = (Arc::clone(&stop), Arc::clone(&runs), nonce.to_owned());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                run(&nonce, counted.fetch_add(1, Ordering::AcqRel));
            }
        });
        Self { stop, runs, thread }
    }

    /// The number of the next program.
    fn begun(&self) -> usize {
        self.runs.load(Ordering::Acquire)
    }

    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap();
        self.runs.load(Ordering::Acquire)
    }
}

/// How often each numbered program has a record of this action. An agent knows no arguments of a process that another one
/// saw begin and that ended while none ran: it is the same process by its `exec_id`.
fn told(records: &[Value], action: &str, nonce: &str) -> HashMap<usize, usize> {
    let of_test = records.iter().filter(|record| record["action"] == "exec" && has_argument(record, nonce));
    let numbers: HashMap<&str, usize> = of_test
        .map(|exec| {
            let number = exec["process"]["args"][4].as_str().unwrap().parse().unwrap();
            (exec["process"]["exec_id"].as_str().unwrap(), number)
        })
        .collect();
    let mut told = HashMap::new();
    for record in records.iter().filter(|record| record["action"] == action) {
        let Some(number) = record["process"]["exec_id"].as_str().and_then(|id| numbers.get(id)) else {
            continue;
        };
        *told.entry(*number).or_default() += 1;
        assert!(action != "exit" || record["exit"]["code"] == 7, "{record}");
    }
    told
}

/// Waits until the agent has told the end of the last of so many programs, then asserts that each is told once.
fn assert_each_once(before: &[Value], agent: &Agent, nonce: &str, runs: usize) {
    let last = (runs - 1).to_string();
    let _ = agent.record("the exit of the last program", |record| {
        record["action"] == "exit" && has_argument(record, nonce) && has_argument(record, &last)
    });
    let records: Vec<Value> = before.iter().cloned().chain(agent.records()).collect();
    for action in ["exec", "exit"] {
        let told = told(&records, action, nonce);
        let wrong: Vec<_> = (0..runs)
            .map(|number| (number, told.get(&number).copied().unwrap_or(0)))
            .filter(|(_, times)| *times != 1)
            .collect();
        assert_eq!(wrong, [], "{action} of {runs} programs, each once");
    }
}

/// The account is a snapshot while programs run on: each kind has to balance in one of them.
fn assert_balance(agent: &Agent) {
    let deadline = Instant::now() + PATIENCE;
    let mut open: HashSet<&str> = RecordKind::ALL.iter().map(|kind| kind.as_str()).collect();
    while !open.is_empty() {
        let (_, text) = http_get(agent, "/metrics");
        let count = |what: &str, kind: &str| -> u64 {
            let series = format!("watchfire_records_{what}_total{{kind=\"{kind}\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&series));
            value.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
        };
        open.retain(|kind| {
            let told = ["filtered", "suppressed", "emitted", "dropped"].map(|what| count(what, kind));
            let taken = count("received", kind) + count("lost_at_restart", kind);
            count("seen", kind) != told.iter().sum::<u64>() || told[2] != taken
        });
        assert!(Instant::now() < deadline, "does not balance: {open:?}\n{text}");
        std::thread::park_timeout(Duration::from_millis(300));
    }
}

pub(crate) fn end(agent: &mut Agent, signal: &str) {
    agent.signal(signal);
    let status = agent.ended();
    assert_eq!(status.code(), (signal == "TERM").then_some(0));
}

pub(crate) fn restart() {
    let pins = Pins::new();
    let mut first = pins.agent(&[]);
    let nonce = nonce("restart");
    let stream = Stream::start(&nonce);
    end(&mut first, "TERM");
    first.logged("watchfire detach");
    let folders = pins.folders();
    let agent = pins.agent(&[]);
    agent.logged("pinned programs go on");
    assert!(!agent.log().iter().any(|line| line.contains("was killed")));
    let runs = stream.stop();
    assert_each_once(&first.records(), &agent, &nonce, runs);
    assert_eq!(pins.folders(), folders, "nothing was loaded");
    let probes = |agent: &Agent| -> HashSet<String> {
        let attached = |line: &String| line.split_once("probe attached ").map(|(_, rest)| rest.to_owned());
        agent.log().iter().filter_map(attached).collect()
    };
    assert_eq!(probes(&agent), probes(&first), "probes and rungs are those that were attached");
    assert_balance(&agent);
}

pub(crate) fn kill_and_restart() {
    let pins = Pins::new();
    let mut first = pins.agent(&[]);
    // In the middle of work: what the agent had on its way is counted.
    let storm = nonce("storm");
    let stream = Stream::start(&storm);
    std::thread::park_timeout(Duration::from_millis(300));
    end(&mut first, "KILL");
    let begun = stream.begun();
    let nonce = nonce("killed");
    for number in 0..RUNS {
        run(&nonce, number);
    }
    let agent = pins.agent(&[]);
    let runs = stream.stop();
    run(&storm, runs);
    let _ = agent.record("the last of the storm", |record| {
        record["action"] == "exit" && has_argument(record, &storm) && has_argument(record, &runs.to_string())
    });
    assert_each_once(&[], &agent, &nonce, RUNS);
    assert_balance(&agent);
    // What the first agent had handed on and not written is told by nobody, which is said.
    agent.logged("the agent before this one was killed");
    let records: Vec<Value> = first.records().into_iter().chain(agent.records()).collect();
    let told = told(&records, "exec", &storm);
    let missing: Vec<usize> = (begun..runs).filter(|number| !told.contains_key(number)).collect();
    assert_eq!(missing, [] as [usize; 0], "everything that began after the kill is told");
}

pub(crate) fn other_settings() {
    let pins = Pins::new();
    let mut first = pins.agent(&[]);
    let old = pins.folders();
    let nonce = nonce("upgrade");
    let stream = Stream::start(&nonce);
    end(&mut first, "TERM");
    let agent = pins.agent(&["--ring-bytes", "65536"]);
    agent.logged("took over from older programs");
    let runs = stream.stop();
    assert_each_once(&first.records(), &agent, &nonce, runs);
    let new = pins.folders();
    assert_eq!((old.len(), new.len()), (1, 1));
    assert_ne!(old, new, "other programs are pinned, the old ones are gone");
    assert_balance(&agent);
}

/// Addresses of the machine code of our programs.
fn programs() -> HashSet<String> {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let is_ours = |line: &&str| line.contains(" bpf_prog_") && line.contains("_process_e");
    symbols.lines().filter(is_ours).map(str::to_owned).collect()
}

pub(crate) fn detach() {
    let pins = Pins::new();
    assert!(pins.detach().contains("nothing to remove"));
    let before = programs();
    let mut agent = pins.agent(&[]);
    let loaded: Vec<String> = programs().difference(&before).cloned().collect();
    assert!(loaded.len() >= 2, "process_exec and process_exit are loaded: {loaded:?}");
    end(&mut agent, "TERM");
    assert!(loaded.iter().all(|program| programs().contains(program)), "they go on");
    let said = pins.detach();
    assert!(said.starts_with("removed from"), "{said}");
    assert!(!pins.path().exists(), "{:?}", pins.folders());
    // The kernel frees them a little later.
    until("the end of the programs", || {
        let all = programs();
        loaded.iter().all(|program| !all.contains(program)).then_some(())
    });
    assert!(pins.detach().contains("nothing to remove"));
}

pub(crate) fn overrun() {
    let small = ["--priority-ring-bytes", "65536"];
    let pins = Pins::new();
    let cgroup = TestCgroup::new(&nonce("watchfire-away"));
    let mut first = pins.agent(&small);
    end(&mut first, "TERM");
    flood_in(&cgroup);
    let agent = pins.agent(&small);
    let _ = agent.record("the loss of the cgroup", |record| {
        record["type"] == "loss" && record["kind"] == "process-fork" && record["cgroup_id"] == cgroup.id()
    });
    assert_balance(&agent);
    let dropped = metric(&agent, "watchfire_records_dropped_total{kind=\"process-fork\"}");
    let losses = |records: &[Value], cgroup: Option<u64>| -> u64 {
        let is_it = |record: &&Value| {
            record["type"] == "loss"
                && record["kind"] == "process-fork"
                && cgroup.is_none_or(|cgroup| record["cgroup_id"] == cgroup)
        };
        records.iter().filter(is_it).map(|record| record["lost"].as_u64().unwrap()).sum()
    };
    let (before, records) = (first.records(), agent.records());
    assert_eq!(losses(&before, None) + losses(&records, None), dropped, "each is told once");
    let (told, lost) = (of_cgroup(&records, "fork", cgroup.id()), losses(&records, Some(cgroup.id())));
    assert_eq!(told + usize::try_from(lost).unwrap(), FORKS, "{told} told, {lost} lost");
}

pub(crate) fn tampering() {
    let pins = Pins::new();
    let agent = pins.agent(&[]);
    assert_eq!(metric(&agent, "watchfire_probes_detached"), 0);
    let folder = pins.folders().remove(0);
    std::fs::remove_file(folder.join("links/process_exec")).unwrap();
    let line = agent.logged("tampered with");
    assert!(line.contains("ERROR") && line.contains("process_exec"), "{line}");
    metric_until(&agent, "watchfire_probes_detached", |probes| probes == 1);
    // The agent holds it all the same.
    let nonce = nonce("tampered");
    run(&nonce, 0);
    let _ = agent
        .record("an exec after that", |record| record["action"] == "exec" && has_argument(record, &nonce));
    drop(agent);
    let next = pins.agent(&[]);
    next.logged("pinned programs were tampered with");
    run(&nonce, 1);
    let _ = next.record("an exec that new programs see", |record| {
        record["action"] == "exec" && has_argument(record, &nonce) && has_argument(record, "1")
    });
}

pub(crate) fn one_agent() {
    let pins = Pins::new();
    let first = pins.agent(&[]);
    let mut second = pins.start(&[]);
    assert_ne!(second.ended().code(), Some(0));
    second.logged("another agent uses the programs pinned in");
    drop(first);
}
