//! Names that labels show and that no closed set has: each is kept once and numbered, so that no name is compared twice, and
//! forgotten when nothing is told of it any more.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use hashbrown::HashTable;

use super::series::OVERFLOW;

/// For so long nothing may be told of a name before its series are removed: longer than an hour, so that what runs every
/// hour keeps them.
pub const NAME_SILENT_SECONDS_MAX: u64 = 2 * 60 * 60;

/// How often silent ones are looked for, seconds.
const LOOK_SECONDS: u64 = 60;

/// Namespace, kind and name; what has no such thing has it empty.
pub(super) type Names<'a> = (&'a str, &'a str, &'a str);

/// What stands in labels for all that have no number.
static OVERFLOWED: LazyLock<Arc<Named>> = LazyLock::new(|| Named::new(0, (OVERFLOW, OVERFLOW, OVERFLOW), 0));

/// Something that labels name.
pub(super) struct Named {
    id: usize,
    namespace: Box<str>,
    kind: Box<str>,
    name: Box<str>,
    /// When it was last asked for, by the clock of its table.
    told_s: AtomicU64,
    gone: AtomicBool,
}

impl Named {
    fn new(id: usize, (namespace, kind, name): Names<'_>, now_s: u64) -> Arc<Self> {
        Arc::new(Self {
            id,
            namespace: namespace.into(),
            kind: kind.into(),
            name: name.into(),
            told_s: AtomicU64::new(now_s),
            gone: AtomicBool::new(false),
        })
    }

    /// The one that stands for all others.
    pub(super) fn overflow() -> Arc<Self> {
        Arc::clone(&OVERFLOWED)
    }

    pub(super) fn names(&self) -> Names<'_> {
        (&self.namespace, &self.kind, &self.name)
    }

    pub(super) const fn is_overflow(&self) -> bool {
        self.id == 0
    }

    /// Whether its table has forgotten it. The same names then have another number.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind, self.name)
    }
}

/// All that have been met, up to a limit.
#[derive(Debug)]
pub(super) struct NameTable {
    known: RwLock<Known>,
    hasher: RandomState,
    max: usize,
    now_s: AtomicU64,
    looked_s: AtomicU64,
}

#[derive(Default, Debug)]
struct Known {
    table: HashTable<Arc<Named>>,
    /// Numbers that were given.
    numbers: usize,
}

impl NameTable {
    pub(super) fn new(max: usize) -> Self {
        let (now_s, looked_s) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { known: RwLock::default(), hasher: RandomState::new(), max, now_s, looked_s }
    }

    /// The one of these names; where there is no room for it, the one that stands for all others. For names that are known
    /// it neither allocates nor writes a lock.
    pub(super) fn get(&self, names: Names<'_>) -> Arc<Named> {
        let hash = self.hasher.hash_one(names);
        let is_it = |named: &Arc<Named>| named.names() == names;
        let now_s = self.now_s.load(Ordering::Relaxed);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(named) = known.table.find(hash, is_it) {
            named.told_s.store(now_s, Ordering::Relaxed);
            return Arc::clone(named);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        if let Some(named) = known.table.find(hash, is_it) {
            return Arc::clone(named);
        }
        if known.table.len() >= self.max {
            return Named::overflow();
        }
        known.numbers += 1;
        let named = Named::new(known.numbers, names, now_s);
        let hash_of = |named: &Arc<Named>| self.hasher.hash_one(named.names());
        known.table.insert_unique(hash, Arc::clone(&named), hash_of);
        named
    }

    /// Takes in how long the agent runs and forgets those that are silent for too long; whether there were any.
    pub(super) fn forget_silent(&self, running_s: u64) -> bool {
        self.now_s.store(running_s, Ordering::Relaxed);
        let Some(since_s) = running_s.checked_sub(NAME_SILENT_SECONDS_MAX) else { return false };
        if since_s < self.looked_s.load(Ordering::Relaxed) + LOOK_SECONDS {
            return false;
        }
        self.looked_s.store(since_s, Ordering::Relaxed);
        self.forget(since_s)
    }

    /// Forgets those that nobody has asked for since then; whether there were any.
    fn forget(&self, since_s: u64) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.table.len();
        known.table.retain(|named| {
            let is_silent = named.told_s.load(Ordering::Relaxed) < since_s;
            named.gone.store(is_silent, Ordering::Relaxed);
            !is_silent
        });
        known.table.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_makes_room_and_comes_back_as_another() {
        let table = NameTable::new(2);
        let names = |name| ("shop", "Deployment", name);
        let (api, db) = (table.get(names("api")), table.get(names("db")));
        assert!(table.get(names("web")).is_overflow(), "there is room for two");
        table.forget_silent(10);
        assert_eq!(table.get(names("api")), api);
        assert!(!table.forget(0) && table.forget(10) && !table.forget(10));
        assert!(db.is_gone() && !api.is_gone());
        let web = table.get(names("web"));
        assert!(!web.is_overflow() && web != db);
        assert!(table.get(names("db")).is_overflow(), "its room is taken");
        table.forget_silent(20);
        assert!(table.forget(20));
        let again = table.get(names("db"));
        assert_eq!(again.names(), db.names());
        assert!(again != db && !again.is_gone());
    }
}
