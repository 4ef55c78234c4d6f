//! A table of totals that cannot grow without end.

use std::collections::BTreeMap;

/// What a row counts, for the choice of which rows go when there are too many.
pub(crate) trait Weighed {
    /// The lighter ones go first.
    fn weight(&self) -> u64;
}

/// Totals by key, so many keys at most; what had to go is counted.
#[derive(Clone, Debug)]
pub(crate) struct Tally<K, V> {
    rows: BTreeMap<K, V>,
    rows_max: usize,
    evicted: u64,
}

impl<K: Ord + Clone, V: Default + Weighed> Tally<K, V> {
    pub(crate) const fn new(rows_max: usize) -> Self {
        Self { rows: BTreeMap::new(), rows_max, evicted: 0 }
    }

    /// The row of a key, made where there is none, if need be in place of light ones.
    pub(crate) fn row(&mut self, key: K) -> &mut V {
        if self.rows.len() >= self.rows_max && !self.rows.contains_key(&key) {
            self.make_room();
        }
        self.rows.entry(key).or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many rows had to go.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// An eighth at once, so that a flood of keys does not cost a search each.
    fn make_room(&mut self) {
        let mut lightest: Vec<_> = self.rows.iter().map(|(key, row)| (row.weight(), key.clone())).collect();
        lightest.sort();
        let count = (self.rows_max / 8).max(1);
        for (_, key) in lightest.into_iter().take(count) {
            self.rows.remove(&key);
            self.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighed for u64 {
        fn weight(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn the_light_go_first_and_are_counted() {
        let mut tally: Tally<u32, u64> = Tally::new(16);
        for key in 0..16 {
            *tally.row(key) += u64::from(key);
        }
        *tally.row(3) += 1;
        assert_eq!((tally.len(), tally.evicted()), (16, 0));
        *tally.row(99) += 1;
        assert_eq!((tally.len(), tally.evicted()), (15, 2));
        assert_eq!((tally.get(&0), tally.get(&1), tally.get(&2)), (None, None, Some(&2)));
        assert_eq!(tally.get(&99), Some(&1));
    }
}
