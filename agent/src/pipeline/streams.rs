//! What came in several segments, put together: messages to and from name servers over TCP, and openings of TLS.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use watchfire_dissect::tls::ClientHello;
use watchfire_model::{Flow, Payload, PayloadKind};

use super::open_flows::Key;

/// Most streams that are put together at a time; of one connection there are up to two.
pub(crate) const STREAMS_MAX: usize = 8192;
/// Most bytes of one stream that wait for others.
pub(crate) const STREAM_BYTES_MAX: usize = 16 * 1024;
/// Most pieces of one stream that wait for others.
pub(crate) const STREAM_PIECES_MAX: usize = 64;
/// Most bytes that wait in all.
pub(crate) const STREAMS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a stream is remembered after its last piece, nanoseconds. What is incomplete by then is read as it is.
pub(crate) const STREAM_IDLE_NS: u64 = 10_000_000_000;

/// Bytes of the length before a DNS message (RFC 7766, section 8).
const LENGTH_BYTES: usize = 2;

/// No DNS message is shorter (RFC 1035, section 4.1.1).
const DNS_HEADER_BYTES: usize = 12;

/// Something that can be read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Whole {
    pub(crate) flow: Flow,
    pub(crate) kind: WholeKind,
    pub(crate) sent: bool,
    pub(crate) boot_ns: u64,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WholeKind {
    /// A DNS message that has so many bytes where it is not cut.
    Dns { whole_bytes: usize },
    /// Records that begin with a `ClientHello`.
    ClientHello,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct StreamKey {
    flow: Key,
    sent: bool,
    is_dns: bool,
}

#[derive(Debug)]
struct Stream {
    flow: Flow,
    /// Place in the order of the latest pieces.
    number: u64,
    last_ns: u64,
    /// Where the next message begins; none while its beginning has not been seen.
    begins: Option<u32>,
    /// Nothing more is expected.
    is_done: bool,
    /// Pieces behind `begins`.
    pieces: Vec<(u32, Vec<u8>)>,
    bytes: usize,
}

/// Streams whose parts are awaited, and those that were complete a short while ago: what comes twice is read once.
#[derive(Default, Debug)]
pub(crate) struct Streams {
    streams: HashMap<StreamKey, Stream>,
    order: BTreeMap<u64, StreamKey>,
    next: u64,
    bytes: usize,
    evicted: u64,
    cut: u64,
}

impl Streams {
    /// Takes in a piece; what is complete with it is put into `whole`.
    pub(crate) fn take(&mut self, payload: Payload, boot_ns: u64, whole: &mut Vec<Whole>) {
        let Payload { flow, kind, sent, bytes, whole_bytes: _, sequence } = payload;
        let key = StreamKey { flow: Key::of(&flow), sent, is_dns: kind == PayloadKind::Dns };
        let number = self.next;
        self.next += 1;
        let mut stream = match self.remove(key) {
            Some(stream) => Stream { number, last_ns: boot_ns, ..stream },
            None => Stream::new(flow, number, boot_ns),
        };
        if kind == PayloadKind::ClientHello || (key.is_dns && stream.begins.is_none()) {
            stream.begins.get_or_insert(sequence);
        }
        stream.add(sequence, bytes);
        stream.read(key, boot_ns, whole);
        if stream.bytes > STREAM_BYTES_MAX || stream.pieces.len() > STREAM_PIECES_MAX {
            self.evicted += 1;
            self.give_up(key, stream, whole);
        } else {
            self.put(key, stream);
        }
        while self.streams.len() > STREAMS_MAX || self.bytes > STREAMS_BYTES_MAX {
            let Some((_, &oldest)) = self.order.first_key_value() else { break };
            let Some(stream) = self.remove(oldest) else { break };
            self.evicted += 1;
            self.give_up(oldest, stream, whole);
        }
    }

    /// Reads what is there of a flow that ends, or of which a record is made.
    pub(crate) fn settle(&mut self, flow: &Flow, whole: &mut Vec<Whole>) {
        for (sent, is_dns) in [(false, false), (true, false), (false, true), (true, true)] {
            let key = StreamKey { flow: Key::of(flow), sent, is_dns };
            if let Some(stream) = self.remove(key) {
                self.give_up(key, stream, whole);
            }
        }
    }

    /// Forgets streams of which nothing came for a while.
    pub(crate) fn expire(&mut self, now_ns: u64, whole: &mut Vec<Whole>) {
        while let Some((_, &oldest)) = self.order.first_key_value() {
            let is_due = |stream: &Stream| stream.last_ns.saturating_add(STREAM_IDLE_NS) <= now_ns;
            if !self.streams.get(&oldest).is_none_or(is_due) {
                return;
            }
            let Some(stream) = self.remove(oldest) else { return };
            self.give_up(oldest, stream, whole);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// How many a limit forced out.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many were read though a part was missing.
    pub(crate) const fn cut(&self) -> u64 {
        self.cut
    }

    fn put(&mut self, key: StreamKey, stream: Stream) {
        self.bytes += stream.bytes;
        self.order.insert(stream.number, key);
        self.streams.insert(key, stream);
    }

    fn remove(&mut self, key: StreamKey) -> Option<Stream> {
        let stream = self.streams.remove(&key)?;
        self.order.remove(&stream.number);
        self.bytes -= stream.bytes;
        Some(stream)
    }

    fn give_up(&mut self, key: StreamKey, stream: Stream, whole: &mut Vec<Whole>) {
        if stream.pieces.is_empty() {
            return;
        }
        self.cut += 1;
        let bytes = stream.contiguous();
        if bytes.is_empty() {
            return;
        }
        let kind = if key.is_dns {
            match bytes.split_first_chunk() {
                Some((length, _)) => WholeKind::Dns { whole_bytes: usize::from(u16::from_be_bytes(*length)) },
                // Half of a length.
                None => WholeKind::Dns { whole_bytes: usize::from(u16::MAX) },
            }
        } else {
            WholeKind::ClientHello
        };
        let bytes = if key.is_dns { bytes.get(LENGTH_BYTES..).unwrap_or_default().to_vec() } else { bytes };
        whole.push(Whole { flow: stream.flow, kind, sent: key.sent, boot_ns: stream.last_ns, bytes });
    }
}

impl Stream {
    const fn new(flow: Flow, number: u64, last_ns: u64) -> Self {
        Self { flow, number, last_ns, begins: None, is_done: false, pieces: Vec::new(), bytes: 0 }
    }

    /// Keeps a piece, unless it was read already, or is there.
    fn add(&mut self, sequence: u32, bytes: Vec<u8>) {
        let end = sequence.wrapping_add(bytes.len() as u32);
        let is_read = self.begins.is_some_and(|begins| !is_before(begins, end));
        let is_there = || self.pieces.iter().any(|(at, piece)| *at == sequence && piece.len() >= bytes.len());
        if bytes.is_empty() || self.is_done || is_read || is_there() {
            return;
        }
        self.bytes += bytes.len();
        self.pieces.push((sequence, bytes));
    }

    /// All that is there without a gap, from where the next message begins.
    fn contiguous(&self) -> Vec<u8> {
        let Some(begins) = self.begins else { return Vec::new() };
        let mut bytes = Vec::new();
        let mut pieces: Vec<_> = self.pieces.iter().collect();
        pieces.sort_by_key(|(sequence, _)| sequence.wrapping_sub(begins).cast_signed());
        for (sequence, piece) in pieces {
            // How far the piece begins before the end of what is there; behind it there is a gap.
            let overlap = begins.wrapping_add(bytes.len() as u32).wrapping_sub(*sequence).cast_signed();
            let Ok(overlap) = usize::try_from(overlap) else { break };
            bytes.extend_from_slice(piece.get(overlap..).unwrap_or_default());
        }
        bytes
    }

    /// Goes on to what follows so many bytes.
    fn pass(&mut self, bytes: usize) {
        let Some(begins) = &mut self.begins else { return };
        *begins = begins.wrapping_add(bytes as u32);
        let begins = *begins;
        self.pieces.retain(|(sequence, piece)| is_before(begins, sequence.wrapping_add(piece.len() as u32)));
        self.bytes = self.pieces.iter().map(|(_, piece)| piece.len()).sum();
    }

    /// Hands on what is complete.
    fn read(&mut self, key: StreamKey, boot_ns: u64, whole: &mut Vec<Whole>) {
        let bytes = self.contiguous();
        let mut of = |flow: Flow, kind, bytes: &[u8]| {
            whole.push(Whole { flow, kind, sent: key.sent, boot_ns, bytes: bytes.to_vec() });
        };
        if key.is_dns {
            let mut rest = &bytes[..];
            while let Some((length, after)) = rest.split_first_chunk() {
                let whole_bytes = usize::from(u16::from_be_bytes(*length));
                // What is larger than what is kept is read as far as that.
                let is_too_long =
                    whole_bytes + LENGTH_BYTES > STREAM_BYTES_MAX && rest.len() >= STREAM_BYTES_MAX;
                let message = match after.get(..whole_bytes) {
                    Some(message) => message,
                    None if is_too_long => after,
                    None => break,
                };
                of(self.flow, WholeKind::Dns { whole_bytes }, message);
                if whole_bytes < DNS_HEADER_BYTES {
                    // What follows something unreadable is not trusted.
                    (self.begins, self.pieces, self.bytes) = (None, Vec::new(), 0);
                    return;
                }
                self.pass(LENGTH_BYTES + whole_bytes);
                rest = after.get(whole_bytes..).unwrap_or_default();
            }
        } else if !bytes.is_empty() && !ClientHello::read(&bytes).is_ok_and(|hello| hello.cut) {
            of(self.flow, WholeKind::ClientHello, &bytes);
            self.pass(bytes.len());
            self.is_done = true;
            self.pieces = Vec::new();
            self.bytes = 0;
        }
    }
}

/// Whether a sequence number comes before another (RFC 9293, section 3.4).
const fn is_before(first: u32, second: u32) -> bool {
    first.wrapping_sub(second).cast_signed() < 0
}
