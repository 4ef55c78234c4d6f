//! The maps in which the kernel side counts flows without connections, and drops: looked through at an interval, so that
//! what goes on is told now and then, and what has ended is told once and makes room.

use std::collections::BTreeMap;

use agent_common::{DatagramState, DropKey, DropState, FlowKey};
use aya::maps::{HashMap, MapData, MapError};
use watchfire_model::{Body, CloseReason, Flow, FlowDrop, FlowEnd, Observation, Origin};

use crate::decode::{Context, FlowNote, datagram_counters, datagram_flow, drop_flow};
use crate::drop_reasons::DropReasons;
use crate::wire_maps::{DatagramStatePod, DropKeyPod, DropStatePod, FlowKeyPod};

/// A flow in which nothing was sent or received for this long has ended, nanoseconds.
const IDLE_NS: u64 = 30_000_000_000;
/// Packets that are dropped after a pause of this length are told anew, nanoseconds.
const DROP_IDLE_NS: u64 = 10_000_000_000;

/// Both maps, and what was told of them.
pub(crate) struct FlowMaps {
    datagrams: HashMap<MapData, FlowKeyPod, DatagramStatePod>,
    drops: HashMap<MapData, DropKeyPod, DropStatePod>,
    reasons: DropReasons,
    context: Context,
    /// When this agent began to look, nanoseconds of CLOCK_BOOTTIME.
    since_ns: u64,
    /// Between two updates of one flow, nanoseconds; 0 for none.
    update_interval_ns: u64,
    flows: BTreeMap<FlowKey, Told>,
    drops_told: BTreeMap<DropKey, u64>,
}

/// What was told of a flow.
struct Told {
    flow: Flow,
    last_ns: u64,
    updated_ns: u64,
}

impl FlowMaps {
    pub(crate) fn new(
        datagrams: HashMap<MapData, FlowKeyPod, DatagramStatePod>,
        drops: HashMap<MapData, DropKeyPod, DropStatePod>,
        reasons: DropReasons,
        context: Context,
        (since_ns, update_interval_ns): (u64, u64),
    ) -> Self {
        Self {
            datagrams,
            drops,
            reasons,
            context,
            since_ns,
            update_interval_ns,
            flows: BTreeMap::new(),
            drops_told: BTreeMap::new(),
        }
    }

    /// Reads by this from now on.
    pub(crate) const fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// Takes in what a record says.
    pub(crate) fn take(&mut self, boot_ns: u64, note: FlowNote, observations: &mut Vec<Observation>) {
        match note {
            FlowNote::Begun(key, flow) => self.begun(key, flow, observations),
            FlowNote::Released(cookie) => self.released(cookie, boot_ns, observations),
            FlowNote::Dropped(key, flow) => {
                self.drops_told.insert(key, 1);
                let dropped = FlowDrop { reason: self.reasons.name(key.reason), packets: 1 };
                observations.push(Observation { boot_ns, body: Body::FlowDropped(flow, dropped) });
            }
        }
    }

    fn begun(&mut self, key: FlowKey, flow: Flow, observations: &mut Vec<Observation>) {
        let boot_ns = flow.opened_boot_ns;
        // A look through the map may have come before the record.
        if self.flows.insert(key, Told { flow, last_ns: boot_ns, updated_ns: boot_ns }).is_none() {
            observations.push(Observation { boot_ns, body: Body::FlowOpen(flow) });
        }
    }

    fn released(&mut self, cookie: u64, boot_ns: u64, observations: &mut Vec<Observation>) {
        let first = FlowKey { cookie, ..FlowKey::default() };
        let keys: Vec<FlowKey> =
            self.flows.range(first..).map(|(key, _)| *key).take_while(|key| key.cookie == cookie).collect();
        for key in keys {
            if let Ok(DatagramStatePod(state)) = self.datagrams.get(&FlowKeyPod(key), 0) {
                self.ended(key, &state, CloseReason::Released, boot_ns, observations);
            } else {
                self.flows.remove(&key);
            }
        }
    }

    fn ended(
        &mut self,
        key: FlowKey,
        state: &DatagramState,
        reason: CloseReason,
        boot_ns: u64,
        observations: &mut Vec<Observation>,
    ) {
        // Removed by the last agent that was told of the socket's end, or never there.
        let _ = self.datagrams.remove(&FlowKeyPod(key));
        let Some(Told { flow, .. }) = self.flows.remove(&key) else { return };
        let end = FlowEnd {
            reason,
            established: true,
            duration_ns: Some(state.last_ns.saturating_sub(state.first_ns)),
            counters: datagram_counters(state),
        };
        observations.push(Observation { boot_ns, body: Body::FlowClose(flow, end) });
    }

    /// Looks through both maps.
    pub(crate) fn sweep(&mut self, now_ns: u64, observations: &mut Vec<Observation>) -> Result<(), MapError> {
        self.sweep_datagrams(now_ns, observations)?;
        self.sweep_drops(now_ns, observations)
    }

    fn sweep_datagrams(&mut self, now_ns: u64, observations: &mut Vec<Observation>) -> Result<(), MapError> {
        let entries = self.datagrams.iter().collect::<Result<Vec<_>, _>>()?;
        for (FlowKeyPod(key), DatagramStatePod(state)) in entries {
            if !self.flows.contains_key(&key) {
                // Its record was lost, or told by the agent before this one.
                let mut flow = datagram_flow(&key, &state.owner, state.flags, state.first_ns, self.context);
                if state.first_ns < self.since_ns {
                    flow.origin = Origin::BeforeStart;
                }
                self.begun(key, flow, observations);
            }
            if now_ns.saturating_sub(state.last_ns) > IDLE_NS {
                self.ended(key, &state, CloseReason::Idle, now_ns, observations);
                continue;
            }
            let interval = self.update_interval_ns;
            let Some(told) = self.flows.get_mut(&key) else { continue };
            let is_due = interval > 0 && now_ns.saturating_sub(told.updated_ns) >= interval;
            if is_due && state.last_ns > told.last_ns {
                (told.last_ns, told.updated_ns) = (state.last_ns, now_ns);
                let body = Body::FlowUpdate(told.flow, datagram_counters(&state));
                observations.push(Observation { boot_ns: now_ns, body });
            }
        }
        Ok(())
    }

    fn sweep_drops(&mut self, now_ns: u64, observations: &mut Vec<Observation>) -> Result<(), MapError> {
        let entries = self.drops.iter().collect::<Result<Vec<_>, _>>()?;
        for (DropKeyPod(key), DropStatePod(state)) in entries {
            if now_ns.saturating_sub(state.last_ns) <= DROP_IDLE_NS {
                continue;
            }
            let _ = self.drops.remove(&DropKeyPod(key));
            let told = self.drops_told.remove(&key).unwrap_or(0);
            let DropState { packets, first_ns, owner, .. } = state;
            if packets > told {
                let flow = drop_flow(&key, &owner, first_ns, self.context);
                let dropped = FlowDrop { reason: self.reasons.name(key.reason), packets };
                observations.push(Observation { boot_ns: now_ns, body: Body::FlowDropped(flow, dropped) });
            }
        }
        Ok(())
    }
}
