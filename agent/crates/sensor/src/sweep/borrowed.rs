//! Without an iterator: the sockets of every process are borrowed, one process after the other, and asked.

use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use agent_common::{CONNECTION_FOUND, SocketState, TcpRecord};

use crate::host::boot_ns;
use crate::sockets::{BPF_EXIST, Facts, State, Storage, internet_sockets, record};

/// How long one look may take before the rings are looked at again, milliseconds. A process is looked at as a whole.
const LOOK_MS: u64 = 10;

/// A round over all processes.
pub(super) struct Round {
    pids: Vec<u32>,
    seen: HashSet<u64>,
}

impl Round {
    pub(super) fn begin() -> std::io::Result<Self> {
        let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        let pids = fs::read_dir("/proc")?.flatten().filter_map(pid).collect();
        Ok(Self { pids, seen: HashSet::new() })
    }

    /// What moved on the sockets of the next processes; none at the end.
    pub(super) fn go_on(&mut self, storage: &mut Storage, age_ns: u64) -> Option<Vec<TcpRecord>> {
        let begun = Instant::now();
        let mut records = Vec::new();
        while begun.elapsed() < Duration::from_millis(LOOK_MS) {
            let Some(pid) = self.pids.pop() else {
                return if records.is_empty() { None } else { Some(records) };
            };
            internet_sockets(pid, &mut self.seen, |borrowed| {
                let socket = borrowed.is_tcp.then_some(&borrowed.socket);
                records.extend(socket.and_then(|socket| update(storage, socket, age_ns)));
            });
        }
        Some(records)
    }
}

/// As the kernel program of the iterator does it.
fn update(storage: &mut Storage, socket: &OwnedFd, age_ns: u64) -> Option<TcpRecord> {
    let facts = Facts::of(socket)?;
    let info = facts.open?;
    let state = storage.get(socket, 0).ok()?.0;
    let told = SocketState {
        told_ns: boot_ns(),
        told_acked: info.bytes_acked(),
        told_received: info.bytes_received(),
        told_retransmits: info.retransmits(),
        ..state
    };
    let counts = |state: &SocketState| (state.told_acked, state.told_received, state.told_retransmits);
    let begun = if state.flags & CONNECTION_FOUND == 0 { state.opened_ns } else { 0 };
    let since = if state.told_ns == 0 { begun } else { state.told_ns };
    if counts(&told) == counts(&state) || told.told_ns.saturating_sub(since) < age_ns {
        return None;
    }
    storage.insert(socket, State(told), BPF_EXIST).ok()?;
    record(&told, &facts, told.told_ns)
}
