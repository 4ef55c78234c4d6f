//! Values that many flows have in common, kept once.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;

/// Values that are kept before the table looks for the first time which of them nobody has any more.
const SWEEP_MIN: usize = 64;

/// What is likely to differ between values that differ.
pub(crate) trait Salient: PartialEq {
    /// Equal for equal values.
    fn salient(&self) -> impl Hash;
}

/// Each value that somebody has, once. It has at most twice as many as are in use.
#[derive(Debug)]
pub(crate) struct Interned<T> {
    values: HashMap<u64, Vec<Arc<T>>>,
    hasher: RandomState,
    len: usize,
    sweep_at: usize,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { values: HashMap::new(), hasher: RandomState::new(), len: 0, sweep_at: SWEEP_MIN }
    }
}

impl<T: Salient> Interned<T> {
    /// The value that is kept already, where it is equal.
    pub(crate) fn share(&mut self, value: Arc<T>) -> Arc<T> {
        let alike = self.values.entry(self.hasher.hash_one(value.salient())).or_default();
        if let Some(known) = alike.iter().find(|known| ***known == *value) {
            return Arc::clone(known);
        }
        alike.push(Arc::clone(&value));
        self.len += 1;
        if self.len >= self.sweep_at {
            self.sweep();
        }
        value
    }

    fn sweep(&mut self) {
        self.values.retain(|_, alike| {
            alike.retain(|value| Arc::strong_count(value) > 1);
            !alike.is_empty()
        });
        self.values.shrink_to_fit();
        self.len = self.values.values().map(Vec::len).sum();
        self.sweep_at = (2 * self.len).max(SWEEP_MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Salient for (u32, u32) {
        fn salient(&self) -> impl Hash {
            self.0
        }
    }

    #[test]
    fn equal_values_are_one_and_others_are_not() {
        let mut interned = Interned::default();
        let first = interned.share(Arc::new((1, 1)));
        assert!(Arc::ptr_eq(&first, &interned.share(Arc::new((1, 1)))));
        // Alike in what is salient, and yet another.
        assert_eq!(*interned.share(Arc::new((1, 2))), (1, 2));
    }

    #[test]
    fn what_nobody_has_is_let_go() {
        let mut interned = Interned::default();
        let kept: Vec<_> = (0..100).map(|number| interned.share(Arc::new((number, 0)))).collect();
        for number in 0..100_000 {
            drop(interned.share(Arc::new((number, 1))));
            assert!(interned.len <= 2 * (kept.len() + SWEEP_MIN));
        }
        assert!(Arc::ptr_eq(&kept[7], &interned.share(Arc::new((7, 0)))));
    }
}
