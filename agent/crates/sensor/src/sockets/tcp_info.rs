//! `struct tcp_info` of include/uapi/linux/tcp.h, as far as it is used: later kernels only append to it.

use std::os::fd::{AsRawFd as _, OwnedFd};

/// Up to the end of `tcpi_bytes_retrans` (4.19).
const BYTES: usize = 216;

/// What the kernel says of a TCP socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpInfo([u8; BYTES]);

impl TcpInfo {
    /// None where it is no TCP socket, or the kernel is older than 4.19.
    pub(super) fn of(socket: &OwnedFd) -> Option<Self> {
        let mut info = [0; BYTES];
        let mut len = BYTES as libc::socklen_t;
        // SAFETY: `info` has room for `len` bytes.
        let result = unsafe {
            let value = info.as_mut_ptr().cast();
            libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, value, &raw mut len)
        };
        (result == 0 && len as usize == BYTES).then_some(Self(info))
    }

    pub(crate) const fn state(self) -> u8 {
        self.0[0]
    }

    const fn unacked(self) -> u32 {
        self.word(24)
    }

    pub(crate) const fn srtt_us(self) -> u32 {
        self.word(68)
    }

    pub(crate) const fn retransmits(self) -> u32 {
        self.word(100)
    }

    pub(crate) const fn bytes_acked(self) -> u64 {
        self.long(120)
    }

    pub(crate) const fn bytes_received(self) -> u64 {
        self.long(128)
    }

    pub(crate) const fn segments_out(self) -> u32 {
        self.word(136)
    }

    pub(crate) const fn segments_in(self) -> u32 {
        self.word(140)
    }

    pub(crate) const fn min_rtt_us(self) -> u32 {
        self.word(148)
    }

    /// Whether a SYN of this socket is among the bytes acknowledged, which is so where it connected and not where it was
    /// accepted. Known while all that was sent is acknowledged, since the payload sent is counted besides
    /// (`tcpi_bytes_sent` less `tcpi_bytes_retrans`), and no FIN is.
    pub(super) const fn counts_syn(self) -> Option<bool> {
        const ESTABLISHED: u8 = 1;
        const CLOSE_WAIT: u8 = 8;
        let payload = self.long(200).wrapping_sub(self.long(208));
        match self.bytes_acked().wrapping_sub(payload) {
            _ if self.unacked() != 0 || !matches!(self.state(), ESTABLISHED | CLOSE_WAIT) => None,
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    const fn word(self, at: usize) -> u32 {
        u32::from_ne_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    const fn long(self, at: usize) -> u64 {
        let (low, high) = (self.word(at) as u64, self.word(at + 4) as u64);
        if cfg!(target_endian = "little") { high << 32 | low } else { low << 32 | high }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_counts_the_syn_of_who_connected() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"12345").unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        server.write_all(b"123").unwrap();
        client.read_exact(&mut [0; 3]).unwrap();
        // Both stay open until both are asked.
        let sockets = [client, server].map(OwnedFd::from);
        let [client, server] = sockets.each_ref().map(|socket| TcpInfo::of(socket).unwrap());
        assert_eq!((client.bytes_received(), server.bytes_received()), (3, 5));
        assert_eq!(client.counts_syn(), Some(true));
        // The acknowledgement of the last bytes may be on its way.
        assert!(matches!(server.counts_syn(), Some(false) | None), "{server:?}");
    }
}
