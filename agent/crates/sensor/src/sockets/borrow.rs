//! Reaching sockets of other processes: borrowed through pidfd_getfd(2) (5.6), whatever network namespace they are in, and
//! given back at once.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

/// A socket of another process.
pub(crate) struct Borrowed {
    /// The number that it has there.
    pub(crate) fd: i32,
    pub(crate) socket: OwnedFd,
    /// Whether it is one of TCP.
    pub(crate) is_tcp: bool,
}

/// Borrows the process's internet sockets that were not seen in another process before, one after the other: a process may
/// have more of them open than this one may. `seen` is the inode numbers of sockets.
pub(crate) fn internet_sockets(pid: u32, seen: &mut HashSet<u64>, mut take: impl FnMut(Borrowed)) {
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return };
    let mut process = Process::default();
    for entry in fds.flatten() {
        let Some(inode) = fs::read_link(entry.path()).ok().and_then(|target| socket_inode(&target)) else {
            continue;
        };
        let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if seen.contains(&inode) {
            continue;
        }
        let Some(socket) = process.socket(pid, fd) else { continue };
        seen.insert(inode);
        let protocol = option(&socket, libc::SOL_SOCKET, libc::SO_PROTOCOL);
        let family = option(&socket, libc::SOL_SOCKET, libc::SO_DOMAIN);
        if matches!(family, Some(libc::AF_INET | libc::AF_INET6)) {
            let is_tcp = matches!(protocol, Some(libc::IPPROTO_TCP | libc::IPPROTO_MPTCP));
            take(Borrowed { fd, socket, is_tcp });
        }
    }
}

/// The number in what a descriptor of a socket is linked to (proc(5)).
fn socket_inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The process that was borrowed from last.
#[derive(Default)]
pub(super) struct Process(Option<(u32, OwnedFd)>);

impl Process {
    /// The socket of this number.
    pub(super) fn socket(&mut self, pid: u32, fd: i32) -> Option<OwnedFd> {
        if self.0.as_ref().is_none_or(|(last, _)| *last != pid) {
            self.0 = Some((pid, pidfd_open(pid)?));
        }
        pidfd_getfd(&self.0.as_ref()?.1, fd)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_to_a_socket() {
        for (target, inode) in [
            ("socket:[4711]", Some(4711)),
            ("socket:4711", None),
            ("socket:[]", None),
            ("pipe:[4711]", None),
            ("/tmp/socket:[4711]", None),
        ] {
            assert_eq!(socket_inode(Path::new(target)), inode, "{target}");
        }
    }

    #[test]
    fn sockets_are_borrowed_once_and_one_after_the_other() {
        let kept = [0; 3].map(|_| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let own: HashSet<i32> = kept.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
        let (mut seen, mut met, mut numbers) = (HashSet::new(), Vec::new(), HashSet::new());
        for _ in 0..2 {
            internet_sockets(std::process::id(), &mut seen, |Borrowed { fd, socket, is_tcp }| {
                if own.contains(&fd) {
                    assert!(!is_tcp);
                    met.push(fd);
                    numbers.insert(socket.as_raw_fd());
                }
            });
        }
        assert_eq!(met.iter().copied().collect::<HashSet<_>>(), own);
        assert_eq!(met.len(), 3, "each once: {met:?}");
    }
}
