//! What was said of the flows that are open, so that their end says the same, and what was seen in them since.

mod hello;
mod key;
mod said;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use watchfire_model::{Flow, TlsView};

pub(crate) use self::hello::Hello;
pub(super) use self::key::{Kept, Key};
pub(crate) use self::said::{Judged, Led, Now, Opener, Said};
use super::interned::Interned;

/// Most open flows that are kept.
pub(crate) const FLOWS_MAX: usize = 131_072;

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
