//! What a borrowed socket says of itself.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use agent_common::{
    FLAG_CLIENT, FLAG_FIN_ACKED, FLAG_FIN_RECEIVED, FLAG_GUESSED, Header, Kind, SocketState, TcpRecord,
    WIRE_VERSION,
};

use super::borrow::{address, option};
use super::tcp_info::TcpInfo;

/// States of include/net/tcp_states.h in which a connection is open: established, FIN sent and not acknowledged, FIN
/// acknowledged, FIN received.
const TCP_OPEN: [u8; 4] = [1, 4, TCP_FIN_WAIT2, TCP_CLOSE_WAIT];
const TCP_FIN_WAIT2: u8 = 5;
const TCP_CLOSE_WAIT: u8 = 8;

/// A socket's facts.
pub(crate) struct Facts {
    pub(crate) listening: bool,
    pub(crate) multipath: bool,
    pub(crate) local: SocketAddr,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) cookie: u64,
    /// What it counts, where it is a connection that is open.
    pub(crate) open: Option<TcpInfo>,
}

impl Facts {
    /// None where it is no TCP socket with an address.
    pub(crate) fn of(socket: &OwnedFd) -> Option<Self> {
        let listening = option::<i32>(socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN)? != 0;
        let info = TcpInfo::of(socket)?;
        // A multipath socket is a shell around TCP sockets that no descriptor leads to: its connections are not the ones
        // that the kernel programs tell of. As a listener it says which side is the server: a client of plain TCP gets a
        // plain TCP socket from it. Programs in Go listen so by default, from 1.24 on.
        let multipath = option(socket, libc::SOL_SOCKET, libc::SO_PROTOCOL) == Some(libc::IPPROTO_MPTCP);
        Some(Self {
            listening,
            multipath,
            local: address(socket, libc::getsockname)?,
            remote: address(socket, libc::getpeername),
            cookie: option::<u64>(socket, libc::SOL_SOCKET, libc::SO_COOKIE)?,
            open: (TCP_OPEN.contains(&info.state()) && !multipath).then_some(info),
        })
    }

    /// Which side an open connection is taken for, as `FLAG_*`. A socket that connected counts its SYN; else the side that
    /// has a listener on its port is taken for the server, which is certain where no SYN is counted.
    pub(super) const fn side(&self, info: TcpInfo, listens: bool) -> u32 {
        match (info.counts_syn(), listens) {
            (Some(true), _) => FLAG_CLIENT,
            (Some(false), true) => 0,
            (Some(false), false) | (None, true) => FLAG_GUESSED,
            (None, false) => FLAG_GUESSED | FLAG_CLIENT,
        }
    }
}

/// The record that a kernel program would make of an open connection.
pub(crate) fn record(state: &SocketState, facts: &Facts, boot_ns: u64) -> Option<TcpRecord> {
    let (info, remote) = (facts.open?, facts.remote?);
    let fins = match info.state() {
        TCP_FIN_WAIT2 => FLAG_FIN_ACKED,
        TCP_CLOSE_WAIT => FLAG_FIN_RECEIVED,
        _ => 0,
    };
    Some(TcpRecord {
        header: Header {
            size: size_of::<TcpRecord>() as u32,
            kind: Kind::TCP_OPEN,
            version: WIRE_VERSION,
            boot_ns,
            pid: state.pid,
            uid: state.uid,
            start_ns: state.start_ns,
            cgroup_id: state.cgroup_id,
            net_ns: state.net_ns,
            mnt_ns: 0,
            pid_ns: 0,
            user_ns: 0,
            euid: state.euid,
            gid: state.gid,
        },
        cookie: facts.cookie,
        opened_ns: state.opened_ns,
        local: mapped(facts.local),
        remote: mapped(remote),
        local_port: facts.local.port(),
        remote_port: remote.port(),
        flags: state.tcp_flags | fins,
        owner_flags: state.flags,
        old_state: info.state().into(),
        error: 0,
        retransmits: info.retransmits(),
        bytes_acked: info.bytes_acked(),
        bytes_received: info.bytes_received(),
        segments_out: info.segments_out(),
        segments_in: info.segments_in(),
        srtt_us_8: info.srtt_us().saturating_mul(8),
        min_rtt_us: info.min_rtt_us(),
        handshake_ns: state.handshake_ns,
    })
}

fn mapped(address: SocketAddr) -> [u8; 16] {
    match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::os::fd::FromRawFd as _;

    use super::super::internet_sockets;
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
        let cookie = Facts::of(&listener).unwrap().cookie;
        let mut facts = Vec::new();
        internet_sockets(std::process::id(), &mut HashSet::new(), |borrowed| {
            facts.extend(Facts::of(&borrowed.socket).filter(|facts| facts.cookie == cookie));
        });
        assert!(matches!(&facts[..], [facts] if facts.listening && facts.open.is_none()));
    }
}
