//! Flows to a port for TLS whose client did not open TLS.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use watchfire_model::{
    Flow, FlowCounters, FlowStage, Gap, Origin, Protocol, Record, RecordBody, RecordKind, Side,
};

use super::open_flows::{Hello, Judged};

/// How long a record waits before it is marked, nanoseconds. The sensor looks for lost records every second: what it lost
/// until then has been told after this.
pub(crate) const LOSSES_TOLD_NS: u64 = 3_000_000_000;
/// Most records that wait.
pub(crate) const HELD_MAX: usize = 4096;

/// Whether a kind of record tells what a flow carried.
fn is_payload_kind(kind: RecordKind) -> bool {
    kind.as_str() == "payload"
}

/// A record that will be marked unless a loss is told that may have hidden the opening of TLS.
#[derive(Debug)]
struct Held {
    record: Record,
    opened_ns: u64,
    /// The opening of TLS was told after the record: they came through different rings.
    is_tls: bool,
    /// What was said of the flow: of the mesh something else is said if it is plaintext.
    judged: Arc<Judged>,
}

/// What is known about seeing and not seeing TLS.
#[derive(Default, Debug)]
pub(crate) struct Plaintext {
    /// Server ports at which a client is expected to open TLS.
    tls_ports: BTreeSet<u16>,
    /// Since when each `ClientHello` is told, nanoseconds of CLOCK_BOOTTIME; none where they are not, or not known to be.
    watched_since_ns: Option<u64>,
    /// When the latest record of what a flow carried was lost, nanoseconds of CLOCK_BOOTTIME.
    lost_ns: u64,
    held: VecDeque<Held>,
    undecided: u64,
}

impl Plaintext {
    pub(crate) fn set_tls_ports(&mut self, ports: BTreeSet<u16>) {
        self.tls_ports = ports;
    }

    /// Each `ClientHello` of flows that were opened later than `since_ns` is told.
    pub(crate) const fn watched(&mut self, since_ns: u64) {
        self.watched_since_ns = Some(since_ns);
    }

    pub(crate) fn note_gap(&mut self, gap: &Gap) {
        if is_payload_kind(gap.kind) {
            self.lost(gap.last_boot_ns);
        }
    }

    pub(super) fn lost(&mut self, last_ns: u64) {
        self.lost_ns = self.lost_ns.max(last_ns);
    }

    /// Whether a flow looks like plaintext: all that its client sent would have been seen to open TLS.
    pub(crate) fn is_suspect(&self, flow: &Flow, counters: &FlowCounters, hello: &Hello) -> bool {
        let client_bytes = match flow.side {
            Side::Client => counters.bytes_sent,
            Side::Server => counters.bytes_received,
        };
        flow.protocol == Protocol::Tcp
            && flow.origin == Origin::Observed
            && self.tls_ports.contains(&flow.server.port())
            && client_bytes > 0
            && *hello == Hello::NotSeen
            && self.watched_since_ns.is_some_and(|since_ns| flow.opened_boot_ns > since_ns)
            && self.is_seen_since(flow.opened_boot_ns)
    }

    /// Keeps the record of a flow that [looks like plaintext](Self::is_suspect) until all losses of its time are told.
    /// Answers one that has to go before that, unmarked, because of [`HELD_MAX`].
    pub(crate) fn hold(&mut self, record: Record, opened_ns: u64, judged: &Arc<Judged>) -> Option<Record> {
        self.held.push_back(Held { record, opened_ns, is_tls: false, judged: Arc::clone(judged) });
        if self.held.len() <= HELD_MAX {
            return None;
        }
        self.undecided += 1;
        self.held.pop_front().map(|held| held.record)
    }

    /// Takes in what was seen of TLS in a flow whose records may wait. Answers whether its last one does.
    pub(crate) fn hello(&mut self, flow: &Flow, hello: &Hello) -> bool {
        let mut has_ended = false;
        for held in &mut self.held {
            let RecordBody::Flow(record) = &mut held.record.body else { continue };
            let is_it = record.cookie == flow.cookie
                && (record.client.address, record.server.address) == (flow.client, flow.server);
            if is_it {
                held.is_tls = true;
                record.tls = hello.view();
                record.judgement.mesh = held.judged.mesh.as_ref().and_then(|mesh| mesh.seen(hello, false));
                has_ended |= record.stage == FlowStage::Close;
            }
        }
        has_ended
    }

    /// The next record that has waited long enough, marked if nothing was lost.
    pub(crate) fn decided(&mut self, now_ns: u64) -> Option<Record> {
        if self.held.front()?.record.boot_ns.saturating_add(LOSSES_TOLD_NS) > now_ns {
            return None;
        }
        let Held { mut record, opened_ns, is_tls, judged } = self.held.pop_front()?;
        if let RecordBody::Flow(flow) = &mut record.body {
            flow.plaintext = !is_tls && self.is_seen_since(opened_ns);
            if flow.plaintext {
                flow.judgement.mesh = judged.mesh.as_ref().and_then(|mesh| mesh.seen(&Hello::NotSeen, true));
            }
        }
        Some(record)
    }

    /// How many records went unmarked because of [`HELD_MAX`].
    pub(crate) const fn undecided(&self) -> u64 {
        self.undecided
    }

    const fn is_seen_since(&self, opened_ns: u64) -> bool {
        opened_ns > self.lost_ns
    }
}
