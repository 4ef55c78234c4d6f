//! Who has an address, and who had it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use hashbrown::HashTable;
use watchfire_model::Pod;

/// How long somebody who has lost an address still stands for it, unless another has got it: pods talk while they are
/// being ended, and their objects may be gone first. Milliseconds.
pub const ADDRESS_GRACE_MS: u64 = 300_000;
/// How long it is kept who had an address, for flows that began then. Milliseconds.
pub const ADDRESS_PAST_KEEP_MS: u64 = 900_000;
/// Most past holders that are kept.
pub const ADDRESSES_PAST_MAX: usize = 65_536;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_DECISECOND: u64 = 100 * NS_PER_MS;

/// Who has an address.
#[derive(Clone, Debug)]
pub(crate) enum Holder {
    Pod(Arc<Pod>),
    Node(Arc<NodeAddress>),
}

/// An address of a node.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct NodeAddress {
    pub(crate) name: Arc<str>,
    pub(crate) address: IpAddr,
}

impl Holder {
    /// Whether both are the same, though perhaps as known at different times.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pod(one), Self::Pod(other)) => {
                Arc::ptr_eq(one, other)
                    || one.uid == other.uid
                        && one.name == other.name
                        && one.identity.namespace == other.identity.namespace
            }
            (Self::Node(one), Self::Node(other)) => one.name == other.name,
            _ => false,
        }
    }
}

/// Somebody has an address, from then on. As small as can be: the address itself is its holder's.
#[derive(Clone, Debug)]
enum Claim {
    Pod { pod: Arc<Pod>, since: Deciseconds, is_v6: bool, yields: bool },
    Node { node: Arc<NodeAddress>, since: Deciseconds, yields: bool },
}

const _: () = assert!(size_of::<Claim>() == 16);

/// Tenths of a second of CLOCK_BOOTTIME: objects tell when they were made by the second.
type Deciseconds = u32;

impl Claim {
    fn new(address: IpAddr, holder: Holder, since_ns: u64, yields: bool) -> Self {
        let since = u32::try_from(since_ns / NS_PER_DECISECOND).unwrap_or(u32::MAX);
        match holder {
            Holder::Pod(pod) => Self::Pod { pod, since, is_v6: address.to_canonical().is_ipv6(), yields },
            Holder::Node(node) => Self::Node { node, since, yields },
        }
    }

    fn key(&self) -> Key {
        match self {
            Self::Pod { pod, is_v6: true, .. } => pod.ips.v6().map(|address| key(address.into())),
            Self::Pod { pod, is_v6: false, .. } => pod.ips.v4().map(|address| key(address.into())),
            Self::Node { node, .. } => Some(key(node.address)),
        }
        .unwrap_or_default()
    }

    fn holder(&self) -> Holder {
        match self {
            Self::Pod { pod, .. } => Holder::Pod(Arc::clone(pod)),
            Self::Node { node, .. } => Holder::Node(Arc::clone(node)),
        }
    }

    const fn since_ns(&self) -> u64 {
        let (Self::Pod { since, .. } | Self::Node { since, .. }) = self;
        *since as u64 * NS_PER_DECISECOND
    }

    const fn yields(&self) -> bool {
        let (Self::Pod { yields, .. } | Self::Node { yields, .. }) = self;
        *yields
    }
}

/// Somebody had an address.
#[derive(Debug)]
struct Tenure {
    claim: Claim,
    until_ns: u64,
}

/// The answer to who has an address.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    By(Holder),
    /// More than one say so, and nothing speaks for one of them.
    Contested,
    Nobody,
}

/// Addresses with their holders. Times are nanoseconds of CLOCK_BOOTTIME.
#[derive(Default, Debug)]
pub(crate) struct Addresses {
    /// By their addresses; usually one of each.
    current: HashTable<Claim>,
    hasher: RandomState,
    past: HashMap<Key, VecDeque<Tenure>>,
    /// Ends of the tenures in `past`, earliest first.
    ends: VecDeque<(u64, Key)>,
    /// Addresses that somebody claimed while another had them.
    suspected: Vec<Key>,
    contested: u64,
    evicted: u64,
}

/// An address; v4 as mapped into v6.
type Key = [u8; 16];

fn key(address: IpAddr) -> Key {
    let v6: Ipv6Addr = match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    v6.octets()
}

impl Addresses {
    /// Somebody has an address since then. One who `yields` is about to lose it.
    pub(crate) fn claim(&mut self, address: IpAddr, holder: Holder, since_ns: u64, yields: bool) {
        let key = key(address);
        let hash = self.hasher.hash_one(key);
        let known = self.current.find_mut(hash, |claim| claim.key() == key && claim.holder().is(&holder));
        if let Some(known) = known {
            let since_ns = known.since_ns();
            *known = Claim::new(address, holder, since_ns, yields);
            return;
        }
        if !yields && self.claims(key).any(|claim| !claim.yields()) {
            self.suspected.push(key);
        }
        let hasher = &self.hasher;
        let claim = Claim::new(address, holder, since_ns, yields);
        self.current.insert_unique(hash, claim, |claim| hasher.hash_one(claim.key()));
    }

    fn claims(&self, key: Key) -> impl Iterator<Item = &Claim> {
        self.current.iter_hash(self.hasher.hash_one(key)).filter(move |claim| claim.key() == key)
    }

    /// To be called when nothing is about to be told that goes with what was: counts the addresses of which it cannot be
    /// said any more whose they are.
    pub(crate) fn settle(&mut self) {
        for key in std::mem::take(&mut self.suspected) {
            self.contested += u64::from(matches!(self.current_at(key, u64::MAX), Held::Contested));
        }
    }

    /// Somebody has an address no longer.
    pub(crate) fn release(&mut self, address: IpAddr, holder: &Holder, now_ns: u64) {
        let key = key(address);
        let hash = self.hasher.hash_one(key);
        let claimed = self.current.find_entry(hash, |claim| claim.key() == key && claim.holder().is(holder));
        if let Ok(claimed) = claimed {
            let (claim, _) = claimed.remove();
            self.past.entry(key).or_default().push_back(Tenure { claim, until_ns: now_ns });
            self.ends.push_back((now_ns, key));
        }
        while self.ends.len() > ADDRESSES_PAST_MAX {
            self.evicted += 1;
            self.forget_first();
        }
    }

    /// Who had an address at that time.
    pub(crate) fn at(&self, address: IpAddr, at_ns: u64) -> Held {
        let key = key(address);
        let held = self.current_at(key, at_ns);
        if !matches!(held, Held::Nobody) {
            return held;
        }
        let past = self.past.get(&key).map(|past| past.iter().rev()).into_iter().flatten();
        let grace_ns = ADDRESS_GRACE_MS * NS_PER_MS;
        let then = past.filter(|tenure| {
            tenure.claim.since_ns() <= at_ns && at_ns < tenure.until_ns.saturating_add(grace_ns)
        });
        match then.max_by_key(|tenure| tenure.claim.since_ns()) {
            Some(tenure) => Held::By(tenure.claim.holder()),
            // Nobody else is known to have had it: its holder was told of late.
            None => self.current_at(key, u64::MAX),
        }
    }

    /// Whose claim stands at that time: of those who do not yield, or else of those who do, if there is one.
    fn current_at(&self, key: Key, at_ns: u64) -> Held {
        let by_then = |yielding: bool| {
            let mut then =
                self.claims(key).filter(move |claim| claim.since_ns() <= at_ns && claim.yields() == yielding);
            match (then.next(), then.next()) {
                (Some(claim), None) => Held::By(claim.holder()),
                (Some(_), Some(_)) => Held::Contested,
                (None, _) => Held::Nobody,
            }
        };
        match by_then(false) {
            Held::Nobody => by_then(true),
            held => held,
        }
    }

    /// Forgets those who lost their addresses long enough ago.
    pub(crate) fn expire(&mut self, now_ns: u64) {
        let keep_ns = ADDRESS_PAST_KEEP_MS * NS_PER_MS;
        while self.ends.front().is_some_and(|(until_ns, _)| until_ns.saturating_add(keep_ns) <= now_ns) {
            self.forget_first();
        }
    }

    /// Whether a pod's address was another's until within `window_ns` before or after a time.
    pub(crate) fn passed_on_near(&self, pod: &Arc<Pod>, at_ns: u64, window_ns: u64) -> bool {
        let holder = Holder::Pod(Arc::clone(pod));
        let past = pod.ips.iter().filter_map(|address| self.past.get(&key(address))).flatten();
        past.filter(|tenure| tenure.until_ns.abs_diff(at_ns) <= window_ns)
            .any(|tenure| !tenure.claim.holder().is(&holder))
    }

    fn forget_first(&mut self) {
        let Some((_, key)) = self.ends.pop_front() else { return };
        if let Some(past) = self.past.get_mut(&key) {
            past.pop_front();
            if past.is_empty() {
                self.past.remove(&key);
            }
        }
    }

    /// How often an address came to have two holders of whom none is about to lose it.
    pub(crate) const fn contested(&self) -> u64 {
        self.contested
    }

    /// How many past holders [`ADDRESSES_PAST_MAX`] has forced out.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use watchfire_model::{Identity, PodIps, PodUid};

    use super::*;

    const MS: u64 = NS_PER_MS;

    fn pod(name: &str) -> Holder {
        let identity = Identity {
            namespace: "shop".into(),
            labels: watchfire_model::Labels::new(),
            ports: Vec::new(),
            host_network: false,
            service_account: None,
            workload: None,
        };
        let uid = PodUid::parse(&format!("{:0>32}", name.len()));
        let ips: PodIps = std::iter::once(ip()).collect();
        Holder::Pod(Arc::new(Pod { name: name.into(), uid, identity: Arc::new(identity), ips, node: None }))
    }

    fn name(held: &Held) -> String {
        match held {
            Held::By(Holder::Pod(pod)) => pod.name.to_string(),
            Held::By(Holder::Node(node)) => format!("node {}", node.name),
            Held::Contested => "contested".to_owned(),
            Held::Nobody => "nobody".to_owned(),
        }
    }

    fn ip() -> IpAddr {
        "10.0.0.1".parse().unwrap()
    }

    fn at(addresses: &Addresses, ms: u64) -> String {
        name(&addresses.at("::ffff:10.0.0.1".parse().unwrap(), ms * MS))
    }

    #[test]
    fn an_address_that_is_used_again_has_another_holder_from_then_on() {
        let mut addresses = Addresses::default();
        addresses.claim(ip(), pod("a"), 100 * MS, false);
        addresses.release(ip(), &pod("a"), 5000 * MS);
        assert_eq!(at(&addresses, 200), "a");
        assert_eq!(at(&addresses, 6000), "a", "it still talks");
        addresses.claim(ip(), pod("bb"), 7000 * MS, false);
        assert_eq!(at(&addresses, 6000), "a");
        assert_eq!(at(&addresses, 7000), "bb");
        assert_eq!(at(&addresses, 50), "bb", "nobody else is known to have had it then");
        addresses.expire(5000 * MS + ADDRESS_PAST_KEEP_MS * MS);
        assert_eq!(at(&addresses, 6000), "bb");
        addresses.release(ip(), &pod("bb"), 8000 * MS);
        assert_eq!(at(&addresses, 8000 + ADDRESS_GRACE_MS), "nobody");
        assert_eq!(at(&addresses, 7000 + ADDRESS_GRACE_MS), "bb");
    }

    #[test]
    fn two_at_once_are_contested_unless_one_is_about_to_leave() {
        let mut addresses = Addresses::default();
        addresses.claim(ip(), pod("a"), 0, false);
        addresses.claim(ip(), pod("bb"), 1000 * MS, false);
        assert_eq!((at(&addresses, 500), at(&addresses, 1000)), ("a".to_owned(), "contested".to_owned()));
        assert_eq!(addresses.contested(), 0);
        addresses.settle();
        assert_eq!(addresses.contested(), 1);
        addresses.claim(ip(), pod("a"), 0, true);
        assert_eq!(at(&addresses, 1000), "bb");
        assert_eq!(at(&addresses, 500), "a");
        addresses.release(ip(), &pod("a"), 2000 * MS);
        addresses.release(ip(), &pod("none"), 2000 * MS);
        assert_eq!(at(&addresses, 3000), "bb");
        addresses.settle();
        assert_eq!(addresses.contested(), 1);
    }

    #[test]
    fn the_past_is_bounded() {
        let mut addresses = Addresses::default();
        for time in 0..ADDRESSES_PAST_MAX as u64 + 5 {
            addresses.claim(ip(), pod("a"), time, false);
            addresses.release(ip(), &pod("a"), time + 1);
        }
        assert_eq!(addresses.ends.len(), ADDRESSES_PAST_MAX);
        assert_eq!(addresses.past[&key(ip())].len(), ADDRESSES_PAST_MAX);
        assert_eq!(addresses.evicted(), 5);
    }
}
