//! Pods by uid, with those that are gone since a short while.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};
use std::mem;
use std::sync::Arc;

use hashbrown::hash_table::{HashTable, OccupiedEntry};
use watchfire_model::{Pod, PodUid};

use super::Moment;
use super::addresses::{Addresses, Holder};
use super::identities::Identities;
use super::recent::Recent;
use crate::gone::Gone;
use crate::{ObjectKey, PodObject, PodRef, Source};

/// Most pods that are kept, those included that are gone since a short while.
pub const PODS_MAX: usize = 262_144;
/// How long a pod is kept that is gone, for records that come late, milliseconds.
pub const POD_GONE_KEEP_MS: u64 = 300_000;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;
/// Of a pod that does not say when it was made: so much before it was told of, milliseconds.
const TOLD_LATE_MS: u64 = 2_000;

/// As small as can be: a cluster may have a hundred thousand.
#[derive(Debug)]
struct Entry {
    pod: Arc<Pod>,
    /// The list of its source that told of it last.
    list: u32,
    source: Source,
    is_gone: bool,
    holds_addresses: bool,
}

const _: () = assert!(size_of::<Entry>() == 16);

impl Entry {
    fn key(&self) -> PodUid {
        key_of(&self.pod)
    }
}

/// Pods.
#[derive(Default, Debug)]
pub(crate) struct Pods {
    /// By their keys, which the pods have in them.
    entries: HashTable<Entry>,
    hasher: RandomState,
    /// Uids that kubelet knows mirrors of static pods by.
    mirrors: HashMap<PodUid, PodUid>,
    gone: Gone<PodUid>,
    changed: Recent,
    lists: [List; Source::ALL.len()],
    refused: u64,
}

#[derive(Clone, Copy, Default, Debug)]
struct List {
    number: u32,
    /// It has begun and not ended.
    is_open: bool,
    was_complete: bool,
}

impl Pods {
    pub(crate) fn list_begins(&mut self, source: Source) {
        let list = &mut self.lists[source as usize];
        list.number += 1;
        list.is_open = true;
    }

    /// What the list did not tell of is gone.
    pub(crate) fn list_ends(&mut self, source: Source, addresses: &mut Addresses, at: Moment) {
        let list = &mut self.lists[source as usize];
        (list.is_open, list.was_complete) = (false, true);
        let number = list.number;
        let is_stale = |entry: &Entry| match entry.source {
            _ if entry.is_gone => false,
            Source::Kubelet if source == Source::Api => true,
            of => of == source && entry.list != number,
        };
        let stale: Vec<PodUid> =
            self.entries.iter().filter(|entry| is_stale(entry)).map(Entry::key).collect();
        for uid in stale {
            self.end(uid, addresses, at);
        }
    }

    /// Whether a list has begun and not ended: those that it will not tell of are still there.
    pub(crate) fn is_listing(&self) -> bool {
        self.lists.iter().any(|list| list.is_open)
    }

    /// Whether a source has told all of its pods once.
    pub(crate) fn is_listed(&self) -> bool {
        let tells_all = |source: &Source| !matches!(source, Source::Runtime);
        Source::ALL.iter().filter(|source| tells_all(source)).any(|&source| self.was_listed(source))
    }

    pub(crate) fn was_listed(&self, source: Source) -> bool {
        self.lists[source as usize].was_complete
    }

    pub(crate) fn apply(
        &mut self,
        source: Source,
        object: &PodObject,
        identities: &mut Identities,
        addresses: &mut Addresses,
        at: Moment,
    ) {
        let uid = PodUid::parse(&object.uid);
        let key = pod_key(object);
        let list = self.lists[source as usize];
        if let Some(known) = self.entry(key)
            && !known.is_gone
            && known.source > source
        {
            return;
        }
        if self.entries.len() >= PODS_MAX && self.entry(key).is_none() && !self.forget_first_gone() {
            self.refused += 1;
            return;
        }
        let identity = identities.of(object);
        let pod = Arc::new(Pod {
            name: object.name.as_str().into(),
            uid,
            identity,
            ips: object.ips.iter().copied().collect(),
            node: object.node.as_deref().map(|node| identities.node(node)),
        });
        if let Some(mirrored) = object.mirror_uid.as_deref().and_then(PodUid::parse) {
            self.mirrors.insert(mirrored, key);
        }
        let holds_addresses = !object.is_ended && !object.host_network;
        let entry =
            Entry { pod: Arc::clone(&pod), source, list: list.number, is_gone: false, holds_addresses };
        let before = self.insert(key, entry);
        if let Some(before) = &before {
            // Another source may know more of the same.
            if !before.is_gone && before.source == source && before.pod.identity != pod.identity {
                self.changed.put(key, at.boot_ns);
            }
            if before.is_gone {
                self.gone.remove(&key);
            } else if before.holds_addresses {
                let lost = before.pod.ips.iter().filter(|&ip| !holds_addresses || !pod.ips.contains(ip));
                for address in lost {
                    addresses.release(address, &Holder::Pod(Arc::clone(&before.pod)), at.boot_ns);
                }
            }
        }
        if holds_addresses {
            let told_ns = at.boot_ns.saturating_sub(TOLD_LATE_MS * NS_PER_MS);
            let since_ns = match object.created_unix_s {
                Some(unix_s) => at.boot_ns_of(unix_s).min(at.boot_ns),
                None if list.was_complete => told_ns,
                None => 0,
            };
            // A folder is looked at often, whenever what is in it was made. And a pod that was told before has since then what
            // it had not: it may have waited for its address for as long as another had it.
            let is_news = source == Source::File && list.was_complete;
            let is_told_again = before.as_ref().is_some_and(|before| before.source == source);
            let had = |address| before.as_ref().is_some_and(|before| before.pod.ips.contains(address));
            for address in pod.ips.iter() {
                let is_new = is_news || is_told_again && !had(address);
                let since_ns = if is_new { since_ns.max(told_ns) } else { since_ns };
                addresses.claim(address, Holder::Pod(Arc::clone(&pod)), since_ns, object.is_deleting);
            }
        }
    }

    pub(crate) fn delete(&mut self, source: Source, key: &ObjectKey, addresses: &mut Addresses, at: Moment) {
        let uid = PodUid::parse(&key.uid).unwrap_or_else(|| key_of_name(&key.namespace, &key.name));
        if self.entry(uid).is_some_and(|entry| entry.source == source) {
            self.end(uid, addresses, at);
        }
    }

    /// Whether what policies know a pod by changed within `window_ns` before or after a time.
    pub(crate) fn changed_near(&self, pod: &Pod, at_ns: u64, window_ns: u64) -> bool {
        self.changed.has(key_of(pod), at_ns, window_ns)
    }

    fn end(&mut self, uid: PodUid, addresses: &mut Addresses, at: Moment) {
        let hash = self.hasher.hash_one(uid);
        let Some(entry) = self.entries.find_mut(hash, |entry| entry.key() == uid) else { return };
        if mem::replace(&mut entry.is_gone, true) {
            return;
        }
        if entry.holds_addresses {
            for address in entry.pod.ips.iter() {
                addresses.release(address, &Holder::Pod(Arc::clone(&entry.pod)), at.boot_ns);
            }
        }
        self.gone.insert(uid, at.boot_ns);
    }

    /// The pod that a uid in a cgroup's path is of, also one that is gone since a short while.
    pub(crate) fn get(&self, uid: PodUid) -> Option<&Arc<Pod>> {
        let entry = self.entry(uid).or_else(|| self.entry(*self.mirrors.get(&uid)?));
        entry.map(|entry| &entry.pod)
    }

    fn entry(&self, key: PodUid) -> Option<&Entry> {
        self.entries.find(self.hasher.hash_one(key), |entry| entry.key() == key)
    }

    /// Puts it in the place of the one before, which is answered.
    fn insert(&mut self, key: PodUid, entry: Entry) -> Option<Entry> {
        let hash = self.hasher.hash_one(key);
        match self.entries.find_mut(hash, |known| known.key() == key) {
            Some(known) => Some(mem::replace(known, entry)),
            None => {
                let hasher = &self.hasher;
                self.entries.insert_unique(hash, entry, |entry| hasher.hash_one(entry.key()));
                None
            }
        }
    }

    /// The pod that a container is said to be in. Runtimes take anything for a uid.
    pub(crate) fn by_ref(&self, pod: &PodRef) -> Option<&Arc<Pod>> {
        let key = PodUid::parse(&pod.uid).unwrap_or_else(|| key_of_name(&pod.namespace, &pod.name));
        self.get(key)
    }

    /// By what source a pod is known.
    pub(crate) fn source(&self, pod: &Pod) -> Option<(Source, bool)> {
        self.entry(key_of(pod)).map(|entry| (entry.source, entry.is_gone))
    }

    /// Forgets those that are gone long enough.
    pub(crate) fn expire(&mut self, now_ns: u64) {
        let keep_ns = POD_GONE_KEEP_MS * NS_PER_MS;
        while let Some(uid) = self.gone.expired(now_ns, keep_ns) {
            self.forget(uid);
        }
    }

    /// Whether there was one.
    fn forget_first_gone(&mut self) -> bool {
        let first = self.gone.first();
        first.is_some_and(|uid| self.forget(uid))
    }

    fn forget(&mut self, uid: PodUid) -> bool {
        self.mirrors.retain(|_, of| *of != uid);
        let found = self.entries.find_entry(self.hasher.hash_one(uid), |entry| entry.key() == uid);
        found.map(OccupiedEntry::remove).is_ok()
    }

    /// Those that are not gone.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.entries.iter().filter(|entry| !entry.is_gone).map(|entry| &entry.pod)
    }

    /// All that are kept, also those that are gone.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.entries.iter().map(|entry| &entry.pod)
    }

    /// How many there are that are not gone.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.gone.len()
    }

    /// How many [`PODS_MAX`] kept from coming in.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }
}

impl Moment {
    /// The beginning of a second, which is all that objects tell, as nanoseconds of CLOCK_BOOTTIME.
    fn boot_ns_of(self, unix_s: i64) -> u64 {
        let ns = unix_s.saturating_mul(NS_PER_S as i64).saturating_sub(self.timebase.boot_epoch_ns);
        u64::try_from(ns).unwrap_or(0)
    }
}

/// What a pod is kept under.
pub(crate) fn pod_key(object: &PodObject) -> PodUid {
    PodUid::parse(&object.uid).unwrap_or_else(|| key_of_name(&object.namespace, &object.name))
}

fn key_of(pod: &Pod) -> PodUid {
    pod.uid.unwrap_or_else(|| key_of_name(&pod.identity.namespace, &pod.name))
}

/// What stands for the uid of a pod of which none is told.
fn key_of_name(namespace: &str, name: &str) -> PodUid {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, namespace, name).hash(&mut hasher);
        hasher.finish()
    };
    PodUid::parse(&format!("{:016x}{:016x}", half(0), half(1))).expect("32 hexadecimal digits")
}
