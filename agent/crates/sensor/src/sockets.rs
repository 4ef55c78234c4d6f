//! TCP sockets that are older than the agent: their owners are written onto them, so that what they accept from now
//! on is known, and their open connections are reported as found.
//!
//! A socket is reached through its process's file descriptor (pidfd_getfd(2), 5.6), whatever network namespace it is
//! in, and given back at once.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use agent_common::{OWNER_BEFORE_START, OWNER_KNOWN, SocketState};
use aya::maps::{MapData, SkStorage};
use watchfire_model::{Body, Exec, ExecId, Flow, Observation, Origin, Owner, Protocol, Side};

/// `TCP_ESTABLISHED` of include/net/tcp_states.h.
const TCP_ESTABLISHED: u8 = 1;
/// `BPF_NOEXIST`: an owner that the kernel side has written meanwhile is the better one.
const BPF_NOEXIST: u64 = 1;

/// The value of the socket map, as aya takes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct State(SocketState);

// SAFETY: integers only, without padding.
unsafe impl aya::Pod for State {}

struct Found {
    listening: bool,
    established: bool,
    multipath: bool,
    local: SocketAddr,
    remote: Option<SocketAddr>,
    cookie: u64,
}

/// Listeners on whose connections no owner can be written, by network namespace and port.
pub(crate) type UnmarkedListeners = HashMap<(u32, u16), Listener>;

/// Who listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Listener {
    pub(crate) process: ExecId,
    pub(crate) cgroup_id: u64,
}

/// Takes in the sockets of `processes`. Answers the connections found, and the listeners that could not be marked.
pub(crate) fn take_in(
    map: aya::maps::Map,
    processes: &HashMap<u32, Exec>,
    boot_ns: u64,
    with_datagrams: bool,
) -> Result<(Vec<Observation>, UnmarkedListeners), aya::maps::MapError> {
    let mut storage: SkStorage<MapData, State> = SkStorage::try_from(map)?;
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (&pid, exec) in processes {
        let sockets = internet_sockets(pid, &mut seen);
        for (socket, is_tcp) in sockets {
            let facts = if is_tcp { examine(&socket) } else { None };
            if facts.is_none() && (is_tcp || !with_datagrams) {
                continue;
            }
            if let Err(error) = storage.insert(&socket, State(owner(exec)), BPF_NOEXIST) {
                tracing::debug!("no owner on a socket of process {pid}: {error}");
            }
            found.extend(facts.map(|facts| (exec, facts)));
        }
    }
    let listening: HashSet<(u32, u16)> = (found.iter())
        .filter(|(_, facts)| facts.listening)
        .map(|(exec, facts)| (exec.namespaces.net, facts.local.port()))
        .collect();
    let connections = (found.iter())
        .filter(|(_, facts)| facts.established)
        .filter_map(|(exec, facts)| {
            let is_server = listening.contains(&(exec.namespaces.net, facts.local.port()));
            Some(Observation { boot_ns, body: Body::FlowOpen(flow(exec, facts, is_server, boot_ns)?) })
        })
        .collect();
    let unmarked = found.iter().filter(|(_, facts)| facts.listening && facts.multipath);
    Ok((connections, unmarked_listeners(unmarked.map(|(exec, facts)| (*exec, facts.local.port())))))
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

fn owner(exec: &Exec) -> SocketState {
    SocketState {
        start_ns: exec.process.start_ticks * ExecId::NS_PER_TICK,
        cgroup_id: exec.cgroup_id,
        opened_ns: 0,
        pid: exec.process.pid,
        uid: exec.uid,
        euid: exec.euid,
        gid: exec.gid,
        net_ns: exec.namespaces.net,
        flags: OWNER_KNOWN | OWNER_BEFORE_START,
        tcp_flags: 0,
        reserved: 0,
    }
}

/// Who opened it is inferred: the side that has a listener on its port is taken for the server.
fn flow(exec: &Exec, facts: &Found, is_server: bool, boot_ns: u64) -> Option<Flow> {
    let remote = facts.remote?;
    Some(Flow {
        cookie: facts.cookie,
        protocol: Protocol::Tcp,
        client: if is_server { remote } else { facts.local },
        server: if is_server { facts.local } else { remote },
        side: if is_server { Side::Server } else { Side::Client },
        direction_guessed: true,
        owner: Owner::Known(exec.process),
        cgroup_id: exec.cgroup_id,
        netns: exec.namespaces.net,
        opened_boot_ns: boot_ns,
        origin: Origin::BeforeStart,
        handshake_ns: None,
        icmp: None,
    })
}

/// Copies of the process's internet sockets that were not seen in another process before, and whether each is one of TCP.
fn internet_sockets(pid: u32, seen: &mut HashSet<String>) -> Vec<(OwnedFd, bool)> {
    let mut sockets = Vec::new();
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return sockets };
    let mut process = None;
    for entry in fds.flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if !target.starts_with("socket:") || seen.contains(&target) {
            continue;
        }
        if process.is_none() {
            process = pidfd_open(pid);
        }
        let Some(socket) = process.as_ref().and_then(|process| pidfd_getfd(process, fd)) else { continue };
        seen.insert(target);
        let protocol = option(&socket, libc::SOL_SOCKET, libc::SO_PROTOCOL);
        let family = option(&socket, libc::SOL_SOCKET, libc::SO_DOMAIN);
        if matches!(family, Some(libc::AF_INET | libc::AF_INET6)) {
            sockets.push((socket, matches!(protocol, Some(libc::IPPROTO_TCP | libc::IPPROTO_MPTCP))));
        }
    }
    sockets
}

fn pidfd_open(pid: u32) -> Option<OwnedFd> {
    // SAFETY: a system call without pointers; a descriptor that is not negative is ours alone.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd as i32))
    }
}

fn pidfd_getfd(process: &OwnedFd, fd: i32) -> Option<OwnedFd> {
    // SAFETY: as above.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd as i32))
    }
}

fn examine(socket: &OwnedFd) -> Option<Found> {
    let listening = option::<i32>(socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN)? != 0;
    // The first byte of struct tcp_info is the state.
    let state = option::<u8>(socket, libc::IPPROTO_TCP, libc::TCP_INFO)?;
    // A multipath socket is a shell around TCP sockets that no descriptor leads to: its connections are not the ones
    // that the kernel programs tell of. As a listener it says which side is the server: a client of plain TCP gets a
    // plain TCP socket from it. Programs in Go listen so by default, from 1.24 on.
    let multipath = option(socket, libc::SOL_SOCKET, libc::SO_PROTOCOL) == Some(libc::IPPROTO_MPTCP);
    Some(Found {
        listening,
        established: state == TCP_ESTABLISHED && !multipath,
        multipath,
        local: address(socket, libc::getsockname)?,
        remote: address(socket, libc::getpeername),
        cookie: option::<u64>(socket, libc::SOL_SOCKET, libc::SO_COOKIE)?,
    })
}

/// Reads a socket option of an integer type; longer values are cut to it.
fn option<T: Default>(socket: &OwnedFd, level: i32, name: i32) -> Option<T> {
    let mut value = T::default();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` has room for `len` bytes and, being an integer, may take any.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) };
    (result == 0).then_some(value)
}

type NameCall = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn address(socket: &OwnedFd, call: NameCall) -> Option<SocketAddr> {
    let mut storage = libc::sockaddr_in6 {
        sin6_family: 0,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
        sin6_scope_id: 0,
    };
    let mut len = size_of_val(&storage) as libc::socklen_t;
    // SAFETY: `storage` has room for `len` bytes, enough for both address families that TCP has.
    if unsafe { call(socket.as_raw_fd(), (&raw mut storage).cast(), &raw mut len) } != 0 {
        return None;
    }
    let port = u16::from_be(storage.sin6_port);
    let ip = match i32::from(storage.sin6_family) {
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(storage.sin6_addr.s6_addr)).to_canonical(),
        // In struct sockaddr_in the address stands where sockaddr_in6 has its flow information.
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(u32::from_be(storage.sin6_flowinfo))),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multipath_listener_tells_the_server_and_is_no_connection() {
        // SAFETY: a system call without pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP) };
        if fd < 0 {
            // A kernel without multipath TCP.
            return;
        }
        // SAFETY: the descriptor is ours alone; listen(2) takes no pointers.
        let listener = unsafe {
            assert_eq!(libc::listen(fd, 1), 0);
            OwnedFd::from_raw_fd(fd)
        };
        let cookie = examine(&listener).unwrap().cookie;
        let sockets = internet_sockets(std::process::id(), &mut HashSet::new());
        let facts: Vec<_> = sockets
            .iter()
            .filter_map(|(socket, _)| examine(socket))
            .filter(|facts| facts.cookie == cookie)
            .collect();
        assert!(matches!(&facts[..], [facts] if facts.listening && !facts.established));
    }
}
