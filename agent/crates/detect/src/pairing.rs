//! A connection of which both ends are on this node is seen twice, and is one.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use watchfire_model::{FlowRecord, Icmp, Protocol, Side};

/// How long the other end of a connection is waited for, nanoseconds. Both are established within a round trip.
pub const PAIRING_NS: u64 = 10_000_000_000;
/// Most ends that wait for the other one.
pub const PAIRS_MAX: usize = 16_384;

/// What both ends of a connection see alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Ends {
    /// What the connection is counted as.
    counted_as: u8,
    protocol: Protocol,
    client: SocketAddr,
    server: SocketAddr,
    icmp: Option<Icmp>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    /// Ends of clients less ends of servers.
    balance: i64,
    last_ns: u64,
}

/// Ends that were seen without the other one.
#[derive(Default, Debug)]
pub(crate) struct Pairing {
    waiting: HashMap<Ends, Pair>,
    /// The same in the order of their time; those that are met or were seen again are still in it.
    by_time: VecDeque<(u64, Ends)>,
    evicted: u64,
}

impl Pairing {
    /// Whether the other end of the connection was seen shortly before, and counted as the same.
    pub(crate) fn is_second(&mut self, flow: &FlowRecord, counted_as: u8, now_ns: u64) -> bool {
        self.expire(now_ns);
        let server = flow.server.backend.and_then(|backend| backend.address).unwrap_or(flow.server.address);
        let ends = Ends {
            counted_as,
            protocol: flow.protocol,
            client: flow.client.address,
            server,
            icmp: flow.icmp,
        };
        let step = match flow.side {
            Side::Client => 1,
            Side::Server => -1,
        };
        let before = self.waiting.get(&ends).map_or(0, |pair| pair.balance);
        let balance = before + step;
        if balance == 0 {
            self.waiting.remove(&ends);
        } else {
            self.waiting.insert(ends, Pair { balance, last_ns: now_ns });
            self.by_time.push_back((now_ns, ends));
            if self.by_time.len() > PAIRS_MAX {
                self.evicted += u64::from(self.forget_first());
            }
        }
        balance.abs() < before.abs()
    }

    fn expire(&mut self, now_ns: u64) {
        while self.by_time.front().is_some_and(|(at_ns, _)| at_ns.saturating_add(PAIRING_NS) <= now_ns) {
            self.forget_first();
        }
    }

    /// Answers whether somebody still waited.
    fn forget_first(&mut self) -> bool {
        let Some((at_ns, ends)) = self.by_time.pop_front() else { return false };
        let is_waiting = self.waiting.get(&ends).is_some_and(|pair| pair.last_ns == at_ns);
        if is_waiting {
            self.waiting.remove(&ends);
        }
        is_waiting
    }

    /// How many ends stopped waiting because of [`PAIRS_MAX`]: the other one may have been counted as well.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }
}
