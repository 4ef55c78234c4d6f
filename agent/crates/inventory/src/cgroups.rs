//! Cgroup id → path.

use std::collections::HashMap;
use std::sync::Arc;

use crate::CgroupScan;

/// Most cgroups that are kept, removed ones included.
pub const CGROUPS_MAX: usize = 16_384;
/// How long the path of a removed cgroup is kept for records that come late, milliseconds.
pub const CGROUP_REMOVED_KEEP_MS: u64 = 300_000;
/// Shortest time between two walks of the tree that unknown ids ask for, milliseconds.
pub const CGROUP_RESCAN_INTERVAL_MS: u64 = 500;

/// A walk may take one part in this many of the time: large trees are walked less often.
const RESCAN_SHARE: u64 = 20;

#[derive(Debug)]
struct Entry {
    path: Arc<str>,
    removed_ms: Option<u64>,
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
    /// The path of a cgroup below the v2 root.
    #[must_use]
    pub fn path(&self, id: u64) -> Option<&Arc<str>> {
        self.entries.get(&id).map(|entry| &entry.path)
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
            self.entries.insert(id, Entry { path: path.into(), removed_ms: None });
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
                    if *entry.path != *path {
                        entry.path = path.into();
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
                self.entries.insert(id, Entry { path: path.into(), removed_ms: None });
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
        assert_eq!(cgroups.path(7).map(|path| &**path), Some("/kubepods/pod1"));
        cgroups.removed(7, 1000);
        cgroups.expire(1000 + CGROUP_REMOVED_KEEP_MS - 1);
        assert!(cgroups.path(7).is_some(), "late records still find it");
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
        assert_eq!(cgroups.path(2).map(AsRef::as_ref), Some("/a"));
        cgroups.take(scan(&[(1, "/")]), 2000 + CGROUP_REMOVED_KEEP_MS, 0);
        assert_eq!(cgroups.path(2), None);
        assert_eq!(cgroups.path(1).map(AsRef::as_ref), Some("/"));
    }

    #[test]
    fn removed_groups_make_room_first_and_the_limit_is_counted() {
        let mut cgroups = Cgroups::default();
        cgroups.take(scan(&[(1, "/gone")]), 0, 0);
        let many: Vec<_> = (2..CGROUPS_MAX as u64 + 3).map(|id| (id, format!("/{id}"))).collect();
        cgroups.take(CgroupScan { found: many, truncated: false }, 1, 0);
        assert_eq!(cgroups.len(), CGROUPS_MAX);
        assert_eq!(cgroups.path(1), None);
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
