//! What was said of the connections that are open, so that their end says the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use watchfire_inventory::{Ends, ServicePort};
use watchfire_model::{BackendView, Flow, Verdict};

/// Most open flows that are kept.
pub(crate) const FLOWS_MAX: usize = 131_072;

/// Who stood at the ends of a flow when it began, and what policy said then.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Judged {
    pub(crate) ends: Ends,
    pub(crate) verdict: Verdict,
    pub(crate) led: Option<Led>,
}

/// Where a connection led whose server's address is not a server's own.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Led {
    /// Whose address it is, where the inventory tells.
    pub(crate) service: Option<Arc<ServicePort>>,
    /// Where it led, and how that is known.
    pub(crate) backend: BackendView,
}

#[derive(Debug)]
struct Entry {
    client: SocketAddr,
    server: SocketAddr,
    judged: Judged,
}

/// Open flows by socket cookie.
#[derive(Default, Debug)]
pub(crate) struct OpenFlows {
    // Cookies are handed out in rising order, in batches per CPU (include/linux/cookie.h): the smallest is about the
    // oldest.
    entries: BTreeMap<u64, Entry>,
    evicted: u64,
}

impl OpenFlows {
    /// Keeps what was said of a flow until its end.
    pub(crate) fn put(&mut self, flow: &Flow, judged: Judged) {
        let Flow { cookie, client, server, .. } = *flow;
        self.entries.insert(cookie, Entry { client, server, judged });
        if self.entries.len() > FLOWS_MAX {
            self.entries.pop_first();
            self.evicted += 1;
        }
    }

    /// What was said of a flow that ends now. A socket can connect again after a failed attempt: then the addresses
    /// differ, and nothing was said yet.
    pub(crate) fn take(&mut self, flow: &Flow) -> Option<Judged> {
        let entry = self.entries.remove(&flow.cookie)?;
        (entry.client == flow.client && entry.server == flow.server).then_some(entry.judged)
    }

    /// What was said of a flow that goes on.
    pub(crate) fn get(&self, flow: &Flow) -> Option<Judged> {
        let entry = self.entries.get(&flow.cookie)?;
        (entry.client == flow.client && entry.server == flow.server).then(|| entry.judged.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How often [`FLOWS_MAX`] forced one out.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use watchfire_model::{Origin, Owner, OwnerUnknown, Peer, Protocol, Side, SideVerdict};

    use super::*;

    fn flow(cookie: u64) -> Flow {
        Flow {
            cookie,
            protocol: Protocol::Tcp,
            client: "10.0.0.1:1000".parse().unwrap(),
            server: "10.0.0.2:80".parse().unwrap(),
            side: Side::Client,
            direction_guessed: false,
            owner: Owner::Unknown(OwnerUnknown::NoStorage),
            cgroup_id: 0,
            netns: 0,
            opened_boot_ns: 0,
            origin: Origin::Observed,
            handshake_ns: None,
            icmp: None,
        }
    }

    fn judged() -> Judged {
        Judged {
            ends: Ends { client: Peer::World, server: Peer::World },
            verdict: Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered),
            led: None,
        }
    }

    #[test]
    fn an_end_finds_its_opening_once() {
        let mut flows = OpenFlows::default();
        flows.put(&flow(1), judged());
        assert_eq!(flows.take(&flow(1)), Some(judged()));
        assert_eq!(flows.take(&flow(1)), None);
        flows.put(&flow(1), judged());
        let elsewhere = Flow { server: "10.0.0.3:80".parse().unwrap(), ..flow(1) };
        assert_eq!(flows.take(&elsewhere), None);
    }

    #[test]
    fn the_limit_holds_and_is_counted() {
        let mut flows = OpenFlows::default();
        for cookie in 0..FLOWS_MAX as u64 + 3 {
            flows.put(&flow(cookie), judged());
        }
        assert_eq!((flows.len(), flows.evicted()), (FLOWS_MAX, 3));
        assert_eq!(flows.take(&flow(2)), None);
        assert!(flows.take(&flow(3)).is_some());
    }
}
