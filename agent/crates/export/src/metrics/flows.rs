//! Flows of the node.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use watchfire_model::{BackendView, FlowRecord, FlowStage, Outcome, OwnerUnknown, Protocol, Side};

use super::labels::{self, Fixed};

#[derive(Debug)]
pub(super) struct FlowMetrics {
    flows: Family<Fixed<4>, Counter>,
    owner_unknown: Family<Fixed<1>, Counter>,
    service_backends: Family<Fixed<1>, Counter>,
    bytes_sent: Counter,
    bytes_received: Counter,
    plaintext: Counter,
}

impl FlowMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let bytes = Family::<Fixed<1>, Counter>::default();
        let metrics = Self {
            flows: Family::default(),
            owner_unknown: Family::default(),
            service_backends: Family::default(),
            bytes_sent: bytes.get_or_create_owned(&[("direction", "sent")]),
            bytes_received: bytes.get_or_create_owned(&[("direction", "received")]),
            plaintext: Counter::default(),
        };
        registry.register(
            "flows",
            "Flow records by the moment they tell, the observed end, and the verdict of policy intent. A \
             connection between two pods of one node has both its ends here",
            metrics.flows.clone(),
        );
        registry.register_with_unit(
            "flow",
            "Payload of ended connections as the observed ends counted it",
            Unit::Bytes,
            bytes,
        );
        registry.register(
            "flow_plaintext",
            "Ended connections to a port for TLS whose client sent something else, once per connection end",
            metrics.plaintext.clone(),
        );
        registry.register(
            "flow_owner_unknown",
            "Flow records without a process, by reason",
            metrics.owner_unknown.clone(),
        );
        registry.register(
            "service_backends",
            "Connections to services by how the backend that they led to is known",
            metrics.service_backends.clone(),
        );
        // TCP alone: zeros for protocols that no probe watches would claim that they are watched.
        for (stage, side, outcome) in every_flow() {
            drop(metrics.flows.get_or_create(&flow_labels(stage, side, Protocol::Tcp, outcome)));
        }
        for reason in OwnerUnknown::ALL {
            drop(metrics.owner_unknown.get_or_create(&[("reason", reason.as_str())]));
        }
        for by in BackendView::BY {
            drop(metrics.service_backends.get_or_create(&[("by", by)]));
        }
        metrics
    }

    pub(super) fn observe(&self, flow: &FlowRecord) {
        let labels = flow_labels(flow.stage, flow.side, flow.protocol, flow.verdict.outcome);
        self.flows.get_or_create(&labels).inc();
        if let Some(reason) = flow.process_unknown {
            self.owner_unknown.get_or_create(&[("reason", reason.as_str())]).inc();
        }
        // Updates tell totals so far, of which the end tells again.
        let ended = matches!(flow.stage, FlowStage::Close | FlowStage::Failed);
        if let Some(counters) = flow.counters.filter(|_| ended) {
            self.bytes_sent.inc_by(counters.bytes_sent);
            self.bytes_received.inc_by(counters.bytes_received);
        }
        if ended && flow.plaintext {
            self.plaintext.inc();
        }
        if begins(flow)
            && let Some(backend) = flow.server.backend
        {
            self.service_backends.get_or_create(&[("by", backend.by)]).inc();
        }
    }
}

/// Whether a record tells of a flow for the first time. The others repeat the verdict that this was counted with.
pub(super) const fn begins(flow: &FlowRecord) -> bool {
    matches!(flow.stage, FlowStage::Open | FlowStage::Found | FlowStage::Failed)
}

fn every_flow() -> impl Iterator<Item = (FlowStage, Side, Outcome)> {
    FlowStage::ALL.into_iter().flat_map(|stage| {
        [Side::Client, Side::Server]
            .into_iter()
            .flat_map(move |side| Outcome::ALL.into_iter().map(move |outcome| (stage, side, outcome)))
    })
}

const fn flow_labels(stage: FlowStage, side: Side, protocol: Protocol, outcome: Outcome) -> Fixed<4> {
    [
        ("stage", stage.as_str()),
        ("side", labels::side(side)),
        ("protocol", labels::protocol(protocol)),
        ("verdict", outcome.as_str()),
    ]
}
