//! What the views show, made out of the agent's records. No terminal and no clock in here.

mod flows;
mod processes;
mod rate;
mod tally;

use crate::top::format;
use crate::top::record::{DnsLine, FindingLine, FlowLine, Line, LossLine, Process, ProcessLine, Stage};

pub(crate) use self::flows::{FLOWS_MAX, Flow, FlowKey, FlowTable, RECORDS_PER_FLOW_MAX};
use self::processes::Processes;
use self::rate::Rate;
pub(crate) use self::tally::{Tally, Weighed};

/// Most talkers kept; of more, those with the fewest bytes go first.
pub(crate) const TALKERS_MAX: usize = 2048;

/// Most pairs of outcome and reason kept.
const VERDICTS_MAX: usize = 1024;

/// Most programs kept.
const PROGRAMS_MAX: usize = 1024;

/// Most pairs of what was dropped or failed, and where.
const DROPS_MAX: usize = 1024;

/// Most pairs of kind and cgroup with losses.
const LOSSES_MAX: usize = 512;

/// Most kinds of findings kept.
const FINDING_KINDS_MAX: usize = 64;

/// Most addresses of which it is kept who asked for their name.
const ADDRESSES_MAX: usize = 2048;

/// Flows and bytes of something.
#[derive(Clone, Default, Debug)]
pub(crate) struct Traffic {
    pub(crate) flows: u64,
    /// Bytes that it sent.
    pub(crate) sent: u64,
    /// Bytes that it received.
    pub(crate) received: u64,
    /// When it was last heard of, wall clock.
    pub(crate) last_ns: i64,
    /// Something to tell beside its name.
    pub(crate) note: String,
}

/// What a program did.
#[derive(Clone, Default, Debug)]
pub(crate) struct Program {
    pub(crate) traffic: Traffic,
    pub(crate) execs: u64,
    pub(crate) exec_rate: Rate,
}

/// What was dropped or failed.
#[derive(Clone, Default, Debug)]
pub(crate) struct Dropping {
    /// Packets that were dropped, or attempts that failed.
    pub(crate) count: u64,
    pub(crate) last_ns: i64,
    /// The program that it happened to last.
    pub(crate) program: String,
}

/// Records that are missing.
#[derive(Clone, Default, Debug)]
pub(crate) struct Missing {
    pub(crate) lost: u64,
    pub(crate) suppressed: u64,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
}

/// Findings of a kind.
#[derive(Clone, Default, Debug)]
pub(crate) struct Found {
    /// Those that began.
    pub(crate) findings: u64,
    /// What they stand for.
    pub(crate) occurrences: u64,
}

impl Weighed for Found {
    fn weight(&self) -> u64 {
        self.findings.saturating_add(self.occurrences)
    }
}

/// Who asked for the name of an address.
#[derive(Clone, Default, Debug)]
pub(crate) struct Asked {
    pub(crate) time_ns: i64,
    pub(crate) text: String,
}

impl Weighed for Traffic {
    fn weight(&self) -> u64 {
        self.flows.saturating_add(self.sent).saturating_add(self.received)
    }
}

impl Weighed for Program {
    fn weight(&self) -> u64 {
        self.traffic.weight().saturating_add(self.execs)
    }
}

impl Weighed for Dropping {
    fn weight(&self) -> u64 {
        self.count
    }
}

impl Weighed for Missing {
    fn weight(&self) -> u64 {
        self.lost.saturating_add(self.suppressed)
    }
}

impl Weighed for Asked {
    fn weight(&self) -> u64 {
        self.time_ns.unsigned_abs()
    }
}

/// Everything that is known.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) flows: FlowTable,
    pub(crate) talkers: Tally<String, Traffic>,
    /// By outcome and deciding rule, policy or reason.
    pub(crate) verdicts: Tally<(String, String), Traffic>,
    pub(crate) programs: Tally<String, Program>,
    /// By what happened, its reason, and the end that it was meant for.
    pub(crate) drops: Tally<(&'static str, String, String), Dropping>,
    /// By kind.
    pub(crate) findings: Tally<String, Found>,
    /// By kind and whose.
    pub(crate) losses: Tally<(String, String), Missing>,
    pub(crate) asked: Tally<String, Asked>,
    pub(crate) processes: Processes,
    pub(crate) records: u64,
    pub(crate) record_rate: Rate,
    pub(crate) exec_rate: Rate,
    /// Records that the agent threw away, since this screen was too slow.
    pub(crate) observer_lost: u64,
    /// Lines that could not be read.
    pub(crate) unreadable: u64,
    /// How often the connection to the agent broke.
    pub(crate) gaps: u64,
    connected: bool,
    newest_boot_ns: u64,
    /// After a gap the agent may tell again what it told before: up to here it is known.
    known_boot_ns: u64,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            flows: FlowTable::default(),
            talkers: Tally::new(TALKERS_MAX),
            verdicts: Tally::new(VERDICTS_MAX),
            programs: Tally::new(PROGRAMS_MAX),
            drops: Tally::new(DROPS_MAX),
            findings: Tally::new(FINDING_KINDS_MAX),
            losses: Tally::new(LOSSES_MAX),
            asked: Tally::new(ADDRESSES_MAX),
            processes: Processes::default(),
            records: 0,
            record_rate: Rate::default(),
            exec_rate: Rate::default(),
            observer_lost: 0,
            unreadable: 0,
            gaps: 0,
            connected: true,
            newest_boot_ns: 0,
            known_boot_ns: 0,
        }
    }

    /// Takes in a line of the observe socket.
    pub(crate) fn take(&mut self, line: &str) {
        let Ok(line) = Line::parse(line) else {
            self.unreadable += 1;
            return;
        };
        match line {
            Line::Flow(line) => self.flow(*line),
            Line::Dns(line) => self.dns(&line),
            Line::Process(line) => self.process(*line),
            Line::Finding(line) => self.finding(line.as_ref()),
            Line::Loss(line) => self.loss(&line),
            Line::ObserverLoss(lost) => self.observer_lost += lost,
            Line::Other => {}
        }
    }

    /// The connection to the agent broke.
    pub(crate) fn disconnected(&mut self, now_ns: i64) {
        if std::mem::take(&mut self.connected) {
            self.gaps += 1;
        }
        self.known_boot_ns = self.newest_boot_ns;
        self.flows.doubt(now_ns);
    }

    /// The agent, or the next one, is there.
    pub(crate) fn connected(&mut self, now_ns: i64) {
        self.connected = true;
        self.flows.doubt_from(now_ns);
    }

    /// Lets go what is not to be shown any longer.
    pub(crate) fn expire(&mut self, now_ns: i64) {
        self.flows.expire(now_ns, self.connected);
    }

    fn is_known(&mut self, time_ns: i64, boot_ns: u64) -> bool {
        if boot_ns <= self.known_boot_ns {
            return true;
        }
        self.newest_boot_ns = self.newest_boot_ns.max(boot_ns);
        self.records += 1;
        self.record_rate.count(time_ns);
        false
    }

    fn flow(&mut self, line: FlowLine) {
        if self.is_known(line.time, line.boot_ns) {
            return;
        }
        if let Some(process) = &line.process {
            self.processes.learn(process, None);
        }
        let time = line.time;
        let program = program(line.process.as_ref());
        let side = line.side;
        let client = format::end(&line.client);
        let server = format::end(&line.server);
        let notes = [&line.client, &line.server].map(format::note);
        let verdict = (line.verdict.outcome.clone(), line.because.clone());
        let failing = (line.stage == Stage::Failed)
            .then(|| ("failed", line.close_reason.clone().unwrap_or_default(), 1));
        let dropping = line.drop.as_ref().map(|drop| drop.reason.clone());
        let place = format::server(&line.server, line.protocol, line.icmp);

        let added = self.flows.take(line);
        let (to_server, to_client) = (added.to_server, added.to_client);
        let new = u64::from(added.is_new);
        if !added.told_by_other_end {
            let [client_note, server_note] = notes;
            // Who talks to itself has one flow.
            let new_to_server = if client == server { 0 } else { new };
            self.talkers.row(client).add(new, to_server, to_client, time, client_note);
            self.talkers.row(server).add(new_to_server, to_client, to_server, time, server_note);
            self.verdicts.row(verdict).add(new, to_server, to_client, time, String::new());
        }
        let (sent, received) = match side {
            crate::top::record::Side::Client => (to_server, to_client),
            crate::top::record::Side::Server => (to_client, to_server),
        };
        let traffic = &mut self.programs.row(program.clone()).traffic;
        traffic.add(u64::from(added.is_first), sent, received, time, String::new());
        let dropping =
            dropping.filter(|_| added.dropped > 0).map(|reason| ("dropped", reason, added.dropped));
        for (what, reason, count) in failing.into_iter().chain(dropping) {
            let row = self.drops.row((what, reason, place.clone()));
            row.count += count;
            row.last_ns = row.last_ns.max(time);
            row.program.clone_from(&program);
        }
    }

    fn dns(&mut self, line: &DnsLine) {
        if self.is_known(line.time, line.boot_ns) {
            return;
        }
        self.flows.take_dns(line);
        for answer in &line.answers {
            if let Some(address) =
                answer.data.as_ref().filter(|data| data.parse::<std::net::IpAddr>().is_ok())
            {
                let asked = self.asked.row(address.clone());
                asked.time_ns = line.time;
                asked.text = format::asked(line, answer);
            }
        }
    }

    fn process(&mut self, line: ProcessLine) {
        self.processes.learn(&line.process, line.parent.as_ref());
        // Found processes have the time of their start, which may lie before all that is known.
        if line.action == "found" || self.is_known(line.time, line.boot_ns) {
            return;
        }
        if line.action == "exec" {
            self.exec_rate.count(line.time);
            let row = self.programs.row(program(Some(&line.process)));
            row.execs += 1;
            row.exec_rate.count(line.time);
            row.traffic.last_ns = row.traffic.last_ns.max(line.time);
        }
    }

    fn finding(&mut self, line: &FindingLine) {
        if self.is_known(line.time, line.boot_ns) {
            return;
        }
        let row = self.findings.row(line.kind.clone());
        row.findings += u64::from(line.state == "new");
        row.occurrences += line.count_new;
    }

    fn loss(&mut self, line: &LossLine) {
        if self.is_known(line.last, line.boot_ns) {
            return;
        }
        let row = self.losses.row((line.kind.clone(), format::whose(line)));
        if row.weight() == 0 {
            row.first_ns = line.first;
        }
        row.lost += line.lost;
        row.suppressed += line.suppressed;
        row.last_ns = row.last_ns.max(line.last);
    }
}

impl Traffic {
    fn add(&mut self, flows: u64, sent: u64, received: u64, time_ns: i64, note: String) {
        self.flows += flows;
        self.sent += sent;
        self.received += received;
        self.last_ns = self.last_ns.max(time_ns);
        if !note.is_empty() {
            self.note = note;
        }
    }
}

/// What the row of a program is called.
fn program(process: Option<&Process>) -> String {
    match process {
        None => "(not known)".to_owned(),
        Some(process) if process.binary.is_empty() => "(no path)".to_owned(),
        Some(process) => process.binary.clone(),
    }
}
