//! Three-valued matching.

use std::ops::BitAnd;

/// Whether something matches, where a fact needed to tell may be missing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Match {
    /// It matches.
    Yes,
    /// It does not, whatever the missing facts are.
    No,
    /// It depends on a fact that is not known.
    Unknown,
}

impl BitAnd for Match {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }
}

impl From<bool> for Match {
    fn from(matches: bool) -> Self {
        if matches { Self::Yes } else { Self::No }
    }
}

/// The position of the first entry that matches, or the best that can be said of all of them.
pub(crate) fn first<T>(entries: &[T], test: impl Fn(&T) -> Match) -> (Match, Option<usize>) {
    let mut unknown = None;
    for (index, entry) in entries.iter().enumerate() {
        match test(entry) {
            Match::Yes => return (Match::Yes, Some(index)),
            Match::Unknown => unknown = unknown.or(Some(index)),
            Match::No => {}
        }
    }
    (if unknown.is_some() { Match::Unknown } else { Match::No }, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certain_no_outweighs_a_missing_fact() {
        use Match::{No, Unknown, Yes};
        for (a, b, expected) in [
            (Yes, Yes, Yes),
            (Yes, Unknown, Unknown),
            (Unknown, No, No),
            (No, Unknown, No),
            (Unknown, Unknown, Unknown),
        ] {
            assert_eq!(a & b, expected, "{a:?} & {b:?}");
        }
    }

    #[test]
    fn the_first_certain_entry_is_reported() {
        use Match::{No, Unknown, Yes};
        for (entries, expected) in [
            (vec![No, Yes, Yes], (Yes, Some(1))),
            (vec![Unknown, Yes], (Yes, Some(1))),
            (vec![No, Unknown, Unknown], (Unknown, Some(1))),
            (vec![No], (No, None)),
            (vec![], (No, None)),
        ] {
            assert_eq!(first(&entries, |entry| *entry), expected, "{entries:?}");
        }
    }
}
