//! Sockets that are more than TCP clients: raw ones, ones that wait for others, and Unix sockets on request.

mod name;
mod ring;
mod security;
mod syscall;

use agent_common::{Kind, Operation, SocketRecord};

use crate::account::{Count, count};
use crate::event::{Outcome, write_head};
use crate::limit;
use crate::ring::{reserve, submit};
use crate::room::Room;
use crate::settings::WITH_UNIX_SOCKETS;
use crate::sock::{AF_INET, AF_INET6, AF_UNIX, Address, Socket};
use crate::task;

use name::{Name, PATH_ROOM_BYTES};

/// Families and types of the UAPI.
const AF_NETLINK: u16 = 16;
const AF_PACKET: u16 = 17;
const SOCK_RAW: u16 = 3;
const SOCK_PACKET: u16 = 10;
/// The part of socket(2)'s second argument that is a type (`SOCK_TYPE_MASK` of include/linux/net.h).
const SOCK_TYPE_MASK: u32 = 0xf;

/// The record with room for a Unix address and a NUL.
type SocketRoom = Room<SocketRecord, PATH_ROOM_BYTES>;

/// What is told of a socket.
#[derive(Clone, Copy)]
struct Told {
    operation: Operation,
    outcome: Outcome,
    family: u16,
    socket_type: u16,
    protocol: u16,
    address: Address,
    backlog: i32,
    /// Address of a Unix socket.
    path: Name,
}

/// A socket is made: told where it can see or send what others do not.
#[inline(always)]
fn made(family: u16, socket_type: u32, protocol: u16, outcome: Outcome) {
    count(Kind::SOCKET, Count::Seen);
    let socket_type = (socket_type & SOCK_TYPE_MASK) as u16;
    // Netlink has raw sockets alone, and the network is not reached through them.
    let is_raw = socket_type == SOCK_RAW && family != AF_NETLINK;
    if !is_raw && socket_type != SOCK_PACKET && family != AF_PACKET {
        return count(Kind::SOCKET, Count::Filtered);
    }
    let protocol = if family == AF_PACKET { u16::from_be(protocol) } else { protocol };
    tell(&Told {
        operation: Operation::SOCKET,
        outcome,
        family,
        socket_type,
        protocol,
        address: Address::NONE,
        backlog: 0,
        path: Name::NONE,
    });
}

/// A socket is bound or connected.
#[inline(always)]
fn named(operation: Operation, socket: Socket, name: Name, outcome: Outcome) {
    count(Kind::SOCKET, Count::Seen);
    let family = name.family();
    let mut told = Told {
        operation,
        outcome,
        family,
        socket_type: socket.socket_type(),
        protocol: socket.protocol(),
        address: Address::NONE,
        backlog: 0,
        path: Name::NONE,
    };
    let is_bind = operation == Operation::BIND;
    let is_wanted = match family {
        AF_UNIX if WITH_UNIX_SOCKETS.load() == 1 => {
            told.path = name;
            true
        }
        AF_INET if is_bind => {
            told.address = name.v4();
            told.address.port != 0
        }
        AF_INET6 if is_bind => {
            told.address = name.v6();
            told.address.port != 0
        }
        AF_PACKET if is_bind => {
            told.protocol = name.port();
            true
        }
        _ => false,
    };
    if is_wanted { tell(&told) } else { count(Kind::SOCKET, Count::Filtered) }
}

/// A socket listens.
#[inline(always)]
fn listening(socket: Socket, backlog: i32, outcome: Outcome) {
    count(Kind::SOCKET, Count::Seen);
    let family = socket.family();
    if family == AF_UNIX && WITH_UNIX_SOCKETS.load() == 0 {
        return count(Kind::SOCKET, Count::Filtered);
    }
    tell(&Told {
        operation: Operation::LISTEN,
        outcome,
        family,
        socket_type: socket.socket_type(),
        protocol: socket.protocol(),
        address: socket.local(),
        backlog,
        path: Name::NONE,
    });
}

#[inline(always)]
fn tell(told: &Told) {
    let task = task::current();
    let cgroup_id = task::cgroup_id(task);
    if !limit::admits(Kind::SOCKET, task, cgroup_id) {
        return;
    }
    let Some(room) = reserve::<SocketRoom>(Kind::SOCKET, cgroup_id) else { return };
    // SAFETY: `room` begins with a whole SocketRecord, and the text follows it.
    unsafe {
        let mut outcome = told.outcome;
        let text = (&raw mut (*room).text).cast();
        let path_bytes = told.path.path(text, &mut outcome);
        let size = (size_of::<SocketRecord>() + path_bytes) as u32;
        let record = &raw mut (*room).record;
        write_head(&raw mut (*record).head, Kind::SOCKET, told.operation, outcome, size, task, cgroup_id);
        (*record).family = told.family;
        (*record).socket_type = told.socket_type;
        (*record).protocol = told.protocol;
        (*record).port = told.address.port;
        (&raw mut (*record).address).cast::<[u32; 4]>().write(told.address.words);
        (*record).backlog = told.backlog;
        (*record).path_bytes = path_bytes as u32;
    }
    submit(Kind::SOCKET, room);
}
