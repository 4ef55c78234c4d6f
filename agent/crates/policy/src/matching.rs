//! Three-valued matching.

use std::ops::{BitAnd, Not};

use watchfire_model::UnknownReason;

/// Whether something matches, where a fact needed to tell may be missing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Match {
    /// It matches.
    Yes,
    /// It does not, whatever the missing facts are.
    No,
    /// It depends on a fact that is not known.
    Unknown(UnknownReason),
}

impl BitAnd for Match {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown(reason), _) | (_, Self::Unknown(reason)) => Self::Unknown(reason),
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }
}

impl Not for Match {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            unknown @ Self::Unknown(_) => unknown,
        }
    }
}

impl From<bool> for Match {
    fn from(matches: bool) -> Self {
        if matches { Self::Yes } else { Self::No }
    }
}

impl Match {
    /// Whether it may match, as far as is known.
    pub(crate) const fn is_possible(self) -> bool {
        !matches!(self, Self::No)
    }
}

/// The position of the first entry that matches, or the best that can be said of all of them.
pub(crate) fn first<T>(entries: &[T], test: impl Fn(&T) -> Match) -> (Match, Option<usize>) {
    let mut best = (Match::No, None);
    for (index, entry) in entries.iter().enumerate() {
        match test(entry) {
            Match::Yes => return (Match::Yes, Some(index)),
            unknown @ Match::Unknown(_) if best.1.is_none() => best = (unknown, Some(index)),
            Match::Unknown(_) | Match::No => {}
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Match = Match::Unknown(UnknownReason::PeerUnresolved);
    const NAMES: Match = Match::Unknown(UnknownReason::NamesUnresolved);

    #[test]
    fn a_certain_no_outweighs_a_missing_fact() {
        use Match::{No, Yes};
        for (a, b, expected) in
            [(Yes, Yes, Yes), (Yes, PEER, PEER), (PEER, No, No), (No, PEER, No), (NAMES, PEER, NAMES)]
        {
            assert_eq!(a & b, expected, "{a:?} & {b:?}");
        }
        assert_eq!((!Yes, !No, !PEER), (No, Yes, PEER));
    }

    #[test]
    fn the_first_certain_entry_is_reported() {
        use Match::{No, Yes};
        for (entries, expected) in [
            (vec![No, Yes, Yes], (Yes, Some(1))),
            (vec![PEER, Yes], (Yes, Some(1))),
            (vec![No, NAMES, PEER], (NAMES, Some(1))),
            (vec![No], (No, None)),
            (vec![], (No, None)),
        ] {
            assert_eq!(first(&entries, |entry| *entry), expected, "{entries:?}");
        }
    }
}
