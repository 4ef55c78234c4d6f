//! What flows carried: names that were asked for, and openings of TLS.

use std::sync::Arc;

use watchfire_dissect::dns::{self, Message};
use watchfire_dissect::tls::ClientHello;
use watchfire_model::{DnsRecord, Flow, Payload, PayloadKind, Protocol, Record, RecordBody, Side};

use super::open_flows::Hello;
use super::queries::Query;
use super::streams::{Whole, WholeKind};
use super::{Stages, view};

/// What was read, and what could not be.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct PayloadCounts {
    /// `ClientHello`s that were read.
    pub(crate) client_hellos: u64,
    /// What was taken for a `ClientHello` and is none.
    pub(crate) malformed_client_hellos: u64,
    /// What was taken for a DNS message and is none, or says nothing.
    pub(crate) malformed_dns: u64,
}

/// Kind of query that asks for a name (RFC 1035, section 4.1.1); others change zones, or tell of changes.
const OPCODE_QUERY: u8 = 0;

impl Stages {
    pub(super) fn payload(&mut self, payload: Payload, boot_ns: u64, records: &mut Vec<Record>) {
        let Payload { flow, kind, sent, .. } = payload;
        if kind == PayloadKind::Dns && flow.protocol != Protocol::Tcp {
            let message = dns::message(&payload.bytes, payload.whole_bytes as usize);
            return self.dns_payload(&flow, sent, message, boot_ns, records);
        }
        let mut wholes = Vec::new();
        self.streams.take(payload, boot_ns, &mut wholes);
        if kind == PayloadKind::ClientHello && wholes.is_empty() {
            // The rest may come too late for a record that is to say whether it is plaintext.
            self.note_hello(&flow, Hello::Unreadable);
        }
        self.wholes(wholes, records);
    }

    /// Reads what is there of a flow that ends.
    pub(super) fn settle_streams(&mut self, flow: &Flow, records: &mut Vec<Record>) {
        let mut wholes = Vec::new();
        self.streams.settle(flow, &mut wholes);
        self.wholes(wholes, records);
    }

    /// Reads what has waited long enough for the rest.
    pub(super) fn expire_streams(&mut self, now_ns: u64, records: &mut Vec<Record>) {
        let mut wholes = Vec::new();
        self.streams.expire(now_ns, &mut wholes);
        self.wholes(wholes, records);
    }

    fn wholes(&mut self, wholes: Vec<Whole>, records: &mut Vec<Record>) {
        for Whole { flow, kind, sent, boot_ns, bytes } in wholes {
            match kind {
                WholeKind::Dns { whole_bytes } => {
                    let message = dns::message(&bytes, whole_bytes);
                    self.dns_payload(&flow, sent, message, boot_ns, records);
                }
                WholeKind::ClientHello => self.client_hello(&flow, &bytes),
            }
        }
    }

    /// Records of queries to which no answer came. They bear the time of the query.
    pub(super) fn unanswered(&mut self, now_ns: u64, records: &mut Vec<Record>) {
        while let Some(query) = self.queries.unanswered(now_ns) {
            let body = self.dns_record(&query, None, None);
            records.push(self.record(query.sent_ns, body));
        }
    }

    fn dns_payload(
        &mut self,
        flow: &Flow,
        sent: bool,
        message: Result<Message, dns::DnsError>,
        boot_ns: u64,
        records: &mut Vec<Record>,
    ) {
        // Queries are told of where they are asked: a server's socket would tell each of this node a second time.
        if flow.side == Side::Server {
            return;
        }
        match message {
            Ok(message) if message.opcode != OPCODE_QUERY => {}
            Ok(message) if message.response && !sent => match self.dns_answer(flow, &message, boot_ns) {
                Some(body) => records.push(self.record(boot_ns, body)),
                None => self.payloads.malformed_dns += 1,
            },
            Ok(Message { response: false, id, question: Some(question), .. }) if sent => {
                let dns::Question { name, query_type, class: _ } = question;
                self.queries.put(Query { flow: *flow, sent_ns: boot_ns, id, name, query_type });
            }
            // Also what goes the wrong way, and a query for nothing.
            Ok(_) | Err(_) => self.payloads.malformed_dns += 1,
        }
    }

    /// None where it is not known what was answered.
    fn dns_answer(&mut self, flow: &Flow, message: &Message, boot_ns: u64) -> Option<RecordBody> {
        let question = message.question.as_ref();
        if let Some(query) = self.queries.answered(flow, message.id, question) {
            // An answer that nobody asked for teaches nothing: anybody can send one.
            if question.is_some_and(dns::Question::is_internet) {
                self.names.learn(&query.name, &message.answers, boot_ns);
            }
            let latency_us = boot_ns.saturating_sub(query.sent_ns) / 1000;
            return Some(self.dns_record(&query, Some(message), Some(latency_us)));
        }
        let dns::Question { name, query_type, class: _ } = question?.clone();
        let unseen = Query { flow: *flow, sent_ns: boot_ns, id: message.id, name, query_type };
        Some(self.dns_record(&unseen, Some(message), None))
    }

    fn dns_record(&mut self, query: &Query, answer: Option<&Message>, latency_us: Option<u64>) -> RecordBody {
        let Query { flow, sent_ns: _, id, name, query_type } = query;
        let (process, process_unknown) = self.owner_view(flow);
        // As of when the flow began, where that was seen: the kernel need not be asked again where it led.
        let (ends, led) = match self.flows.get(flow) {
            Some(open) => (open.said.judged.ends.clone(), open.said.judged.led.clone()),
            None => self.ends(flow),
        };
        let names = self.names_of(flow);
        let (client, server) = view::endpoints(&self.knowledge.directory, flow, &ends, led.as_ref(), &names);
        RecordBody::Dns(Box::new(DnsRecord {
            client,
            server,
            protocol: flow.protocol,
            process,
            process_unknown,
            netns: flow.netns,
            id: *id,
            query: name.clone(),
            query_type: query_type.clone(),
            rcode: answer.map(|answer| answer.rcode.clone()),
            answers: answer.map_or_else(Vec::new, |answer| answer.answers.clone()),
            latency_us,
            truncated: answer.is_some_and(|answer| answer.truncated),
        }))
    }

    fn client_hello(&mut self, flow: &Flow, bytes: &[u8]) {
        let hello = match ClientHello::read(bytes) {
            Ok(hello) => {
                self.payloads.client_hellos += 1;
                Hello::Seen(Arc::new(hello.view()))
            }
            Err(error) => {
                tracing::debug!(cookie = flow.cookie, "not a ClientHello: {error}");
                self.payloads.malformed_client_hellos += 1;
                Hello::Unreadable
            }
        };
        self.note_hello(flow, hello);
    }

    fn note_hello(&mut self, flow: &Flow, hello: Hello) {
        let has_ended = self.plaintext.hello(flow, &hello);
        if !has_ended && !self.flows.is_open(flow) {
            // Forgotten, or ahead of the record of its opening.
            let said = self.judge(flow);
            self.flows.put(flow, said);
        }
        self.flows.set_hello(flow, hello);
    }
}
