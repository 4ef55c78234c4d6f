//! The flows that are kept.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use watchfire_model::Protocol;

use crate::top::format;
use crate::top::record::{DnsLine, FlowLine, Icmp, Side, Stage};

/// Most flows kept; of more, those go first that ended, then those that were not heard of for longest.
pub(crate) const FLOWS_MAX: usize = 4096;

/// Most recent records kept of each flow, as lines.
pub(crate) const RECORDS_PER_FLOW_MAX: usize = 16;

/// A flow that ended is shown for so long, seconds.
const ENDED_SHOWN_S: i64 = 30;

/// A flow of which nothing was heard since the connection to the agent broke is shown for so long, seconds.
const UNSURE_SHOWN_S: i64 = 60;

/// What a flow is known by: its ends, and the socket, since both ends may have one here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct FlowKey {
    ends: Ends,
    cookie: u64,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Ends {
    protocol: Protocol,
    client: SocketAddr,
    server: SocketAddr,
    icmp: Option<Icmp>,
}

impl FlowKey {
    fn of(line: &FlowLine) -> Self {
        let FlowLine { protocol, client, server, icmp, cookie, .. } = line;
        let (client, server) = (client.address, server.address);
        Self { ends: Ends { protocol: *protocol, client, server, icmp: *icmp }, cookie: *cookie }
    }
}

/// One flow, as one socket shows it.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// The newest record, completed by what only earlier ones told.
    pub(crate) line: FlowLine,
    /// Whether it goes on.
    pub(crate) live: bool,
    /// Bytes a second from client to server and back, between the last two records that had totals.
    pub(crate) rate: Option<(f64, f64)>,
    /// The last records as lines, oldest first.
    pub(crate) records: VecDeque<String>,
    /// How many records there were.
    pub(crate) records_seen: u64,
    /// Since when nothing can be said about it, for want of an agent.
    pub(crate) unsure_since: Option<i64>,
    counted_at: i64,
}

/// What a record added to what was known of its flow.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Added {
    /// The flow was not known as this socket shows it.
    pub(crate) is_first: bool,
    /// Nor as the socket at its other end does.
    pub(crate) is_new: bool,
    /// The socket at the other end is here as well, and tells the same bytes.
    pub(crate) told_by_other_end: bool,
    /// Bytes from client to server since the record before.
    pub(crate) to_server: u64,
    /// Bytes from server to client since the record before.
    pub(crate) to_client: u64,
    /// Packets dropped since the record before.
    pub(crate) dropped: u64,
}

impl Flow {
    fn new(line: FlowLine) -> Self {
        Self {
            counted_at: line.opened,
            line,
            live: true,
            rate: None,
            records: VecDeque::new(),
            records_seen: 0,
            unsure_since: None,
        }
    }

    /// Bytes from client to server and back.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        bytes(&self.line)
    }

    fn take(&mut self, mut line: FlowLine, added: &mut Added) {
        let is_first = added.is_first;
        let before = if is_first { (0, 0) } else { self.bytes() };
        let dropped_before =
            if is_first { 0 } else { self.line.drop.as_ref().map_or(0, |drop| drop.packets) };
        if line.counters.is_some() {
            let (to_server, to_client) = bytes(&line);
            added.to_server = to_server.saturating_sub(before.0);
            added.to_client = to_client.saturating_sub(before.1);
            let seconds = (line.time - self.counted_at) as f64 / 1e9;
            // Of a flow first heard of in its middle it is not known since when the bytes came.
            if seconds > 0.0 && !(is_first && line.origin == "before-start") {
                self.rate = Some((added.to_server as f64 / seconds, added.to_client as f64 / seconds));
            }
            self.counted_at = line.time;
        }
        if let Some(drop) = &line.drop {
            added.dropped = drop.packets.saturating_sub(dropped_before);
        }
        line.take_verdict_now();
        self.live = match line.stage {
            Stage::Open | Stage::Found | Stage::Update | Stage::VerdictChanged => true,
            Stage::Close | Stage::Failed => false,
            // Of a packet that no socket wanted nothing more will come.
            Stage::Dropped => self.live && !is_first,
            Stage::Other => self.live,
        };
        self.unsure_since = None;
        self.remember(format::moment(&line));
        if !is_first {
            let old = &mut self.line;
            line.counters = line.counters.or(old.counters);
            line.handshake_us = line.handshake_us.or(old.handshake_us);
            line.tls = line.tls.or_else(|| old.tls.take());
            line.drop = line.drop.or_else(|| old.drop.take());
            line.plaintext |= old.plaintext;
            if line.process.is_none() && old.process.is_some() {
                (line.process, line.process_unknown) = (old.process.take(), None);
            }
            for (new, old) in [(&mut line.client, &mut old.client), (&mut line.server, &mut old.server)] {
                if new.names.is_empty() {
                    new.names = std::mem::take(&mut old.names);
                }
                new.service = new.service.take().or_else(|| old.service.take());
                new.backend = new.backend.take().or_else(|| old.backend.take());
            }
        }
        self.line = line;
    }

    fn remember(&mut self, text: String) {
        if self.records.len() >= RECORDS_PER_FLOW_MAX {
            self.records.pop_front();
        }
        self.records.push_back(text);
        self.records_seen += 1;
    }
}

/// Bytes from client to server and back.
fn bytes(line: &FlowLine) -> (u64, u64) {
    let Some(counters) = line.counters else { return (0, 0) };
    match line.side {
        Side::Client => (counters.bytes_sent, counters.bytes_received),
        Side::Server => (counters.bytes_received, counters.bytes_sent),
    }
}

/// All flows that are kept.
#[derive(Clone, Default, Debug)]
pub(crate) struct FlowTable {
    flows: BTreeMap<FlowKey, Flow>,
    evicted: u64,
    /// Is looked at, so it stays.
    pinned: Option<FlowKey>,
}

impl FlowTable {
    pub(super) fn take(&mut self, line: FlowLine) -> Added {
        let key = FlowKey::of(&line);
        let is_first = !self.flows.contains_key(&key);
        if is_first && self.flows.len() >= FLOWS_MAX {
            self.make_room();
        }
        let has_other_end = self.other_end(&key, line.side).is_some();
        let mut added = Added {
            is_first,
            is_new: is_first && !has_other_end,
            told_by_other_end: has_other_end && line.side == Side::Server,
            ..Added::default()
        };
        let flow = self.flows.entry(key).or_insert_with(|| Flow::new(line.clone()));
        flow.take(line, &mut added);
        added
    }

    /// Notes a question on the flows that carried it.
    pub(super) fn take_dns(&mut self, line: &DnsLine) {
        let (protocol, client, server) = (line.protocol, line.client.address, line.server.address);
        let ends = Ends { protocol, client, server, icmp: None };
        let range = FlowKey { ends: ends.clone(), cookie: 0 }..=FlowKey { ends, cookie: u64::MAX };
        for (_, flow) in self.flows.range_mut(range) {
            flow.remember(format::dns_moment(line));
        }
    }

    pub(crate) fn get(&self, key: &FlowKey) -> Option<&Flow> {
        self.flows.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&FlowKey, &Flow)> {
        self.flows.iter()
    }

    /// The same flow as the socket at its other end shows it.
    pub(crate) fn other_end(&self, key: &FlowKey, side: Side) -> Option<&Flow> {
        let range = FlowKey { cookie: 0, ends: key.ends.clone() }..=FlowKey {
            cookie: u64::MAX,
            ends: key.ends.clone(),
        };
        let others = self.flows.range(range).map(|(_, flow)| flow).filter(|flow| flow.line.side != side);
        others.max_by_key(|flow| flow.line.time)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    /// How many flows had to go before their time.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn pin(&mut self, key: Option<FlowKey>) {
        self.pinned = key;
    }

    /// The agent went away: what goes on now is not known.
    pub(super) fn doubt(&mut self, now_ns: i64) {
        for flow in self.flows.values_mut().filter(|flow| flow.live) {
            flow.unsure_since.get_or_insert(now_ns);
        }
    }

    /// The agent is there again: it gets time to tell which flows go on.
    pub(super) fn doubt_from(&mut self, now_ns: i64) {
        for since in self.flows.values_mut().filter_map(|flow| flow.unsure_since.as_mut()) {
            *since = now_ns;
        }
    }

    /// Lets go what ended a while ago, and while an agent is there what it says nothing of.
    pub(super) fn expire(&mut self, now_ns: i64, connected: bool) {
        let pinned = self.pinned.clone();
        let older = |since: i64, seconds: i64| now_ns.saturating_sub(since) > seconds * 1_000_000_000;
        self.flows.retain(|key, flow| {
            let ended = !flow.live && older(flow.line.time, ENDED_SHOWN_S);
            let forgotten = connected && flow.unsure_since.is_some_and(|since| older(since, UNSURE_SHOWN_S));
            pinned.as_ref() == Some(key) || !(ended || forgotten)
        });
    }

    /// A sixteenth at once, so that a flood of flows does not cost a search each.
    fn make_room(&mut self) {
        let unpinned = self.flows.iter().filter(|(key, _)| self.pinned.as_ref() != Some(key));
        let mut oldest: Vec<_> =
            unpinned.map(|(key, flow)| (flow.live, flow.line.time, key.clone())).collect();
        oldest.sort();
        for (_, _, key) in oldest.into_iter().take(FLOWS_MAX / 16) {
            self.flows.remove(&key);
            self.evicted += 1;
        }
    }
}
