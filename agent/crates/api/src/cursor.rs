//! Where a page ended: behind the record of this time and number. What is recorded later does not move it.

use std::fmt;
use std::str::FromStr;

use watchfire_model::WallTime;

/// The last record of a page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    /// When it happened.
    pub time: WallTime,
    /// Its number in the ledger.
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.time.0.cast_unsigned(), self.seq)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected what `next` of the page before says";
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(expected);
        }
        let number = |text| u64::from_str_radix(text, 16).map_err(|_| expected);
        Ok(Self { time: WallTime(number(&text[..16])?.cast_signed()), seq: number(&text[16..])? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        for (time, seq) in [(0, 0), (-1, u64::MAX), (i64::MIN, 1), (1_700_000_000_000_000_000, 77)] {
            let cursor = Cursor { time: WallTime(time), seq };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in
            ["", "0", &"g".repeat(32), &"0".repeat(31), &"0".repeat(33), "+000000000000000+000000000000000"]
        {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
        assert!("é".repeat(16).parse::<Cursor>().is_err());
    }
}
