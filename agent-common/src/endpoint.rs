//! Records of sockets other than of TCP connections.

use crate::EventHead;

/// A socket was made, bound, put to listen or connected. The bytes of a Unix socket's address follow: a path, or an
/// abstract name with its leading NUL.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SocketRecord {
    /// Who, what, with which result.
    pub head: EventHead,
    /// `AF_*`
    pub family: u16,
    /// `SOCK_*`, without its flags.
    pub socket_type: u16,
    /// Protocol number; in host byte order for packet sockets as well.
    pub protocol: u16,
    /// Port, host byte order.
    pub port: u16,
    /// Address; IPv4 in v4-mapped form.
    pub address: [u8; 16],
    /// Argument of listen(2).
    pub backlog: i32,
    /// Bytes of the Unix address.
    pub path_bytes: u32,
}

const _: () = assert!(size_of::<SocketRecord>() == 104);

/// A socket was put in the place of standard input, output or error.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StdioRecord {
    /// Who, with which result.
    pub head: EventHead,
    /// Descriptor that was copied.
    pub from_fd: i32,
    /// Descriptor that it became: 0, 1 or 2.
    pub to_fd: i32,
    /// `AF_*`
    pub family: u16,
    /// `SOCK_*`
    pub socket_type: u16,
    /// Port, host byte order.
    pub local_port: u16,
    /// Port, host byte order.
    pub remote_port: u16,
    /// Address; IPv4 in v4-mapped form.
    pub local: [u8; 16],
    /// Address; IPv4 in v4-mapped form.
    pub remote: [u8; 16],
}

const _: () = assert!(size_of::<StdioRecord>() == 120);
