//! Names that DNS gave for addresses.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::DnsAnswer;

/// Most addresses whose names are kept.
pub(crate) const ADDRESSES_MAX: usize = 32_768;
/// Most names that are kept of one address.
pub(crate) const NAMES_PER_ADDRESS_MAX: usize = 8;
/// Longest text of a name that is kept, bytes. Only names of unprintable bytes, which take four each, are longer.
pub(crate) const NAME_BYTES_MAX: usize = 255;
/// Most names that a record shows.
pub(crate) const NAMES_SHOWN_MAX: usize = 4;
/// Shortest and longest time that a name is kept, seconds. Clients go on with an address after its time is over.
pub(crate) const KEPT_SECONDS: (u32, u32) = (60, 86_400);
/// How often what is over is thrown out, nanoseconds.
const SWEEP_INTERVAL_NS: u64 = 30_000_000_000;
const NS_PER_SECOND: u64 = 1_000_000_000;

#[derive(Debug)]
struct Entry {
    /// Where in the order of use it stands.
    turn: u64,
    /// Latest first.
    names: Vec<Arc<str>>,
    /// When each of them is over.
    over_ns: Vec<u64>,
    /// Whether there were more than are kept.
    is_cut: bool,
}

impl Entry {
    fn forget(&mut self, is_forgotten: impl Fn(&str, u64) -> bool) {
        let mut at = 0;
        while at < self.names.len() {
            if is_forgotten(&self.names[at], self.over_ns[at]) {
                self.names.remove(at);
                self.over_ns.remove(at);
            } else {
                at += 1;
            }
        }
    }
}

/// Which names lately stood for which address.
///
/// One table for the whole node and not one for each network namespace: names of private zones of two pods may then show
/// up in each other's records, which costs less than to know a name in one namespace alone and lose it with its pod.
#[derive(Default, Debug)]
pub(crate) struct Names {
    by_address: HashMap<IpAddr, Entry>,
    /// Addresses by when they were last named: the first is the next to go.
    turns: BTreeMap<u64, IpAddr>,
    next_turn: u64,
    addresses_evicted: u64,
    names_evicted: u64,
    swept_ns: u64,
}

impl Names {
    /// Takes in the addresses of an answer. The name asked for stands for each of them, and so do the names that its
    /// aliases lead to. Addresses of other names, which a server may put in unasked, are left out.
    ///
    /// Names are kept in lower case: it has no meaning, and some resolvers ask in random case.
    pub(crate) fn learn(&mut self, asked: &str, answers: &[DnsAnswer], now_ns: u64) {
        let mut chain = vec![asked];
        // Aliases mostly stand in their order. The limit of answers bounds the rounds.
        while let Some(next) = answers.iter().find_map(|answer| {
            let target = answer.data.as_deref().filter(|_| answer.record_type == "CNAME")?;
            (is_in(&chain, &answer.name) && !is_in(&chain, target)).then_some(target)
        }) {
            chain.push(next);
        }
        let mut names: Option<Vec<Arc<str>>> = None;
        for answer in answers.iter().filter(|answer| is_in(&chain, &answer.name)) {
            if answer.record_type != "A" && answer.record_type != "AAAA" {
                continue;
            }
            let Some(address) = answer.data.as_deref().and_then(|data| data.parse::<IpAddr>().ok()) else {
                continue;
            };
            let names = names.get_or_insert_with(|| {
                let kept = chain.iter().filter(|name| name.len() <= NAME_BYTES_MAX);
                kept.map(|name| Arc::from(name.to_ascii_lowercase())).collect()
            });
            let kept_seconds = answer.ttl.clamp(KEPT_SECONDS.0, KEPT_SECONDS.1);
            let over_ns = now_ns + u64::from(kept_seconds) * NS_PER_SECOND;
            self.names_evicted += (chain.len() - names.len()) as u64;
            self.put(address.to_canonical(), names, over_ns);
        }
    }

    /// Names that stand for an address now, the latest first.
    pub(crate) fn of(&self, address: IpAddr, now_ns: u64) -> Vec<Arc<str>> {
        let Some(entry) = self.by_address.get(&address.to_canonical()) else { return Vec::new() };
        let current = entry.names.iter().zip(&entry.over_ns).filter(|(_, over_ns)| **over_ns > now_ns);
        current.take(NAMES_SHOWN_MAX).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// All names that stand for an address, or did until a moment ago; none where it is not known what they are: none was
    /// seen, or there were more than are kept.
    pub(crate) fn all_of(&self, address: IpAddr) -> Option<&[Arc<str>]> {
        let entry = self.by_address.get(&address.to_canonical())?;
        (!entry.is_cut).then_some(&entry.names)
    }

    /// Throws out what is over.
    pub(crate) fn expire(&mut self, now_ns: u64) {
        if now_ns < self.swept_ns + SWEEP_INTERVAL_NS {
            return;
        }
        self.swept_ns = now_ns;
        let Self { by_address, turns, .. } = self;
        by_address.retain(|_, entry| {
            entry.forget(|_, over_ns| over_ns <= now_ns);
            if entry.names.is_empty() {
                turns.remove(&entry.turn);
            }
            !entry.names.is_empty()
        });
    }

    /// How many addresses have names.
    pub(crate) fn len(&self) -> usize {
        self.by_address.len()
    }

    /// How often [`ADDRESSES_MAX`] forced an address out.
    pub(crate) const fn addresses_evicted(&self) -> u64 {
        self.addresses_evicted
    }

    /// How often [`NAMES_PER_ADDRESS_MAX`] forced a name out, or [`NAME_BYTES_MAX`] did not let it in.
    pub(crate) const fn names_evicted(&self) -> u64 {
        self.names_evicted
    }

    fn put(&mut self, address: IpAddr, names: &[Arc<str>], over_ns: u64) {
        if names.is_empty() {
            return;
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        let entry = self.by_address.entry(address).or_insert_with(|| Entry {
            turn,
            names: Vec::new(),
            over_ns: Vec::new(),
            is_cut: false,
        });
        self.turns.remove(&entry.turn);
        entry.turn = turn;
        self.turns.insert(turn, address);
        // The name asked for is the first in the end.
        for name in names.iter().rev() {
            entry.forget(|known, _| *known == **name);
            entry.names.insert(0, Arc::clone(name));
            entry.over_ns.insert(0, over_ns);
        }
        let surplus = entry.names.len().saturating_sub(NAMES_PER_ADDRESS_MAX);
        self.names_evicted += surplus as u64;
        entry.is_cut |= surplus > 0;
        entry.names.truncate(NAMES_PER_ADDRESS_MAX);
        entry.over_ns.truncate(NAMES_PER_ADDRESS_MAX);
        if self.by_address.len() > ADDRESSES_MAX
            && let Some((_, oldest)) = self.turns.pop_first()
        {
            self.by_address.remove(&oldest);
            self.addresses_evicted += 1;
        }
    }
}

fn is_in(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, record_type: &'static str, ttl: u32, data: &str) -> DnsAnswer {
        DnsAnswer { name: name.to_owned(), record_type: record_type.into(), ttl, data: Some(data.to_owned()) }
    }

    fn names_of(names: &Names, address: &str, now_ns: u64) -> Vec<String> {
        names.of(address.parse().unwrap(), now_ns).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn aliases_are_followed_and_other_names_are_not_believed() {
        let mut names = Names::default();
        let answers = [
            answer("edge.cdn.example", "A", 60, "192.0.2.7"),
            answer("www.example", "CNAME", 60, "web.example"),
            answer("WEB.example", "CNAME", 60, "edge.cdn.example"),
            answer("edge.cdn.example", "AAAA", 60, "2001:db8::7"),
            answer("bank.example", "A", 60, "192.0.2.8"),
            answer("loop.example", "CNAME", 60, "loop.example"),
            answer("edge.cdn.example", "CNAME", 60, "www.example"),
        ];
        names.learn("wWw.Example", &answers, 0);
        let expected = ["www.example", "web.example", "edge.cdn.example"];
        assert_eq!(names_of(&names, "192.0.2.7", 1), expected);
        assert_eq!(names_of(&names, "2001:db8::7", 1), expected);
        assert_eq!(names_of(&names, "::ffff:192.0.2.7", 1), expected);
        assert!(names_of(&names, "192.0.2.8", 1).is_empty());
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn the_latest_name_is_the_first_and_few_are_shown() {
        let mut names = Names::default();
        let mut learn = |name: &str| {
            names.learn(name, &[answer(name, "A", 60, "192.0.2.7")], 0);
            (names_of(&names, "192.0.2.7", 1), names.names_evicted())
        };
        for n in 1..NAMES_PER_ADDRESS_MAX {
            learn(&format!("n{n}.example"));
        }
        let (shown, evicted) = learn("last.example");
        assert_eq!((shown.len(), shown[0].as_str(), evicted), (NAMES_SHOWN_MAX, "last.example", 0));
        let (shown, evicted) = learn("n1.example");
        assert_eq!((&shown[..2], evicted), (&["n1.example".to_owned(), "last.example".to_owned()][..], 0));
        assert_eq!(learn("one-more.example").1, 1);
        let (shown, evicted) = learn(&"\\000".repeat(NAME_BYTES_MAX / 4 + 1));
        assert_eq!((shown[0].as_str(), evicted), ("one-more.example", 2));
    }

    #[test]
    fn what_was_not_seen_or_not_kept_is_not_known() {
        let address = "192.0.2.7".parse().unwrap();
        let mut names = Names::default();
        assert_eq!(names.all_of(address), None);
        for n in 0..NAMES_PER_ADDRESS_MAX {
            names.learn(
                &format!("n{n}.example"),
                &[answer(&format!("n{n}.example"), "A", 60, "192.0.2.7")],
                0,
            );
        }
        assert_eq!(names.all_of(address).map(<[_]>::len), Some(NAMES_PER_ADDRESS_MAX));
        names.learn("more.example", &[answer("more.example", "A", 60, "192.0.2.7")], 0);
        assert_eq!(names.all_of(address), None);
    }

    #[test]
    fn names_have_a_time_within_bounds() {
        let (min, max) = (u64::from(KEPT_SECONDS.0), u64::from(KEPT_SECONDS.1));
        for (ttl, kept_seconds) in [(0, min), (300, 300), (u32::MAX / 2, max)] {
            let mut names = Names::default();
            names.learn("a.example", &[answer("a.example", "A", ttl, "192.0.2.7")], 0);
            let over_ns = kept_seconds * NS_PER_SECOND;
            assert_eq!(names_of(&names, "192.0.2.7", over_ns - 1).len(), 1, "{ttl}");
            assert!(names_of(&names, "192.0.2.7", over_ns).is_empty(), "{ttl}");
            names.expire(over_ns - 1);
            assert_eq!(names.len(), 1, "{ttl}");
            names.expire(over_ns + SWEEP_INTERVAL_NS);
            assert_eq!((names.len(), names.turns.len()), (0, 0), "{ttl}");
        }
    }

    #[test]
    fn the_limit_holds_and_what_was_named_last_stays() {
        let mut names = Names::default();
        let learn = |names: &mut Names, n: u32| {
            let address = std::net::Ipv4Addr::from(n).to_string();
            names.learn("a.example", &[answer("a.example", "A", 60, &address)], 0);
        };
        for n in 0..ADDRESSES_MAX as u32 {
            learn(&mut names, n);
        }
        learn(&mut names, 0);
        learn(&mut names, ADDRESSES_MAX as u32);
        assert_eq!((names.len(), names.turns.len()), (ADDRESSES_MAX, ADDRESSES_MAX));
        assert_eq!(names.addresses_evicted(), 1);
        assert_eq!(names_of(&names, "0.0.0.0", 1).len(), 1);
        assert!(names_of(&names, "0.0.0.1", 1).is_empty());
    }
}
