//! Sockets other than TCP connections.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::Operation;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// A socket was made, bound, put to listen or connected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketEvent {
    /// `AF_*`
    pub family: u16,
    /// `SOCK_*`, without its flags.
    pub socket_type: u16,
    /// Protocol number.
    pub protocol: u16,
    /// Address and port of an internet socket.
    pub address: SocketAddr,
    /// Argument of listen(2).
    pub backlog: i32,
    /// Path of a Unix socket, or `@` and its abstract name; empty where it has none.
    pub path: String,
}

/// A socket as records show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SocketView {
    /// Address family.
    pub family: Cow<'static, str>,
    /// Type.
    pub socket_type: Cow<'static, str>,
    /// Protocol number; of packet sockets the Ethernet protocol.
    pub protocol: u16,
    /// Address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Path of a Unix socket, or `@` and its abstract name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Argument of listen(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog: Option<i32>,
}

impl SocketView {
    /// The view of an event; a socket that was only made has no address yet.
    #[must_use]
    pub fn new(operation: Operation, event: SocketEvent) -> Self {
        let SocketEvent { family, socket_type, protocol, address, backlog, path } = event;
        let has_address = operation != Operation::Socket && is_internet(family);
        Self {
            family: family_name(family),
            socket_type: type_name(socket_type),
            protocol,
            address: has_address.then(|| address.ip()),
            port: has_address.then(|| address.port()),
            path,
            backlog: (operation == Operation::Listen).then_some(backlog),
        }
    }
}

/// A socket was put in the place of standard input, output or error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StdioEvent {
    /// Descriptor that was copied.
    pub from_fd: i32,
    /// Descriptor that it became: 0, 1 or 2.
    pub to_fd: i32,
    /// `AF_*`
    pub family: u16,
    /// `SOCK_*`
    pub socket_type: u16,
    /// Own address of an internet socket.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// A socket in the place of standard input, output or error as records show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StdioView {
    /// Descriptor that was copied.
    pub from_fd: i32,
    /// Descriptor that it became: 0, 1 or 2.
    pub to_fd: i32,
    /// Address family.
    pub family: Cow<'static, str>,
    /// Type.
    pub socket_type: Cow<'static, str>,
    /// Own address and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
    /// The peer's address and port, where it is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<SocketAddr>,
}

impl From<StdioEvent> for StdioView {
    fn from(event: StdioEvent) -> Self {
        let StdioEvent { from_fd, to_fd, family, socket_type, local, remote } = event;
        let is_set =
            |end: &SocketAddr| is_internet(family) && (end.port() != 0 || !end.ip().is_unspecified());
        Self {
            from_fd,
            to_fd,
            family: family_name(family),
            socket_type: type_name(socket_type),
            local: Some(local).filter(is_set),
            remote: Some(remote).filter(is_set),
        }
    }
}

const fn is_internet(family: u16) -> bool {
    matches!(family, AF_INET | AF_INET6)
}

/// `AF_*` of include/linux/socket.h.
fn family_name(family: u16) -> Cow<'static, str> {
    Cow::Borrowed(match family {
        AF_UNIX => "unix",
        AF_INET => "inet",
        AF_INET6 => "inet6",
        16 => "netlink",
        17 => "packet",
        40 => "vsock",
        other => return Cow::Owned(other.to_string()),
    })
}

/// `SOCK_*` of include/linux/net.h.
fn type_name(socket_type: u16) -> Cow<'static, str> {
    Cow::Borrowed(match socket_type {
        1 => "stream",
        2 => "dgram",
        3 => "raw",
        5 => "seqpacket",
        10 => "packet",
        other => return Cow::Owned(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(family: u16) -> SocketEvent {
        SocketEvent {
            family,
            socket_type: 3,
            protocol: 1,
            address: "10.0.0.1:80".parse().unwrap(),
            backlog: 5,
            path: String::new(),
        }
    }

    #[test]
    fn what_a_socket_has_depends_on_family_and_operation() {
        let raw = SocketView::new(Operation::Socket, event(AF_INET));
        assert_eq!((&*raw.family, &*raw.socket_type, raw.address, raw.backlog), ("inet", "raw", None, None));
        let listen = SocketView::new(Operation::Listen, event(AF_INET));
        assert_eq!((listen.port, listen.backlog), (Some(80), Some(5)));
        let unix = SocketView::new(Operation::Bind, SocketEvent { path: "@x".to_owned(), ..event(AF_UNIX) });
        assert_eq!((&*unix.family, unix.address, unix.path.as_str()), ("unix", None, "@x"));
        assert_eq!(SocketView::new(Operation::Socket, event(99)).family, "99");
    }

    #[test]
    fn ends_that_are_not_set_are_left_out() {
        let unset = "0.0.0.0:0".parse().unwrap();
        let event = StdioEvent {
            from_fd: 3,
            to_fd: 0,
            family: AF_INET,
            socket_type: 1,
            local: "10.0.0.1:4444".parse().unwrap(),
            remote: unset,
        };
        let view = StdioView::from(event);
        assert_eq!((view.local.map(|end| end.port()), view.remote), (Some(4444), None));
        assert_eq!(StdioView::from(StdioEvent { family: AF_UNIX, ..event }).local, None);
    }
}
