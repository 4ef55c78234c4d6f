//! Taking records out of the rings.

use watchfire_model::{Body, ExecId, Observation, Owner, OwnerUnknown, RecordKind, Side};

use super::{BATCH_RECORDS_MAX, Reader};
use crate::decode::{DecodeError, FlowNote, decode, flow_note};

/// Exits remembered to tell a second record of the same end.
const EXITS_REMEMBERED: usize = 64;

/// What a record says.
enum Read {
    /// Something that is told as it is.
    Observation((RecordKind, Observation)),
    /// Something about a flow that is counted in a map.
    Note((RecordKind, u64, FlowNote)),
}

/// The ends of processes told last. Where the kernel does not say which thread was the last, two that end at once both
/// report it.
#[derive(Default)]
pub(super) struct RecentExits {
    exits: Vec<ExecId>,
    next: usize,
}

impl RecentExits {
    fn is_repeated(&mut self, body: &Body) -> bool {
        let Body::Exit(exit) = body else { return false };
        if self.exits.contains(&exit.process) {
            return true;
        }
        if self.exits.len() < EXITS_REMEMBERED {
            self.exits.push(exit.process);
        } else {
            self.exits[self.next] = exit.process;
            self.next = (self.next + 1) % EXITS_REMEMBERED;
        }
        false
    }
}

impl Reader {
    /// Everything that is in the rings now.
    pub(crate) fn take_all(&mut self) -> Vec<Observation> {
        let mut observations = Vec::new();
        loop {
            let (taken, more) = self.take_batch();
            observations.extend(more);
            if taken < BATCH_RECORDS_MAX {
                return observations;
            }
        }
    }

    /// Up to a batch of records of every ring, the priority ring first, in the order of their making: how many were
    /// taken, and the observations among them.
    pub(crate) fn take_batch(&mut self) -> (usize, Vec<Observation>) {
        let mut observations = Vec::new();
        let mut taken = 0;
        for index in 0..self.rings.len() {
            let end = taken + BATCH_RECORDS_MAX;
            while taken < end {
                let Some(ring) = self.rings.get_mut(index) else { break };
                let Some(record) = ring.next() else { break };
                taken += 1;
                // Room that was reserved may be larger than what was written into it.
                let said = record.first_chunk().map_or(0, |size| u32::from_ne_bytes(*size) as usize);
                let record_bytes = record.get(..said).unwrap_or(&record);
                let read = match flow_note(record_bytes, self.context) {
                    Some(note) => note.map(Read::Note),
                    None => decode(record_bytes, self.context).map(Read::Observation),
                };
                drop(record);
                self.take_in(read, &mut observations);
            }
        }
        // Each ring is in order already; between them, the order is that of time.
        observations.sort_by_key(|observation| observation.boot_ns);
        (taken, observations)
    }

    fn take_in(&mut self, read: Result<Read, DecodeError>, observations: &mut Vec<Observation>) {
        match read {
            Ok(Read::Note((kind, boot_ns, note))) => {
                self.account.count_received(kind);
                self.take_note(boot_ns, note, observations);
            }
            Ok(Read::Observation((kind, mut observation))) => {
                self.account.count_received(kind);
                if !self.told_ns.contains(&observation.boot_ns) {
                    return;
                }
                self.fill_in_owner(&mut observation.body);
                if !self.recent_exits.is_repeated(&observation.body) {
                    observations.push(observation);
                }
            }
            Err(error) => {
                self.account.count_malformed();
                tracing::error!("a kernel record was refused: {error}");
            }
        }
    }

    fn take_note(&mut self, boot_ns: u64, note: FlowNote, observations: &mut Vec<Observation>) {
        if !self.told_ns.contains(&boot_ns) {
            return;
        }
        match (&mut self.flow_maps, note) {
            (Some(maps), note) => maps.take(boot_ns, note, observations),
            (None, FlowNote::Begun(_, flow)) => {
                observations.push(Observation { boot_ns, body: Body::FlowOpen(flow) });
            }
            (None, FlowNote::Released(_) | FlowNote::Dropped(..)) => {}
        }
    }

    /// What an older multipath listener accepts has no owner on the socket. One that began to listen since has: so
    /// the port is still the older one's.
    pub(super) fn fill_in_owner(&self, body: &mut Body) {
        let (Body::FlowOpen(flow) | Body::FlowUpdate(flow, _) | Body::FlowClose(flow, _)) = body else {
            return;
        };
        if flow.side != Side::Server || flow.owner != Owner::Unknown(OwnerUnknown::BeforeStart) {
            return;
        }
        if let Some(listener) = self.unmarked.get(&(flow.netns, flow.server.port())) {
            flow.owner = Owner::Known(listener.process);
            flow.cgroup_id = listener.cgroup_id;
        }
    }
}
