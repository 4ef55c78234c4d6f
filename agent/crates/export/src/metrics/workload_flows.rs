//! Flows by who stands at their ends.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use watchfire_model::{DnsRecord, FlowCounters, FlowRecord, Packets, Side};

use super::dns;
use super::labels;
use super::series::{OpenFamily, SeriesBudget};
use super::workloads::{Ends, OfOne, OfPair, Workload, Workloads};

/// Upper bounds of round-trip times, seconds: within a node to across the world.
const RTT_SECONDS: [f64; 8] = [0.0001, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.3, 1.0];
/// Upper bounds of segments that one connection had to send again.
const RETRANSMITS: [f64; 5] = [0.0, 1.0, 5.0, 20.0, 100.0];
const US_PER_SECOND: f64 = 1_000_000.0;

#[derive(Debug)]
pub(super) struct WorkloadFlowMetrics {
    flows: OpenFamily<OfPair<3>, Counter>,
    bytes: OpenFamily<OfOne<2>, Counter>,
    ended: OpenFamily<OfOne<2>, Counter>,
    rtt: OpenFamily<OfOne<1>, Histogram>,
    retransmits: OpenFamily<OfOne<1>, Histogram>,
    tls: OpenFamily<OfOne<2>, Counter>,
    dns: OpenFamily<OfOne<1>, Counter>,
}

impl WorkloadFlowMetrics {
    pub(super) fn register(registry: &mut Registry, budget: &SeriesBudget) -> Self {
        Self {
            flows: OpenFamily::counter(
                registry,
                budget,
                "workload_flows",
                "Connections and other flows that began or failed to, by who stands at their ends and the verdict of \
                 policy intent, once per observed end",
            ),
            bytes: OpenFamily::counter(
                registry,
                budget,
                "workload_flow_bytes",
                "Payload of ended flows by the workload at the observed end",
            ),
            ended: OpenFamily::counter(
                registry,
                budget,
                "workload_flows_ended",
                "Flows that ended or failed, by the workload at the observed end and how they ended",
            ),
            rtt: OpenFamily::histogram(
                registry,
                budget,
                "workload_rtt_seconds",
                "Smoothed round-trip time of ended TCP connections by the workload at the observed end",
                RTT_SECONDS.len(),
                || Histogram::new(RTT_SECONDS),
            ),
            retransmits: OpenFamily::histogram(
                registry,
                budget,
                "workload_retransmitted_segments",
                "Segments that an ended TCP connection had to send again, by the workload at the observed end",
                RETRANSMITS.len(),
                || Histogram::new(RETRANSMITS),
            ),
            tls: OpenFamily::counter(
                registry,
                budget,
                "workload_tls_flows",
                "Ended connections whose client opened TLS, by the highest version that it offered, and those in plaintext \
                 to a port for TLS",
            ),
            dns: OpenFamily::counter(
                registry,
                budget,
                "workload_dns_queries",
                "DNS queries by the workload that asked and how they were answered; none: no answer was seen",
            ),
        }
    }

    /// Removes the series of workloads that are gone.
    pub(super) fn sweep(&self) {
        let Self { flows, bytes, ended, rtt, retransmits, tls, dns } = self;
        flows.sweep();
        bytes.sweep();
        ended.sweep();
        rtt.sweep();
        retransmits.sweep();
        tls.sweep();
        dns.sweep();
    }

    pub(super) fn observe_dns(&self, record: &DnsRecord, workloads: &Workloads) {
        let workload = match &record.process {
            Some(process) => workloads.of_process(process),
            None => workloads.of_end(&record.client),
        };
        self.dns.add(&OfOne { workload, closed: [("rcode", dns::rcode(record))] }, 1);
    }

    pub(super) fn began(&self, flow: &FlowRecord, ends: &Ends) {
        let closed = [
            ("side", labels::side(flow.side)),
            ("protocol", labels::protocol(flow.protocol)),
            ("verdict", flow.verdict.outcome.as_str()),
        ];
        self.flows.add(&OfPair { ends: ends.clone(), closed }, 1);
    }

    pub(super) fn ended(&self, flow: &FlowRecord, workloads: &Workloads) {
        let here = here(flow, workloads);
        let side = ("side", labels::side(flow.side));
        let of = |label| OfOne { workload: Arc::clone(&here), closed: [side, label] };
        if let Some(reason) = flow.close_reason {
            self.ended.add(&of(("reason", reason.as_str())), 1);
        }
        if let Some(version) = tls(flow) {
            self.tls.add(&of(("opening", version)), 1);
        }
        let Some(FlowCounters { bytes_sent, bytes_received, packets }) = flow.counters else { return };
        self.bytes.add(&of(("direction", "sent")), bytes_sent);
        self.bytes.add(&of(("direction", "received")), bytes_received);
        if let Packets::Segments { retransmits, srtt_us, .. } = packets {
            let here = OfOne { workload: Arc::clone(&here), closed: [side] };
            self.retransmits.observe(&here, f64::from(retransmits));
            // 0: nothing was sent that could have been acknowledged.
            if srtt_us > 0 {
                self.rtt.observe(&here, f64::from(srtt_us) / US_PER_SECOND);
            }
        }
    }
}

/// Who is at the observed end: the pod of the process where it is known, since pods may share their node's address.
fn here(flow: &FlowRecord, workloads: &Workloads) -> Arc<Workload> {
    match flow.process.as_ref().filter(|process| process.pod.is_some()) {
        Some(process) => workloads.of_process(process),
        None => workloads.of_end(if flow.side == Side::Client { &flow.client } else { &flow.server }),
    }
}

/// What opened TLS: a closed set, whatever a client claims to offer.
fn tls(flow: &FlowRecord) -> Option<&'static str> {
    const VERSIONS: [&str; 4] = ["TLS 1.3", "TLS 1.2", "TLS 1.1", "TLS 1.0"];
    if flow.plaintext {
        return Some("plaintext");
    }
    let offered = &flow.tls.as_ref()?.versions;
    Some(VERSIONS.into_iter().find(|version| offered.iter().any(|offer| offer == version)).unwrap_or("other"))
}
