//! What is gone and is kept for a while, for records that come late.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Keys of what is gone, by when it went. What comes back is gone no longer, and when it goes again its time begins anew.
#[derive(Debug)]
pub(crate) struct Gone<K> {
    since_ns: HashMap<K, u64>,
    /// Earliest first; also of what has come back since.
    order: VecDeque<(u64, K)>,
}

impl<K> Default for Gone<K> {
    fn default() -> Self {
        Self { since_ns: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash> Gone<K> {
    /// It is gone since now. One that is gone already stays so.
    pub(crate) fn insert(&mut self, key: K, now_ns: u64) {
        if !self.contains(&key) {
            self.since_ns.insert(key.clone(), now_ns);
            self.order.push_back((now_ns, key));
        }
    }

    /// It has come back.
    pub(crate) fn remove(&mut self, key: &K) {
        self.since_ns.remove(key);
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.since_ns.contains_key(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.since_ns.len()
    }

    /// The first to go of those that are gone for `keep_ns`, which is to be forgotten.
    pub(crate) fn expired(&mut self, now_ns: u64, keep_ns: u64) -> Option<K> {
        while self.order.front().is_some_and(|(since_ns, _)| since_ns.saturating_add(keep_ns) <= now_ns) {
            if let Some(key) = self.pop() {
                return Some(key);
            }
        }
        None
    }

    /// The first to go of all, which is to be forgotten.
    pub(crate) fn first(&mut self) -> Option<K> {
        while !self.order.is_empty() {
            if let Some(key) = self.pop() {
                return Some(key);
            }
        }
        None
    }

    /// None if it has come back since.
    fn pop(&mut self) -> Option<K> {
        let (since_ns, key) = self.order.pop_front()?;
        if self.since_ns.get(&key) != Some(&since_ns) {
            return None;
        }
        self.since_ns.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_not_forgotten_and_goes_anew() {
        let mut gone = Gone::default();
        for (key, now_ns) in [("a", 1), ("b", 2), ("a", 3)] {
            gone.insert(key, now_ns);
        }
        gone.remove(&"a");
        assert!(!gone.contains(&"a") && gone.contains(&"b"));
        gone.insert("a", 5);
        assert_eq!((gone.len(), gone.expired(11, 10)), (2, None));
        assert_eq!(gone.expired(12, 10), Some("b"));
        assert_eq!(gone.expired(14, 10), None);
        assert_eq!((gone.first(), gone.first(), gone.len()), (Some("a"), None, 0));
    }
}
