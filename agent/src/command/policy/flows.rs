//! Recorded flows as connections that can be judged again.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use serde::Deserialize;
use watchfire_api::moment;
use watchfire_export::FlowFilter;
use watchfire_ledger::{Families, Family, Search, SearchQuery};
use watchfire_model::{Peer, Pod, Protocol, WallTime};

use super::pairs::pairs;
use super::state::{Party, State, Talk};
use crate::command::events::{explain, refuse_damaged};
use crate::command::flows::files::each_record;
use crate::config::LEDGER_DIR;

/// Most different connections that are kept. Those above are counted.
const TALKS_MAX: usize = 1_000_000;
/// Most flows that are told from each other, so that no flow counts twice.
const FLOWS_MAX: usize = 4_000_000;

/// Where recorded flows come from.
#[derive(clap::Args, Clone, Default, Debug)]
pub(super) struct FlowArgs {
    /// Recorded flows: an event log, with those rotated away from it; - is standard input. May be given several times
    #[arg(long = "flows", value_name = "PATH")]
    flow_files: Vec<PathBuf>,
    /// Flows recorded since then, in the ledger where no --flows is given: an RFC 3339 time, or how long ago, such as 24h
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<WallTime>,
    /// Flows recorded until then
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<WallTime>,
    /// The ledger, or a bundle that was taken out of one
    #[arg(long, env = "WATCHFIRE_LEDGER", value_name = "DIR", default_value = LEDGER_DIR)]
    ledger: PathBuf,
}

/// What was recorded.
#[derive(Default)]
pub(super) struct Flows {
    /// Different connections, each with what is known of its flows.
    pub(super) seen: Vec<Seen>,
    /// Flow records that were read.
    pub(super) records: u64,
    /// Flows that found no room.
    pub(super) left_out: u64,
}

/// Flows between the same two ends.
pub(super) struct Seen {
    pub(super) talk: Talk,
    pub(super) flows: u64,
    /// Whether one of them was established, or had answers.
    pub(super) established: bool,
    pub(super) first: WallTime,
    pub(super) last: WallTime,
}

impl FlowArgs {
    pub(super) fn is_given(&self) -> bool {
        !self.flow_files.is_empty() || self.since.is_some()
    }

    /// Connections that were recorded, each with how many flows there were; where none are asked for, those that the pods of the
    /// state may open among them. `purpose` is what they are for.
    pub(super) fn talks_or_pairs(&self, state: &mut State, purpose: &str) -> Result<Vec<(Talk, u64)>> {
        let talks: Vec<_> = if self.is_given() {
            self.read(state)?.seen.into_iter().map(|seen| (seen.talk, seen.flows)).collect()
        } else {
            pairs(state).talks.into_iter().map(|talk| (talk, 0)).collect()
        };
        if talks.is_empty() {
            bail!(
                "there is nothing to {purpose}: no two pods of which one declares a port are known; give --flows or --since"
            );
        }
        Ok(talks)
    }

    /// Reads the flows, with their ends as they stand in the state now: by pod, or by another pod of the same workload. What
    /// the records say of names is put into the state.
    pub(super) fn read(&self, state: &mut State) -> Result<Flows> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since > until
        {
            bail!("--since {since} is after --until {until}");
        }
        let mut reading = Reading::default();
        let place = if !self.flow_files.is_empty() {
            self.read_logs(&mut |line| reading.line(state, line))?
        } else if self.since.is_some() {
            self.search_ledger(&mut |line| reading.line(state, line))?
        } else {
            bail!(
                "give --flows PATH, the event log of an agent, or --since TIME, from when on the ledger is read"
            );
        };
        let Flows { records, left_out, .. } = reading.flows;
        if records == 0 {
            bail!("{place}: no flow record is in it");
        }
        if left_out > 0 {
            eprintln!(
                "watchfire: {left_out} flows were left out: there are more than {TALKS_MAX} different ones"
            );
        }
        Ok(reading.flows)
    }

    fn read_logs(&self, take: &mut impl FnMut(&str) -> Result<()>) -> Result<String> {
        let filter = FlowFilter::new(self.since, self.until, Vec::new());
        each_record(&self.flow_files, "--flows", &filter, take)?;
        let names: Vec<_> = self.flow_files.iter().map(|path| path.display().to_string()).collect();
        Ok(format!("--flows {}", names.join(", ")))
    }

    fn search_ledger(&self, take: &mut impl FnMut(&str) -> Result<()>) -> Result<String> {
        let families = Families::of(&[Family::Flow]);
        let query = SearchQuery { families, since: self.since, until: self.until, ..SearchQuery::default() };
        let mut search = Search::open(&self.ledger, query)?;
        for found in search.by_ref() {
            take(str::from_utf8(&found?.line)?)?;
        }
        explain(&search, false);
        refuse_damaged(&search.explanation().damaged)?;
        Ok(format!("--ledger {}", self.ledger.display()))
    }
}

#[derive(Default)]
struct Reading {
    flows: Flows,
    by_talk: std::collections::HashMap<u64, Vec<usize>>,
    known: HashSet<u64>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    node: String,
    #[serde(rename = "type")]
    record_type: String,
    stage: String,
    cookie: u64,
    protocol: Protocol,
    icmp: Option<IcmpType>,
    #[serde(default)]
    direction_guessed: bool,
    client: End,
    server: End,
    opened: WallTime,
    counters: Option<Counters>,
}

#[derive(Deserialize)]
struct IcmpType {
    #[serde(rename = "type")]
    icmp_type: u8,
}

#[derive(Deserialize)]
struct Counters {
    #[serde(default)]
    bytes_received: u64,
    #[serde(default)]
    datagrams_received: u64,
}

#[derive(Deserialize)]
struct End {
    address: SocketAddr,
    pod: Option<PodName>,
    kind: String,
    detail: Option<Arc<str>>,
    #[serde(default)]
    api_server: bool,
    #[serde(default)]
    names: Vec<Arc<str>>,
    backend: Option<Backend>,
}

#[derive(Deserialize)]
struct PodName {
    namespace: String,
    name: String,
    workload: Option<Workload>,
}

#[derive(Deserialize)]
struct Workload {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
struct Backend {
    address: Option<SocketAddr>,
}

impl Reading {
    fn line(&mut self, state: &mut State, line: &str) -> Result<()> {
        match serde_json::from_str::<Record>(line) {
            Ok(record) if record.record_type == "flow" => self.take(state, record),
            Ok(_) => {}
            Err(error) => bail!("a flow record is not as an agent writes it: {error}"),
        }
        Ok(())
    }

    fn take(&mut self, state: &mut State, record: Record) {
        self.flows.records += 1;
        for end in [&record.client, &record.server] {
            if end.api_server {
                state.learn_api_server(end.address.ip());
            }
            if !end.names.is_empty() {
                state.learn_names(end.address.ip(), end.names.iter().cloned());
            }
        }
        let is_new = self.known.len() < FLOWS_MAX && self.known.insert(record.id());
        let answered = record.counters.as_ref();
        let answered =
            answered.is_some_and(|counted| counted.bytes_received + counted.datagrams_received > 0);
        let established = match record.protocol {
            Protocol::Tcp => !matches!(record.stage.as_str(), "failed" | "dropped"),
            _ => answered,
        };
        let (opened, talk) = (record.opened, record.talk(state));
        let key = hash(&(talk.client.ip, talk.server.ip, talk.protocol, talk.port, talk.icmp_type));
        let places = self.by_talk.entry(key).or_default();
        if let Some(place) = places.iter().find(|place| self.flows.seen[**place].talk == talk) {
            let seen = &mut self.flows.seen[*place];
            seen.flows += u64::from(is_new);
            seen.established |= established;
            (seen.first, seen.last) = (seen.first.min(opened), seen.last.max(opened));
            return;
        }
        if self.flows.seen.len() >= TALKS_MAX {
            self.flows.left_out += u64::from(is_new);
            return;
        }
        places.push(self.flows.seen.len());
        let (first, last) = (opened, opened);
        self.flows.seen.push(Seen { talk, flows: u64::from(is_new), established, first, last });
    }
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Record {
    /// What tells a flow from others, whatever moment of it a record tells.
    fn id(&self) -> u64 {
        hash(&(&self.node, self.cookie, self.opened, self.client.address, self.server.address))
    }

    fn talk(self, state: &State) -> Talk {
        let (server, port) = self.server.backend_or_own();
        let port =
            if matches!(self.protocol, Protocol::Tcp | Protocol::Udp | Protocol::Sctp) { port } else { 0 };
        Talk {
            client: self.client.party(state, self.client.address),
            server: self.server.party(state, server),
            protocol: self.protocol,
            port,
            icmp_type: self.icmp.map(|icmp| icmp.icmp_type),
            guessed: self.direction_guessed,
        }
    }
}

impl End {
    fn backend_or_own(&self) -> (SocketAddr, u16) {
        let address = self.backend.as_ref().and_then(|backend| backend.address).unwrap_or(self.address);
        (address, address.port())
    }

    fn party(&self, state: &State, address: SocketAddr) -> Party {
        let ip = address.ip().to_canonical();
        match (self.kind.as_str(), &self.pod) {
            ("pod", Some(named)) => match named.find(state) {
                // Another pod of the workload has another address, and what is judged is who it is.
                Some(pod) if pod.ips.contains(ip) || pod.ips.iter().next().is_none() => {
                    Party { peer: Peer::Pod(Arc::clone(pod)), ip }
                }
                Some(pod) => State::party(pod),
                None => Party { peer: Peer::Unresolved("the pod of the record is not known"), ip },
            },
            ("node", _) => Party { peer: Peer::Node { name: self.detail.clone().unwrap_or_default() }, ip },
            ("world", _) => Party { peer: Peer::World, ip },
            _ => Party { peer: Peer::Unresolved("not resolved when it was recorded"), ip },
        }
    }
}

impl PodName {
    fn find<'a>(&self, state: &'a State) -> Option<&'a Arc<Pod>> {
        state.pod(&self.namespace, &self.name).or_else(|| {
            let own = self.workload.as_ref()?;
            let of_workload =
                |pod: &&Arc<Pod>| {
                    *pod.identity.namespace == *self.namespace
                        && pod.identity.workload.as_ref().is_some_and(|workload| {
                            *workload.name == *own.name && *workload.kind == *own.kind
                        })
                };
            state.pods.values().find(of_workload)
        })
    }
}

#[cfg(test)]
mod tests;
