//! TCP sockets that are older than the agent: their owners are written onto them, so that what they accept from now
//! on is known, and their open connections are reported as found, and marked, so that their end is told.

mod borrow;
mod facts;
mod tcp_info;

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, OwnedFd};

use agent_common::{CONNECTION_FOUND, FLAG_CLIENT, OWNER_BEFORE_START, OWNER_KNOWN, SocketState};
use aya::maps::{Map, MapData, MapError, SkStorage};
use watchfire_model::{Exec, ExecId, Observation};

use crate::decode::{Context, found};

pub(crate) use borrow::{Borrowed, internet_sockets};
pub(crate) use facts::{Facts, record};

/// `BPF_NOEXIST`: an owner that the kernel side has written meanwhile is the better one.
const BPF_NOEXIST: u64 = 1;
/// `BPF_EXIST`
pub(crate) const BPF_EXIST: u64 = 2;

/// The value of the socket map, as aya takes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct State(pub(crate) SocketState);

// SAFETY: integers only, without padding.
unsafe impl aya::Pod for State {}

/// The socket map.
pub(crate) type Storage = SkStorage<MapData, State>;

/// Listeners on whose connections no owner can be written, by network namespace and port.
pub(crate) type UnmarkedListeners = HashMap<(u32, u16), Listener>;

/// Who listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Listener {
    pub(crate) process: ExecId,
    pub(crate) cgroup_id: u64,
}

/// A socket, and where it is to be had again.
struct Found<'a> {
    exec: &'a Exec,
    fd: i32,
    facts: Facts,
}

/// The socket map, and another descriptor of it.
pub(crate) fn storage(map: Map) -> Result<(Storage, Option<OwnedFd>), MapError> {
    let fd = match &map {
        Map::SkStorage(data) => data.fd().as_fd().try_clone_to_owned().ok(),
        _ => None,
    };
    Ok((SkStorage::try_from(map)?, fd))
}

/// Takes in the sockets of `processes`. Answers the connections found, and the listeners that could not be marked.
pub(crate) fn take_in(
    storage: &mut Storage,
    processes: &HashMap<u32, Exec>,
    boot_ns: u64,
    context: Context,
    with_datagrams: bool,
) -> (Vec<Observation>, UnmarkedListeners) {
    take_in_those(storage, processes, boot_ns, context, with_datagrams, |_| true)
}

/// The same in an agent that runs: what it knows of is not told again.
pub(crate) fn take_in_later(
    storage: &mut Storage,
    processes: &HashMap<u32, Exec>,
    boot_ns: u64,
    context: Context,
    with_datagrams: bool,
) -> (Vec<Observation>, UnmarkedListeners) {
    let is_new = |state: &SocketState| state.opened_ns == boot_ns && state.flags & CONNECTION_FOUND != 0;
    take_in_those(storage, processes, boot_ns, context, with_datagrams, is_new)
}

fn take_in_those(
    storage: &mut Storage,
    processes: &HashMap<u32, Exec>,
    boot_ns: u64,
    context: Context,
    with_datagrams: bool,
    is_told: impl Fn(&SocketState) -> bool,
) -> (Vec<Observation>, UnmarkedListeners) {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for (&pid, exec) in processes {
        for Borrowed { fd, socket, is_tcp } in internet_sockets(pid, &mut seen) {
            let facts = if is_tcp { Facts::of(&socket) } else { None };
            if facts.is_none() && (is_tcp || !with_datagrams) {
                continue;
            }
            // Connections are marked when it is known who listens.
            if facts.as_ref().is_none_or(|facts| facts.open.is_none())
                && let Err(error) = storage.insert(&socket, State(owner(exec)), BPF_NOEXIST)
            {
                tracing::debug!("no owner on a socket of process {pid}: {error}");
            }
            all.extend(facts.map(|facts| Found { exec, fd, facts }));
        }
    }
    let listening: HashSet<(u32, u16)> = (all.iter())
        .filter(|found| found.facts.listening)
        .map(|found| (found.exec.namespaces.net, found.facts.local.port()))
        .collect();
    let connections = (all.iter())
        .filter(|found| found.facts.open.is_some())
        .filter_map(|connection| {
            let listens =
                listening.contains(&(connection.exec.namespaces.net, connection.facts.local.port()));
            let (state, facts) =
                mark(storage, connection, listens, boot_ns).filter(|(state, _)| is_told(state))?;
            Some(found(&record(&state, &facts, boot_ns)?, boot_ns, context))
        })
        .collect();
    let unmarked = all.iter().filter(|found| found.facts.listening && found.facts.multipath);
    let unmarked = unmarked.map(|found| (found.exec, found.facts.local.port()));
    (connections, unmarked_listeners(unmarked))
}

/// Marks a connection as found, unless the kernel side has seen its beginning: what is on the socket then, and what it counts.
/// None where it has ended meanwhile.
fn mark(
    storage: &mut Storage,
    connection: &Found<'_>,
    listens: bool,
    boot_ns: u64,
) -> Option<(SocketState, Facts)> {
    let Found { exec, fd, facts } = connection;
    let socket = borrow::again(exec.process.pid, *fd)?;
    let now = Facts::of(&socket).filter(|now| now.cookie == facts.cookie)?;
    let mut state = owner(exec);
    let known = storage.get(&socket, 0).ok().map(|state| state.0);
    if let Some(known) = known {
        if known.opened_ns != 0 {
            let owned = known.flags & OWNER_KNOWN != 0;
            return Some((if owned { known } else { with_owner(known, &state) }, now));
        }
        if known.flags & OWNER_KNOWN != 0 {
            state = known;
        }
    }
    state.flags |= CONNECTION_FOUND;
    state.opened_ns = boot_ns;
    state.tcp_flags = now.side(now.open?, listens);
    // A SYN that is counted is none of the payload that an update is about.
    state.told_acked = u64::from(state.tcp_flags & FLAG_CLIENT != 0);
    let flags = if known.is_some() { BPF_EXIST } else { BPF_NOEXIST };
    if let Err(error) = storage.insert(&socket, State(state), flags) {
        tracing::debug!("no mark on a connection of process {}: {error}", exec.process.pid);
    }
    Some((state, now))
}

/// A port on which several processes listen tells of none of them.
fn unmarked_listeners<'a>(listeners: impl Iterator<Item = (&'a Exec, u16)>) -> UnmarkedListeners {
    let mut found: HashMap<(u32, u16), Option<Listener>> = HashMap::new();
    for (exec, port) in listeners {
        let listener = Listener { process: exec.process, cgroup_id: exec.cgroup_id };
        let entry = found.entry((exec.namespaces.net, port)).or_insert(Some(listener));
        if *entry != Some(listener) {
            *entry = None;
        }
    }
    found.into_iter().filter_map(|(key, listener)| Some((key, listener?))).collect()
}

/// The process that has a socket which is older than the agent.
fn owner(exec: &Exec) -> SocketState {
    SocketState {
        start_ns: exec.process.start_ticks * ExecId::NS_PER_TICK,
        cgroup_id: exec.cgroup_id,
        pid: exec.process.pid,
        uid: exec.uid,
        euid: exec.euid,
        gid: exec.gid,
        net_ns: exec.namespaces.net,
        flags: OWNER_KNOWN | OWNER_BEFORE_START,
        ..SocketState::default()
    }
}

/// What the kernel side knows of a connection, with the owner that it does not know.
const fn with_owner(known: SocketState, owner: &SocketState) -> SocketState {
    let SocketState { start_ns, cgroup_id, pid, uid, euid, gid, net_ns, .. } = *owner;
    SocketState { start_ns, cgroup_id, pid, uid, euid, gid, net_ns, ..known }
}
