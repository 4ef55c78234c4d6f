//! What a socket says of itself, however the pointer to it came about.

use crate::path::read;
use crate::settings::offset;

/// `AF_*` and `SOCK_*` of the UAPI.
pub(crate) const AF_UNIX: u16 = 1;
/// See [`AF_UNIX`].
pub(crate) const AF_INET: u16 = 2;
/// See [`AF_UNIX`].
pub(crate) const AF_INET6: u16 = 10;
/// `S_IFMT` and `S_IFSOCK` of the UAPI.
const FILE_TYPE: u16 = 0o170_000;
const SOCKET: u16 = 0o140_000;

/// An address as records carry it, four words in network byte order, and a port in host byte order.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    pub(crate) words: [u32; 4],
    pub(crate) port: u16,
}

impl Address {
    pub(crate) const NONE: Self = Self { words: [0; 4], port: 0 };

    #[inline(always)]
    pub(crate) const fn v4(address: u32, port: u16) -> Self {
        Self { words: [0, 0, u32::to_be(0xffff), address], port }
    }
}

/// A `struct socket` with its `struct sock`.
#[derive(Clone, Copy)]
pub(crate) struct Socket {
    socket: *const u8,
    sock: *const u8,
}

impl Socket {
    #[inline(always)]
    pub(crate) fn of(socket: *const u8) -> Self {
        Self { socket, sock: read(socket, offset!(socket_sk)) }
    }

    /// A `struct sock` alone, which tells no type.
    #[inline(always)]
    pub(crate) const fn of_sock(sock: *const u8) -> Self {
        Self { socket: core::ptr::null(), sock }
    }

    /// The socket of an open file; none where that is something else.
    #[inline(always)]
    pub(crate) fn of_file(file: *const u8) -> Option<Self> {
        if file.is_null() {
            return None;
        }
        let inode: *const u8 = read(file, offset!(file_inode));
        if read::<u16>(inode, offset!(inode_mode)) & FILE_TYPE != SOCKET {
            return None;
        }
        Some(Self::of(read(file, offset!(file_private))))
    }

    #[inline(always)]
    pub(crate) fn family(self) -> u16 {
        read(self.sock, offset!(sock_family))
    }

    #[inline(always)]
    pub(crate) fn socket_type(self) -> u16 {
        read(self.socket, offset!(socket_type))
    }

    #[inline(always)]
    pub(crate) fn protocol(self) -> u16 {
        read(self.sock, offset!(sock_protocol))
    }

    #[inline(always)]
    pub(crate) fn local(self) -> Address {
        let port = read(self.sock, offset!(sock_local_port));
        match self.family() {
            AF_INET => Address::v4(read(self.sock, offset!(sock_local_v4)), port),
            AF_INET6 => Address { words: read(self.sock, offset!(sock_local_v6)), port },
            _ => Address::NONE,
        }
    }

    #[inline(always)]
    pub(crate) fn remote(self) -> Address {
        let port = u16::from_be(read(self.sock, offset!(sock_remote_port)));
        match self.family() {
            AF_INET => Address::v4(read(self.sock, offset!(sock_remote_v4)), port),
            AF_INET6 => Address { words: read(self.sock, offset!(sock_remote_v6)), port },
            _ => Address::NONE,
        }
    }
}
