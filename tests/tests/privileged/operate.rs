//! The acting process of a test: it makes the system calls that it is told, one at a time, and says what they returned.
//!
//! A line of its input is one request; numbers are decimal, and bytes hexadecimal behind `x:`:
//! * `native NUMBER ARGUMENT…` makes a system call, with the address of a copy in the place of bytes;
//! * `compat NUMBER ARGUMENT…` makes it through the 32-bit interface;
//! * `ring x:SQE` has one io_uring entry done, `opcodes` lists the operations that io_uring knows here;
//! * `memory x:BYTES` keeps bytes and answers their address.
//!
//! The answer is a line as well: a number, negated errno for a failed call, or `unsupported`.

mod arena;
mod call;
mod ring;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd;

use self::arena::Arena;
use self::ring::Ring;

pub(crate) use self::call::has_compat;

/// Where the channel to the test goes, out of the way of tests that replace standard input and output.
const CHANNEL_FD: i32 = 100;
/// What a call answers that this machine or kernel does not have.
const UNSUPPORTED: &str = "unsupported";

/// Does what the input says until it ends.
pub(crate) fn run() {
    let input = BufReader::new(channel(std::io::stdin()));
    let mut output = channel(std::io::stdout());
    let mut actor = Actor { arena: Arena::new(), ring: None };
    for line in input.lines() {
        let answer = actor.answer(&line.expect("read a request"));
        // A test that has ended no longer listens.
        let _ = writeln!(output, "{answer}");
    }
}

fn channel(end: impl AsFd) -> File {
    rustix::io::fcntl_dupfd_cloexec(end, CHANNEL_FD).expect("move the channel").into()
}

/// Whether this kernel lets this process use io_uring.
pub(crate) fn has_ring() -> bool {
    Ring::new().is_some_and(|ring| !ring.opcodes().is_empty())
}

/// Has the kernel cut what this socket sends into datagrams of so many bytes; whether it does so at all.
pub(crate) fn segment_udp(socket: &std::net::UdpSocket, bytes: i32) -> bool {
    use std::os::fd::AsRawFd as _;
    let (fd, size) = (socket.as_raw_fd(), size_of::<i32>() as libc::socklen_t);
    // SAFETY: an option of the size that is said.
    unsafe { libc::setsockopt(fd, libc::SOL_UDP, libc::UDP_SEGMENT, (&raw const bytes).cast(), size) == 0 }
}

struct Actor {
    arena: Arena,
    ring: Option<Ring>,
}

impl Actor {
    fn answer(&mut self, request: &str) -> String {
        let mut words = request.split(' ');
        let verb = words.next().unwrap_or_default();
        let mut rest = words.map(|word| self.value(word)).collect::<Vec<u64>>().into_iter();
        let mut next = || rest.next().unwrap_or_default();
        match verb {
            "native" => {
                let number = next();
                call::native(number as i64, std::array::from_fn(|_| next())).to_string()
            }
            "compat" => {
                let number = next();
                let result = call::compat(number as u32, std::array::from_fn(|_| next() as u32));
                result.map_or_else(|| UNSUPPORTED.to_owned(), |result| result.to_string())
            }
            "ring" => {
                let entry = next();
                let result = self.ring().map(|ring| ring.submit(entry));
                result.map_or_else(|| UNSUPPORTED.to_owned(), |result| result.to_string())
            }
            "opcodes" => {
                let opcodes = self.ring().map(|ring| ring.opcodes()).unwrap_or_default();
                opcodes.iter().map(u8::to_string).collect::<Vec<_>>().join(" ")
            }
            "memory" => next().to_string(),
            _ => panic!("unknown request {request}"),
        }
    }

    fn ring(&mut self) -> Option<&mut Ring> {
        if self.ring.is_none() {
            self.ring = Ring::new();
        }
        self.ring.as_mut()
    }

    /// A number, or the address of bytes.
    fn value(&mut self, word: &str) -> u64 {
        match word.strip_prefix("x:") {
            Some(hex) => self.arena.keep(&bytes(hex)),
            None => word.parse::<i64>().expect("a number").cast_unsigned(),
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(digit).collect()
}
