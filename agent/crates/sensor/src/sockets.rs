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
use crate::reader::BATCH_RECORDS_MAX;

use borrow::Process;
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

/// A process that may have sockets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    process: ExecId,
    /// What is written onto its sockets.
    owner: SocketState,
}

impl From<&Exec> for Holder {
    fn from(exec: &Exec) -> Self {
        Self { process: exec.process, owner: owner(exec) }
    }
}

/// An open connection, and where it is to be had again.
struct Found<'a> {
    holder: &'a Holder,
    fd: i32,
    cookie: u64,
    port: u16,
}

/// The socket map, and another descriptor of it.
pub(crate) fn storage(map: Map) -> Result<(Storage, Option<OwnedFd>), MapError> {
    let fd = match &map {
        Map::SkStorage(data) => data.fd().as_fd().try_clone_to_owned().ok(),
        _ => None,
    };
    Ok((SkStorage::try_from(map)?, fd))
}

/// Takes in the sockets of processes: hands on the connections found, and answers the listeners that could not be marked.
pub(crate) fn take_in<E>(
    storage: &mut Storage,
    holders: &[Holder],
    boot_ns: u64,
    context: Context,
    with_datagrams: bool,
    tell: impl FnMut(Vec<Observation>) -> Result<(), E>,
) -> Result<UnmarkedListeners, E> {
    let (connections, listeners) = look(storage, holders, with_datagrams);
    tell_connections(storage, &connections, &listeners, (boot_ns, context), |_| true, tell)?;
    Ok(unmarked_listeners(&listeners))
}

/// The same in an agent that runs: what it knows of is not told again.
pub(crate) fn take_in_later<E>(
    storage: &mut Storage,
    holders: &[Holder],
    boot_ns: u64,
    context: Context,
    with_datagrams: bool,
    tell: impl FnMut(Vec<Observation>) -> Result<(), E>,
) -> Result<UnmarkedListeners, E> {
    let is_new = |state: &SocketState| state.opened_ns == boot_ns && state.flags & CONNECTION_FOUND != 0;
    let (connections, listeners) = look(storage, holders, with_datagrams);
    tell_connections(storage, &connections, &listeners, (boot_ns, context), is_new, tell)?;
    Ok(unmarked_listeners(&listeners))
}

/// Somebody who listens: the process, the port, and whether by multipath TCP.
type Listening<'a> = (&'a Holder, u16, bool);

/// Finds connections and listeners, and writes their owners onto all sockets but the connections, which are marked when it is
/// known who listens.
fn look<'a>(
    storage: &mut Storage,
    holders: &'a [Holder],
    with_datagrams: bool,
) -> (Vec<Found<'a>>, Vec<Listening<'a>>) {
    let mut seen = HashSet::new();
    let (mut connections, mut listeners) = (Vec::new(), Vec::new());
    for holder in holders {
        let pid = holder.process.pid;
        internet_sockets(pid, &mut seen, |Borrowed { fd, socket, is_tcp }| {
            let facts = if is_tcp { Facts::of(&socket) } else { None };
            if facts.is_none() && (is_tcp || !with_datagrams) {
                return;
            }
            if let Some(facts) = facts.as_ref().filter(|facts| facts.open.is_some()) {
                let (cookie, port) = (facts.cookie, facts.local.port());
                connections.push(Found { holder, fd, cookie, port });
            } else if let Err(error) = storage.insert(&socket, State(holder.owner), BPF_NOEXIST) {
                tracing::debug!("no owner on a socket of process {pid}: {error}");
            }
            if let Some(facts) = facts.filter(|facts| facts.listening) {
                listeners.push((holder, facts.local.port(), facts.multipath));
            }
        });
    }
    (connections, listeners)
}

/// Marks connections and hands them on, a batch at a time, so that many of them take no memory that is not needed later.
fn tell_connections<E>(
    storage: &mut Storage,
    connections: &[Found<'_>],
    listeners: &[Listening<'_>],
    (boot_ns, context): (u64, Context),
    is_told: impl Fn(&SocketState) -> bool,
    mut tell: impl FnMut(Vec<Observation>) -> Result<(), E>,
) -> Result<(), E> {
    let listening: HashSet<(u32, u16)> =
        listeners.iter().map(|(holder, port, _)| (holder.owner.net_ns, *port)).collect();
    let mut process = Process::default();
    for connections in connections.chunks(BATCH_RECORDS_MAX) {
        let mark = |connection: &Found<'_>| {
            let listens = listening.contains(&(connection.holder.owner.net_ns, connection.port));
            let (state, facts) = mark(storage, &mut process, connection, listens, boot_ns)?;
            let record = is_told(&state).then(|| record(&state, &facts, boot_ns))??;
            Some(found(&record, boot_ns, context))
        };
        tell(connections.iter().filter_map(mark).collect())?;
    }
    Ok(())
}

/// Marks a connection as found, unless the kernel side has seen its beginning: what is on the socket then, and what it counts.
/// None where it has ended meanwhile.
fn mark(
    storage: &mut Storage,
    process: &mut Process,
    connection: &Found<'_>,
    listens: bool,
    boot_ns: u64,
) -> Option<(SocketState, Facts)> {
    let Found { holder, fd, cookie, port: _ } = connection;
    let pid = holder.process.pid;
    let socket = process.socket(pid, *fd)?;
    let now = Facts::of(&socket).filter(|now| now.cookie == *cookie)?;
    let mut state = holder.owner;
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
        tracing::debug!("no mark on a connection of process {pid}: {error}");
    }
    Some((state, now))
}

/// A port on which several processes listen tells of none of them.
fn unmarked_listeners(listeners: &[Listening<'_>]) -> UnmarkedListeners {
    let mut found: HashMap<(u32, u16), Option<Listener>> = HashMap::new();
    for (holder, port, _) in listeners.iter().filter(|(_, _, is_multipath)| *is_multipath) {
        let Holder { process, owner } = **holder;
        let listener = Listener { process, cgroup_id: owner.cgroup_id };
        let entry = found.entry((owner.net_ns, *port)).or_insert(Some(listener));
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
