//! Cgroup id → path, and what the path says.

use std::collections::HashMap;
use std::sync::Arc;

use watchfire_model::PodUid;

use crate::{CgroupPath, CgroupScan, Runtime};

/// Most cgroups that are kept, removed ones included.
pub const CGROUPS_MAX: usize = 16_384;
/// How long the path of a removed cgroup is kept for records that come late, milliseconds.
pub const CGROUP_REMOVED_KEEP_MS: u64 = 300_000;
/// Shortest time between two walks of the tree that unknown ids ask for, milliseconds.
pub const CGROUP_RESCAN_INTERVAL_MS: u64 = 500;

/// A walk may take one part in this many of the time: large trees are walked less often.
const RESCAN_SHARE: u64 = 20;

/// A cgroup, as its path tells of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cgroup {
    /// Path below the v2 root, from `/`.
    pub path: Arc<str>,
    /// The pod that it is of.
    pub pod_uid: Option<PodUid>,
    /// The container that it is of.
    pub container_id: Option<Arc<str>>,
    /// What made that container, where the path tells.
    pub runtime: Option<Runtime>,
    /// The systemd unit that it belongs to, outside of containers.
    pub unit: Option<Arc<str>>,
}

impl Cgroup {
    /// Reads the path.
    #[must_use]
    pub fn at(path: &str) -> Self {
        let placement = CgroupPath::parse(path);
        let is_of_host = placement.container_id.is_none() && placement.pod_uid.is_none();
        Self {
            path: path.into(),
            pod_uid: placement.pod_uid.as_deref().and_then(PodUid::parse),
            container_id: placement.container_id.map(Into::into),
            runtime: placement.runtime,
            unit: placement.unit.filter(|_| is_of_host).map(Into::into),
        }
    }
}

#[derive(Debug)]
struct Entry {
    cgroup: Arc<Cgroup>,
    removed_ms: Option<u64>,
}

impl Entry {
    fn at(path: &str) -> Self {
        Self { cgroup: Arc::new(Cgroup::at(path)), removed_ms: None }
    }
}

/// Paths of the cgroups that exist, and of those that existed a short while ago. Times are milliseconds of any
/// monotonic clock.
#[derive(Default, Debug)]
pub struct Cgroups {
    entries: HashMap<u64, Entry>,
    next_scan_ms: u64,
    evicted: u64,
}

impl Cgroups {
    /// A cgroup by its id.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Arc<Cgroup>> {
        self.entries.get(&id).map(|entry| &entry.cgroup)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Arc<Cgroup>)> {
        self.entries.iter().map(|(&id, entry)| (id, &entry.cgroup))
    }

    /// Whether an unknown id is worth a walk of the tree now.
    #[must_use]
    pub const fn may_scan(&self, now_ms: u64) -> bool {
        now_ms >= self.next_scan_ms
    }

    /// A cgroup was made.
    pub fn made(&mut self, id: u64, path: &str) {
        self.make_room(1);
        if self.entries.len() < CGROUPS_MAX || self.entries.contains_key(&id) {
            self.entries.insert(id, Entry::at(path));
        } else {
            self.evicted += 1;
        }
    }

    /// A cgroup was removed; its path is kept for a while.
    pub fn removed(&mut self, id: u64, now_ms: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.removed_ms.get_or_insert(now_ms);
        }
    }

    /// Forgets cgroups that were removed long enough ago.
    pub fn expire(&mut self, now_ms: u64) {
        self.entries.retain(|_, entry| {
            entry.removed_ms.is_none_or(|removed| now_ms < removed.saturating_add(CGROUP_REMOVED_KEEP_MS))
        });
    }

    /// Takes in a walk that ended at `now_ms` after `took_ms`.
    pub fn take(&mut self, scan: CgroupScan, now_ms: u64, took_ms: u64) {
        let mut present: HashMap<u64, String> = scan.found.into_iter().collect();
        for (id, entry) in &mut self.entries {
            match present.remove(id) {
                Some(path) => {
                    if *entry.cgroup.path != *path {
                        entry.cgroup = Arc::new(Cgroup::at(&path));
                    }
                    entry.removed_ms = None;
                }
                // A walk that ended at its limit does not say what is gone.
                None if !scan.truncated => _ = entry.removed_ms.get_or_insert(now_ms),
                None => {}
            }
        }
        self.expire(now_ms);
        self.make_room(present.len());
        for (id, path) in present {
            if self.entries.len() < CGROUPS_MAX {
                self.entries.insert(id, Entry::at(&path));
            } else {
                self.evicted += 1;
            }
        }
        self.evicted += u64::from(scan.truncated);
        self.next_scan_ms = now_ms + CGROUP_RESCAN_INTERVAL_MS.max(took_ms.saturating_mul(RESCAN_SHARE));
    }

    fn make_room(&mut self, wanted: usize) {
        let excess = (self.entries.len() + wanted).saturating_sub(CGROUPS_MAX);
        if excess == 0 {
            return;
        }
        let removed = |(id, entry): (&u64, &Entry)| entry.removed_ms.map(|removed| (removed, *id));
        let mut removed: Vec<_> = self.entries.iter().filter_map(removed).collect();
        removed.sort_unstable();
        for (_, id) in removed.into_iter().take(excess) {
            self.entries.remove(&id);
            self.evicted += 1;
        }
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How often [`CGROUPS_MAX`] forced one out or kept one from coming in.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(found: &[(u64, &str)]) -> CgroupScan {
        CgroupScan {
            found: found.iter().map(|&(id, path)| (id, path.to_owned())).collect(),
            truncated: false,
        }
    }

    #[test]
    fn made_and_removed_as_the_kernel_tells() {
        let mut cgroups = Cgroups::default();
        cgroups.made(7, "/kubepods/pod1");
        assert_eq!(cgroups.get(7).map(|cgroup| &*cgroup.path), Some("/kubepods/pod1"));
        cgroups.removed(7, 1000);
        cgroups.expire(1000 + CGROUP_REMOVED_KEEP_MS - 1);
        assert!(cgroups.get(7).is_some(), "late records still find it");
        cgroups.expire(1000 + CGROUP_REMOVED_KEEP_MS);
        assert!(cgroups.is_empty());
        for id in 0..CGROUPS_MAX as u64 + 3 {
            cgroups.made(id, "/x");
        }
        assert_eq!((cgroups.len(), cgroups.evicted()), (CGROUPS_MAX, 3));
    }

    #[test]
    fn removed_groups_are_kept_for_a_while() {
        let mut cgroups = Cgroups::default();
        cgroups.take(scan(&[(1, "/"), (2, "/a")]), 1000, 0);
        assert!(!cgroups.may_scan(1000 + CGROUP_RESCAN_INTERVAL_MS - 1));
        assert!(cgroups.may_scan(1000 + CGROUP_RESCAN_INTERVAL_MS));

        cgroups.take(scan(&[(1, "/")]), 2000, 0);
        assert_eq!(cgroups.get(2).map(|cgroup| &*cgroup.path), Some("/a"));
        cgroups.take(scan(&[(1, "/")]), 2000 + CGROUP_REMOVED_KEEP_MS, 0);
        assert_eq!(cgroups.get(2), None);
        assert_eq!(cgroups.get(1).map(|cgroup| &*cgroup.path), Some("/"));
    }

    #[test]
    fn removed_groups_make_room_first_and_the_limit_is_counted() {
        let mut cgroups = Cgroups::default();
        cgroups.take(scan(&[(1, "/gone")]), 0, 0);
        let many: Vec<_> = (2..CGROUPS_MAX as u64 + 3).map(|id| (id, format!("/{id}"))).collect();
        cgroups.take(CgroupScan { found: many, truncated: false }, 1, 0);
        assert_eq!(cgroups.len(), CGROUPS_MAX);
        assert_eq!(cgroups.get(1), None);
        assert_eq!(cgroups.evicted(), 2);
    }

    #[test]
    fn slow_walks_are_rarer() {
        let mut cgroups = Cgroups::default();
        cgroups.take(scan(&[]), 0, 100);
        assert!(!cgroups.may_scan(1999));
        assert!(cgroups.may_scan(2000));
    }
}
