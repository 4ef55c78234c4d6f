//! Reaching sockets of other processes: borrowed through pidfd_getfd(2) (5.6), whatever network namespace they are in, and
//! given back at once.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// A socket of another process.
pub(crate) struct Borrowed {
    /// The number that it has there.
    pub(crate) fd: i32,
    pub(crate) socket: OwnedFd,
    /// Whether it is one of TCP.
    pub(crate) is_tcp: bool,
}

/// Copies of the process's internet sockets that were not seen in another process before.
pub(crate) fn internet_sockets(pid: u32, seen: &mut HashSet<String>) -> Vec<Borrowed> {
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
            let is_tcp = matches!(protocol, Some(libc::IPPROTO_TCP | libc::IPPROTO_MPTCP));
            sockets.push(Borrowed { fd, socket, is_tcp });
        }
    }
    sockets
}

/// The socket of this number again.
pub(super) fn again(pid: u32, fd: i32) -> Option<OwnedFd> {
    pidfd_getfd(&pidfd_open(pid)?, fd)
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

/// Reads a socket option of an integer type; longer values are cut to it.
pub(super) fn option<T: Default>(socket: &OwnedFd, level: i32, name: i32) -> Option<T> {
    let mut value = T::default();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` has room for `len` bytes and, being an integer, may take any.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) };
    (result == 0).then_some(value)
}

type NameCall = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

pub(super) fn address(socket: &OwnedFd, call: NameCall) -> Option<SocketAddr> {
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
