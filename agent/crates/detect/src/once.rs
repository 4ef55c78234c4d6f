//! A flow that goes on says the same again and again, and is counted once.

use std::collections::HashSet;
use std::net::SocketAddr;

use watchfire_model::{FlowRecord, FlowStage};

/// Most flows that go on and were counted. Beyond that a flow is counted when it ends.
const COUNTED_MAX: usize = 16_384;

/// Flows that were counted while they went on.
#[derive(Default, Debug)]
pub(crate) struct Once {
    counted: HashSet<(u64, SocketAddr, SocketAddr)>,
}

impl Once {
    /// Whether the flow was not counted before. Its end is the last that is asked about.
    pub(crate) fn is_first(&mut self, flow: &FlowRecord) -> bool {
        let flow_key = (flow.cookie, flow.client.address, flow.server.address);
        if flow.stage == FlowStage::Close {
            return !self.counted.remove(&flow_key);
        }
        self.counted.len() < COUNTED_MAX && self.counted.insert(flow_key)
    }
}
