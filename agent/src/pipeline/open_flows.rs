//! What was said of the flows that are open, so that their end says the same, and what was seen in them since.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use watchfire_inventory::{Ends, ServicePort};
use watchfire_model::{BackendView, Flow, Icmp, Peer, Protocol, TlsView, Verdict};

use super::interned::{Interned, Salient};

/// Most open flows that are kept.
pub(crate) const FLOWS_MAX: usize = 131_072;

/// Who stood at the ends of a flow when it began, and what policy said then.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Judged {
    pub(crate) ends: Ends,
    pub(crate) verdict: Verdict,
    pub(crate) led: Option<Led>,
    /// Names of the end that is not the observed one.
    pub(crate) names: Vec<Arc<str>>,
}

impl Salient for Judged {
    fn salient(&self) -> impl Hash {
        let Self { ends: Ends { client, server }, verdict, led, names } = self;
        (who(client), who(server), verdict.outcome, led.as_ref().map(|led| led.backend.address), names)
    }
}

impl Salient for TlsView {
    fn salient(&self) -> impl Hash {
        (&self.sni, &self.ja4)
    }
}

fn who(peer: &Peer) -> (&str, &str) {
    match peer {
        Peer::Pod(pod) => (&pod.identity.namespace, &pod.name),
        Peer::Node { name } => ("", name),
        Peer::World => ("", ""),
        Peer::Unresolved(why) => ("", why),
    }
}

/// Where a connection led whose server's address is not a server's own.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Led {
    /// Whose address it is, where the inventory tells.
    pub(crate) service: Option<Arc<ServicePort>>,
    /// Where it led, and how that is known.
    pub(crate) backend: BackendView,
}

/// What was seen of the opening of TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Hello {
    /// Nobody looked: the flow is not in the table.
    Unknown,
    /// Nothing so far.
    NotSeen,
    /// Something that begins like it.
    Unreadable,
    /// This.
    Seen(Arc<TlsView>),
}

impl Hello {
    pub(crate) fn view(&self) -> Option<Arc<TlsView>> {
        match self {
            Self::Seen(view) => Some(Arc::clone(view)),
            Self::Unknown | Self::NotSeen | Self::Unreadable => None,
        }
    }
}

/// All that is kept of an open flow.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OpenFlow {
    pub(crate) judged: Arc<Judged>,
    pub(crate) hello: Hello,
}

/// What tells flows apart. Several flows of one UDP, ICMP or SCTP socket share its cookie, and so do attempts of a TCP
/// socket that connects again.
// Cookies are handed out in rising order, in batches per CPU (include/linux/cookie.h): the smallest is about the oldest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Key {
    cookie: u64,
    client: End,
    server: End,
    protocol: Protocol,
}

/// Address and port, which stands for what an ICMP flow is told apart by. Half as large as a `SocketAddr`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct End {
    ip: [u8; 16],
    port: [u8; 2],
}

impl End {
    fn new(address: SocketAddr, port: [u8; 2]) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self { ip: ip.octets(), port }
    }
}

impl Key {
    pub(super) fn of(flow: &Flow) -> Self {
        let Flow { cookie, client, server, protocol, icmp, .. } = *flow;
        let (first, second) = match icmp {
            Some(Icmp { icmp_type, code, id }) => (id.to_be_bytes(), [icmp_type, code]),
            None => (client.port().to_be_bytes(), server.port().to_be_bytes()),
        };
        Self { cookie, client: End::new(client, first), server: End::new(server, second), protocol }
    }
}

const _: () = assert!(size_of::<Key>() + size_of::<OpenFlow>() <= 72);

/// Open flows.
#[derive(Default, Debug)]
pub(crate) struct OpenFlows {
    entries: BTreeMap<Key, OpenFlow>,
    /// Few things are said, of many flows.
    judged: Interned<Judged>,
    views: Interned<TlsView>,
    evicted: u64,
}

impl OpenFlows {
    /// Keeps what was said of a flow until its end.
    pub(crate) fn put(&mut self, flow: &Flow, judged: Judged) {
        let entry = OpenFlow { judged: self.judged.share(Arc::new(judged)), hello: Hello::NotSeen };
        let before = self.entries.insert(Key::of(flow), entry);
        if let Some(before) = before {
            // What it carried may be told before its opening.
            self.set_hello(flow, before.hello);
        }
        if self.entries.len() > FLOWS_MAX {
            self.entries.pop_first();
            self.evicted += 1;
        }
    }

    /// What was said of a flow that ends now; none of one that was forgotten or never established.
    pub(crate) fn take(&mut self, flow: &Flow) -> Option<OpenFlow> {
        self.entries.remove(&Key::of(flow))
    }

    /// What was said of a flow that goes on.
    pub(crate) fn get(&self, flow: &Flow) -> Option<OpenFlow> {
        self.entries.get(&Key::of(flow)).cloned()
    }

    pub(crate) fn is_open(&self, flow: &Flow) -> bool {
        self.entries.contains_key(&Key::of(flow))
    }

    /// What was seen of TLS in an open flow. The first that can be read stays.
    pub(crate) fn set_hello(&mut self, flow: &Flow, hello: Hello) {
        if let Some(entry) = self.entries.get_mut(&Key::of(flow))
            && !matches!(entry.hello, Hello::Seen(_))
        {
            entry.hello = match hello {
                Hello::Seen(view) => Hello::Seen(self.views.share(view)),
                other => other,
            };
        }
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
            names: Vec::new(),
        }
    }

    fn open(hello: Hello) -> OpenFlow {
        OpenFlow { judged: Arc::new(judged()), hello }
    }

    #[test]
    fn an_end_finds_its_opening_once() {
        let mut flows = OpenFlows::default();
        flows.put(&flow(1), judged());
        assert_eq!(flows.take(&flow(1)), Some(open(Hello::NotSeen)));
        assert_eq!(flows.take(&flow(1)), None);
        flows.put(&flow(1), judged());
        let elsewhere = Flow { server: "10.0.0.3:80".parse().unwrap(), ..flow(1) };
        assert_eq!(flows.take(&elsewhere), None);
    }

    #[test]
    fn flows_of_one_socket_are_kept_apart() {
        let mut flows = OpenFlows::default();
        let other_server = Flow { server: "10.0.0.3:80".parse().unwrap(), ..flow(1) };
        let ping = |id| {
            let icmp = Some(Icmp { icmp_type: 8, code: 0, id });
            Flow { protocol: Protocol::Icmp, icmp, ..flow(1) }
        };
        let all = [flow(1), other_server, Flow { protocol: Protocol::Udp, ..flow(1) }, ping(1), ping(2)];
        for flow in &all {
            flows.put(flow, judged());
        }
        assert_eq!(flows.len(), all.len());
        flows.set_hello(&all[1], Hello::Unreadable);
        assert_eq!(flows.get(&all[0]), Some(open(Hello::NotSeen)));
        assert_eq!(flows.take(&all[1]), Some(open(Hello::Unreadable)));
        assert_eq!(flows.len(), all.len() - 1);
    }

    #[test]
    fn what_was_seen_of_tls_stays() {
        let mut flows = OpenFlows::default();
        let seen = Hello::Seen(Arc::default());
        flows.set_hello(&flow(1), seen.clone());
        assert_eq!(flows.get(&flow(1)), None);
        flows.put(&flow(1), judged());
        flows.set_hello(&flow(1), seen.clone());
        flows.put(&flow(1), judged());
        flows.set_hello(&flow(1), Hello::Unreadable);
        assert_eq!(flows.get(&flow(1)), Some(open(seen)));
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
