//! The metrics of Cilium's Hubble, by its names and labels, for dashboards and alerts that ask for those.
//!
//! Facts: cilium, `pkg/hubble/metrics/{flow,drop,policy,dns,port-distribution,flows-to-world}/handler.go`. What Hubble counts for
//! packets is counted for records here. `hubble_tcp_flags_total` and `hubble_http_*` are left out: neither flags nor HTTP are
//! seen.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use watchfire_model::{
    Direction, DnsRecord, FlowRecord, FlowStage, LossRecord, Outcome, Protocol, Side, SideVerdict,
};

use super::flows::begins;
use super::labels::{self, Fixed};
use super::names::{NameTable, Named};
use super::series::{Foldable, OVERFLOW, OpenFamily, SeriesBudget};

/// Ports with a series of their own for each protocol: one scan of ports names more.
pub const PORT_LABELS_MAX: usize = 1000;
/// Reasons of drops with a series of their own; kernels have about a hundred.
const REASONS_MAX: usize = 256;
/// Types of DNS questions and answers with a series of their own.
const DNS_TYPES: [&str; 14] =
    ["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "HTTPS", "SVCB", "CAA", "NAPTR", "ANY"];
/// Numbers of addresses in an answer; more are told as the last.
const IPS: [&str; 17] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"];

#[derive(Debug)]
pub(super) struct HubbleMetrics {
    flows: Family<Fixed<4>, Counter>,
    drops: Family<Drop, Counter>,
    reasons: RwLock<HashSet<Arc<str>>>,
    verdicts: Family<Fixed<3>, Counter>,
    queries: Family<Fixed<3>, Counter>,
    responses: Family<Fixed<3>, Counter>,
    response_types: Family<Fixed<2>, Counter>,
    by_port: OpenFamily<OfPort, Counter>,
    ports: NameTable,
    to_world: Family<Fixed<2>, Counter>,
    lost: Counter,
}

impl HubbleMetrics {
    /// `registry` is the one whose names have no prefix.
    pub(super) fn register(registry: &mut Registry, budget: &SeriesBudget) -> Self {
        let lost = Family::<Fixed<1>, Counter>::default();
        let metrics = Self {
            flows: Family::default(),
            drops: Family::default(),
            reasons: RwLock::default(),
            verdicts: Family::default(),
            queries: Family::default(),
            responses: Family::default(),
            response_types: Family::default(),
            by_port: OpenFamily::counter(
                registry,
                &budget.apart(),
                "hubble_port_distribution",
                "Flows that began and were not denied, by the server's port; ports beyond the limit share \
                 port=\"overflow\"",
            ),
            ports: NameTable::new(PORT_LABELS_MAX),
            to_world: Family::default(),
            lost: lost.get_or_create_owned(&[("source", "perf_event_ring_buffer")]),
        };
        registry.register(
            "hubble_flows_processed",
            "Total number of flow and DNS records",
            metrics.flows.clone(),
        );
        registry.register(
            "hubble_drop",
            "Flows of which the kernel threw packets away",
            metrics.drops.clone(),
        );
        registry.register(
            "hubble_policy_verdicts",
            "Verdicts of policy intent by direction; audit: it would be denied",
            metrics.verdicts.clone(),
        );
        registry.register("hubble_dns_queries", "DNS queries", metrics.queries.clone());
        registry.register(
            "hubble_dns_responses",
            "DNS queries that were answered",
            metrics.responses.clone(),
        );
        registry.register(
            "hubble_dns_response_types",
            "Resource records in answers of DNS by type",
            metrics.response_types.clone(),
        );
        registry.register(
            "hubble_flows_to_world",
            "Flows that began and lead out of the cluster",
            metrics.to_world.clone(),
        );
        registry.register("hubble_lost_events", "Kernel records that found no room in a ring", lost);
        metrics
    }

    pub(super) fn observe(&self, flow: &FlowRecord) {
        let protocol = protocol(flow.protocol);
        let verdict = verdict(flow);
        let (kind, subtype) = match flow.stage {
            FlowStage::Open | FlowStage::Found | FlowStage::Failed | FlowStage::VerdictChanged => {
                ("PolicyVerdict", "")
            }
            FlowStage::Close | FlowStage::Update if flow.side == Side::Server => ("Trace", "to-endpoint"),
            FlowStage::Close | FlowStage::Update => ("Trace", "from-endpoint"),
            FlowStage::Dropped => ("Drop", ""),
        };
        let labels = [("protocol", protocol), ("type", kind), ("subtype", subtype), ("verdict", verdict)];
        self.flows.get_or_create(&labels).inc();
        if let Some(drop) = &flow.drop {
            self.drops.get_or_create(&Drop { reason: self.reason(&drop.reason), protocol }).inc();
        }
        if !begins(flow) {
            return;
        }
        for (direction, half) in
            [(Direction::Egress, &flow.verdict.egress), (Direction::Ingress, &flow.verdict.ingress)]
        {
            // Which part of a rule decided is not kept, so how it matched is not told.
            let (matched, action) = match half {
                SideVerdict::Allow { .. } => ("all", "forwarded"),
                SideVerdict::DenyRule { .. } => ("all", "audit"),
                SideVerdict::DenyDefault { .. } => ("none", "audit"),
                SideVerdict::NotCovered | SideVerdict::Exempt { .. } | SideVerdict::Unknown { .. } => {
                    continue;
                }
            };
            let direction = labels::direction(direction);
            self.verdicts
                .get_or_create(&[("direction", direction), ("match", matched), ("action", action)])
                .inc();
        }
        if flow.verdict.outcome != Outcome::Denied {
            let port = if flow.icmp.is_some() { 0 } else { flow.server.address.port() };
            let port = self.ports.get(("", "", &port.to_string()));
            self.by_port.add(&OfPort { protocol, port }, 1);
        }
        if flow.server.kind == "world" {
            self.to_world.get_or_create(&[("protocol", protocol), ("verdict", verdict)]).inc();
        }
    }

    pub(super) fn observe_dns(&self, dns: &DnsRecord) {
        let labels = [("protocol", "DNS"), ("type", "L7"), ("subtype", "DNS"), ("verdict", "FORWARDED")];
        self.flows.get_or_create(&labels).inc();
        let types = ("qtypes", dns_type(&dns.query_type));
        self.queries.get_or_create(&[("rcode", ""), types, ("ips_returned", IPS[0])]).inc();
        if dns.rcode.is_none() {
            return;
        }
        let is_address = |kind: &str| kind == "A" || kind == "AAAA";
        let addresses = dns.answers.iter().filter(|answer| is_address(&answer.record_type)).count();
        let addresses = ("ips_returned", IPS[addresses.min(IPS.len() - 1)]);
        self.responses.get_or_create(&[("rcode", rcode(dns)), types, addresses]).inc();
        for answer in &dns.answers {
            self.response_types.get_or_create(&[("type", dns_type(&answer.record_type)), types]).inc();
        }
    }

    pub(super) fn observe_loss(&self, loss: &LossRecord) {
        self.lost.inc_by(loss.lost);
    }

    /// Forgets ports that are silent for too long, and removes their series.
    pub(super) fn forget_silent(&self, running_s: u64) {
        if self.ports.forget_silent(running_s) {
            self.by_port.sweep();
        }
    }

    fn reason(&self, reason: &str) -> Arc<str> {
        let known = self.reasons.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(reason) {
            return Arc::clone(known);
        }
        drop(known);
        let mut known = self.reasons.write().unwrap_or_else(PoisonError::into_inner);
        let reason: Arc<str> = if known.len() < REASONS_MAX { reason.into() } else { OVERFLOW.into() };
        known.insert(Arc::clone(&reason));
        reason
    }
}

/// As Hubble names answers, in words (cilium, `pkg/hubble/metrics/dns/rcode.go`).
fn rcode(dns: &DnsRecord) -> &'static str {
    match super::dns::rcode(dns) {
        "NOERROR" => "No Error",
        "FORMERR" => "Format Error",
        "SERVFAIL" => "Server Failure",
        "NXDOMAIN" => "Non-Existent Domain",
        "NOTIMP" => "Not Implemented",
        "REFUSED" => "Query Refused",
        _ => "other",
    }
}

fn dns_type(name: &str) -> &'static str {
    DNS_TYPES.into_iter().find(|known| *known == name).unwrap_or("other")
}

/// Nothing is enforced here: what policy would deny is audited, as Cilium says it.
fn verdict(flow: &FlowRecord) -> &'static str {
    match (flow.stage, flow.verdict.outcome) {
        (FlowStage::Dropped, _) => "DROPPED",
        (_, Outcome::Denied) => "AUDIT",
        (_, Outcome::Allowed | Outcome::NotCovered | Outcome::Unknown) => "FORWARDED",
    }
}

const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Icmp => "ICMPv4",
        other => labels::protocol(other),
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Drop {
    reason: Arc<str>,
    protocol: &'static str,
}

impl EncodeLabelSet for Drop {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("reason", &*self.reason).encode(encoder.encode_label())?;
        ("protocol", self.protocol).encode(encoder.encode_label())
    }
}

/// Protocol and port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct OfPort {
    protocol: &'static str,
    port: Arc<Named>,
}

impl EncodeLabelSet for OfPort {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (.., port) = self.port.names();
        ("protocol", self.protocol).encode(encoder.encode_label())?;
        ("port", port).encode(encoder.encode_label())
    }
}

impl Foldable for OfPort {
    fn is_folded(&self) -> bool {
        self.port.is_overflow()
    }

    fn folded(&self) -> Self {
        Self { port: Named::overflow(), ..self.clone() }
    }

    fn is_gone(&self) -> bool {
        self.port.is_gone()
    }
}
