//! A netlink socket to the connection tracking of the network namespace that it is opened in.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{connect, recv, send, socket_with};

use crate::Tuple;
use crate::message::{ANSWER_BYTES_MAX, Tracked, answer};

/// How long an answer is waited for. The kernel answers while it takes the question, so there is nothing to wait for
/// unless it does not answer at all.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(20);
/// Most answers to earlier questions that are skipped before the one that is waited for.
const STALE_ANSWERS_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens it in the network namespace of this thread.
    pub(crate) fn open() -> io::Result<Self> {
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))?;
        // The kernel's own port. What is connected takes nothing from others (net/netlink/af_netlink.c,
        // `netlink_getsockbyportid`).
        connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(RECEIVE_TIMEOUT))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The connection whose first packet had this tuple; none where no such one is tracked.
    pub(crate) fn ask(&mut self, tuple: &Tuple) -> io::Result<Option<Tracked>> {
        self.sequence = self.sequence.wrapping_add(1);
        let Some(question) = tuple.question(self.sequence) else { return Ok(None) };
        send(&self.socket, &question, SendFlags::empty())?;
        let mut datagram = [0_u8; ANSWER_BYTES_MAX];
        for _ in 0..=STALE_ANSWERS_MAX {
            let (bytes, _) = recv(&self.socket, &mut datagram, RecvFlags::empty())?;
            if let Some(answer) = answer(&datagram[..bytes], self.sequence)? {
                return Ok(answer);
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "only answers to other questions came"))
    }
}
