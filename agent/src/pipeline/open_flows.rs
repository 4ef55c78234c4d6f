//! What was said of the flows that are open, so that their end says the same, and what was seen in them since.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::ops::Bound;
use std::sync::Arc;

use watchfire_inventory::{Ends, ServicePort};
use watchfire_model::{
    BackendView, Dialect, Flow, Icmp, Origin, Owner, Peer, Protocol, Side, TlsView, Verdict,
};

use super::interned::{Interned, Salient};
use super::mesh::MeshViews;

/// Most open flows that are kept.
pub(crate) const FLOWS_MAX: usize = 131_072;

/// Who stood at the ends of a flow when it began, and what policy said then.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Judged {
    pub(crate) ends: Ends,
    pub(crate) verdict: Arc<Verdict>,
    pub(crate) mesh: Option<MeshViews>,
    pub(crate) led: Option<Led>,
    /// Names of the end that is not the observed one.
    pub(crate) names: Vec<Arc<str>>,
}

/// What was said of a flow, by what, and since then.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) judged: Arc<Judged>,
    pub(crate) opener: Opener,
    /// The policies that it was judged by.
    pub(crate) epoch: u64,
    pub(crate) dialect: Dialect,
    pub(crate) is_stale: bool,
    /// What policies that came into force since then say, where that ever was something else.
    pub(crate) now: Option<Arc<Now>>,
}

/// What policies of a later time say of a flow.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Now {
    pub(crate) epoch: u64,
    pub(crate) verdict: Arc<Verdict>,
    pub(crate) mesh: Option<MeshViews>,
}

/// What else is told of a flow, as far as it is kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Opener {
    owner: Owner,
    cgroup_id: u64,
    netns: u32,
    side: Side,
    origin: Origin,
    direction_guessed: bool,
    is_icmp: bool,
}

impl Opener {
    pub(crate) const fn of(flow: &Flow) -> Self {
        let Flow { owner, cgroup_id, netns, side, origin, direction_guessed, icmp, .. } = *flow;
        Self { owner, cgroup_id, netns, side, origin, direction_guessed, is_icmp: icmp.is_some() }
    }
}

impl PartialEq for Said {
    fn eq(&self, other: &Self) -> bool {
        let Self { judged, opener, epoch, dialect, is_stale, now } = self;
        (opener, epoch, dialect, is_stale, now)
            == (&other.opener, &other.epoch, &other.dialect, &other.is_stale, &other.now)
            && (Arc::ptr_eq(judged, &other.judged) || judged == &other.judged)
    }
}

impl Salient for Said {
    fn salient(&self) -> impl Hash {
        let Self { judged, opener, epoch, dialect: _, is_stale, now } = self;
        let now = now.as_ref().map(|now| (now.epoch, now.verdict.outcome));
        let owner = match opener.owner {
            Owner::Known(id) => Some(id),
            Owner::Unknown(_) => None,
        };
        (Arc::as_ptr(judged).addr(), owner, opener.cgroup_id, epoch, is_stale, now)
    }
}

impl Salient for Judged {
    fn salient(&self) -> impl Hash {
        let Self { ends: Ends { client, server }, verdict, mesh: _, led, names } = self;
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
    pub(crate) said: Arc<Said>,
    pub(crate) hello: Hello,
}

/// The same as small as can be.
#[derive(Debug)]
struct Entry {
    said: Arc<Said>,
    /// None where nothing was seen; what stands for something unreadable is one of its own.
    hello: Option<Arc<TlsView>>,
    opened_boot_ns: u64,
}

/// An open flow as it is kept, to be judged again.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) key: Key,
    pub(super) said: Arc<Said>,
    pub(super) hello: Hello,
    pub(super) opened_boot_ns: u64,
}

impl Kept {
    /// The flow, but for the time that its handshake took.
    pub(super) fn flow(&self) -> Flow {
        let Key { cookie, client, server, protocol } = self.key;
        let Opener { owner, cgroup_id, netns, side, origin, direction_guessed, is_icmp } = self.said.opener;
        let [icmp_type, code] = server.port;
        let icmp = is_icmp.then(|| Icmp { icmp_type, code, id: u16::from_be_bytes(client.port) });
        Flow {
            cookie,
            protocol,
            client: client.address(is_icmp),
            server: server.address(is_icmp),
            side,
            direction_guessed,
            owner,
            cgroup_id,
            netns,
            opened_boot_ns: self.opened_boot_ns,
            origin,
            handshake_ns: None,
            icmp,
        }
    }
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

    fn address(self, is_icmp: bool) -> SocketAddr {
        let port = if is_icmp { 0 } else { u16::from_be_bytes(self.port) };
        SocketAddr::new(IpAddr::from(self.ip).to_canonical(), port)
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

const _: () = assert!(size_of::<Key>() + size_of::<Entry>() <= 72);

/// Open flows.
#[derive(Default, Debug)]
pub(crate) struct OpenFlows {
    entries: BTreeMap<Key, Entry>,
    /// Few things are said, of many flows.
    judged: Interned<Judged>,
    said: Interned<Said>,
    views: Interned<TlsView>,
    unreadable: Arc<TlsView>,
    evicted: u64,
}

impl OpenFlows {
    /// Keeps what was said of a flow until its end.
    pub(crate) fn put(&mut self, flow: &Flow, mut said: Said) -> Arc<Said> {
        said.judged = self.judged.share(said.judged);
        let said = self.said.share(Arc::new(said));
        let key = Key::of(flow);
        // What it carried may be told before its opening.
        let hello = self.entries.remove(&key).and_then(|before| before.hello);
        let entry = Entry { said: Arc::clone(&said), hello, opened_boot_ns: flow.opened_boot_ns };
        self.entries.insert(key, entry);
        if self.entries.len() > FLOWS_MAX {
            self.entries.pop_first();
            self.evicted += 1;
        }
        said
    }

    /// Says something else of an open flow from now on.
    pub(super) fn say(&mut self, key: &Key, said: Said) -> Option<Arc<Said>> {
        let entry = self.entries.get_mut(key)?;
        entry.said = self.said.share(Arc::new(said));
        Some(Arc::clone(&entry.said))
    }

    /// An open flow, to be judged again.
    pub(super) fn kept(&self, flow: &Flow) -> Option<Kept> {
        let key = Key::of(flow);
        let entry = self.entries.get(&key)?;
        let (said, hello) = (Arc::clone(&entry.said), self.hello(entry));
        Some(Kept { key, said, hello, opened_boot_ns: entry.opened_boot_ns })
    }

    /// Up to `limit` open flows, those that follow `after`, in the order in which they are kept.
    pub(super) fn following(&self, after: Option<&Key>, limit: usize) -> Vec<Kept> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries.range((from, Bound::Unbounded)).take(limit);
        let kept = entries.map(|(key, entry)| Kept {
            key: *key,
            said: Arc::clone(&entry.said),
            hello: self.hello(entry),
            opened_boot_ns: entry.opened_boot_ns,
        });
        kept.collect()
    }

    fn hello(&self, entry: &Entry) -> Hello {
        match &entry.hello {
            None => Hello::NotSeen,
            Some(view) if Arc::ptr_eq(view, &self.unreadable) => Hello::Unreadable,
            Some(view) => Hello::Seen(Arc::clone(view)),
        }
    }

    fn open_flow(&self, entry: &Entry) -> OpenFlow {
        OpenFlow { said: Arc::clone(&entry.said), hello: self.hello(entry) }
    }

    /// What was said of a flow that ends now; none of one that was forgotten or never established.
    pub(crate) fn take(&mut self, flow: &Flow) -> Option<OpenFlow> {
        let entry = self.entries.remove(&Key::of(flow))?;
        Some(self.open_flow(&entry))
    }

    /// What was said of a flow that goes on.
    pub(crate) fn get(&self, flow: &Flow) -> Option<OpenFlow> {
        self.entries.get(&Key::of(flow)).map(|entry| self.open_flow(entry))
    }

    pub(crate) fn is_open(&self, flow: &Flow) -> bool {
        self.entries.contains_key(&Key::of(flow))
    }

    /// What was seen of TLS in an open flow. The first that can be read stays.
    pub(crate) fn set_hello(&mut self, flow: &Flow, hello: Hello) {
        let Some(entry) = self.entries.get_mut(&Key::of(flow)) else { return };
        if entry.hello.as_ref().is_some_and(|known| !Arc::ptr_eq(known, &self.unreadable)) {
            return;
        }
        match hello {
            Hello::Seen(view) => entry.hello = Some(self.views.share(view)),
            Hello::Unreadable => entry.hello = Some(Arc::clone(&self.unreadable)),
            Hello::Unknown | Hello::NotSeen => {}
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

    fn said(flow: &Flow) -> Said {
        let judged = Judged {
            ends: Ends { client: Peer::World, server: Peer::World },
            verdict: Arc::new(Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered)),
            mesh: None,
            led: None,
            names: Vec::new(),
        };
        Said {
            judged: Arc::new(judged),
            opener: Opener::of(flow),
            epoch: 1,
            dialect: Dialect::K8s,
            is_stale: false,
            now: None,
        }
    }

    fn put(flows: &mut OpenFlows, flow: &Flow) {
        flows.put(flow, said(flow));
    }

    fn open(hello: Hello) -> OpenFlow {
        OpenFlow { said: Arc::new(said(&flow(1))), hello }
    }

    #[test]
    fn an_end_finds_its_opening_once() {
        let mut flows = OpenFlows::default();
        put(&mut flows, &flow(1));
        assert_eq!(flows.take(&flow(1)), Some(open(Hello::NotSeen)));
        assert_eq!(flows.take(&flow(1)), None);
        put(&mut flows, &flow(1));
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
            put(&mut flows, flow);
        }
        assert_eq!(flows.len(), all.len());
        flows.set_hello(&all[1], Hello::Unreadable);
        assert_eq!(flows.get(&all[0]), Some(open(Hello::NotSeen)));
        assert_eq!(flows.take(&all[1]), Some(open(Hello::Unreadable)));
        assert_eq!(flows.len(), all.len() - 1);
    }

    #[test]
    fn a_flow_is_found_again_as_it_was() {
        let mut flows = OpenFlows::default();
        let owner = Owner::Known(watchfire_model::ExecId { boot: 1, pid: 2, start_ticks: 3 });
        let icmp = Some(Icmp { icmp_type: 8, code: 1, id: 77 });
        let (v6, port_0) = ("[2001:db8::1]:443".parse().unwrap(), "10.0.0.1:0".parse().unwrap());
        let all = [
            Flow { owner, cgroup_id: 9, netns: 7, opened_boot_ns: 5, direction_guessed: true, ..flow(1) },
            Flow { side: Side::Server, origin: Origin::BeforeStart, server: v6, ..flow(2) },
            Flow { protocol: Protocol::Icmp, client: port_0, server: port_0, icmp, ..flow(3) },
        ];
        for flow in &all {
            put(&mut flows, flow);
        }
        flows.set_hello(&all[1], Hello::Unreadable);
        let kept = flows.following(None, 2);
        assert_eq!(kept.iter().map(Kept::flow).collect::<Vec<_>>(), all[..2]);
        assert_eq!(kept[1].hello, Hello::Unreadable);
        let rest = flows.following(Some(&kept[1].key), 2);
        assert_eq!(rest.iter().map(Kept::flow).collect::<Vec<_>>(), all[2..]);
    }

    #[test]
    fn what_was_seen_of_tls_stays() {
        let mut flows = OpenFlows::default();
        let seen = Hello::Seen(Arc::default());
        flows.set_hello(&flow(1), seen.clone());
        assert_eq!(flows.get(&flow(1)), None);
        put(&mut flows, &flow(1));
        flows.set_hello(&flow(1), seen.clone());
        put(&mut flows, &flow(1));
        flows.set_hello(&flow(1), Hello::Unreadable);
        assert_eq!(flows.get(&flow(1)), Some(open(seen)));
    }

    #[test]
    fn the_limit_holds_and_is_counted() {
        let mut flows = OpenFlows::default();
        for cookie in 0..FLOWS_MAX as u64 + 3 {
            put(&mut flows, &flow(cookie));
        }
        assert_eq!((flows.len(), flows.evicted()), (FLOWS_MAX, 3));
        assert_eq!(flows.take(&flow(2)), None);
        assert!(flows.take(&flow(3)).is_some());
    }
}
