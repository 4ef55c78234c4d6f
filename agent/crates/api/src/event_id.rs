//! The `id` of an event: how far a client that follows has come, so that it can go on there.
//!
//! Records are told live in the order in which they are written, and then one number says it all. What a client missed is told
//! in the order of time, up to a number that was known at the time: then the place in that order is part of the id.

use std::fmt;
use std::str::FromStr;

use watchfire_ledger::LedgerId;

use crate::cursor::Cursor;

/// Hexadecimal digits of the ledger's id that are in an event's.
const LEDGER_DIGITS: usize = 8;
const NUMBER_DIGITS: usize = 16;
const CURSOR_DIGITS: usize = 32;

/// How far a client has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EventId {
    ledger: String,
    /// Everything up to this number was told.
    pub(crate) after: u64,
    /// Of what is missed, too: up to this number, in the order of time, up to the cursor.
    pub(crate) missed: Option<(u64, Cursor)>,
}

impl EventId {
    pub(crate) fn new(ledger: LedgerId, after: u64) -> Self {
        let ledger = ledger.to_string()[..LEDGER_DIGITS].to_owned();
        Self { ledger, after, missed: None }
    }

    pub(crate) fn is_of(&self, ledger: LedgerId) -> bool {
        ledger.to_string().starts_with(&self.ledger)
    }

    pub(crate) fn within(&self, through: u64, cursor: Cursor) -> Self {
        Self { missed: Some((through, cursor)), ..self.clone() }
    }

    pub(crate) fn behind(&self, number: u64) -> Self {
        Self { ledger: self.ledger.clone(), after: number, missed: None }
    }

    /// The last number that is named.
    pub(crate) fn through(&self) -> u64 {
        self.missed.map_or(self.after, |(through, _)| through)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}{:016x}", self.ledger, self.after)?;
        match &self.missed {
            Some((through, cursor)) => write!(f, "{through:016x}{cursor}"),
            None => Ok(()),
        }
    }
}

impl FromStr for EventId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected the id of an event";
        let digits = text.strip_prefix('e').ok_or(expected)?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if !digits.bytes().all(is_hex) {
            return Err(expected);
        }
        let number = |text| u64::from_str_radix(text, 16).map_err(|_| expected);
        let (ledger, rest) = digits.split_at_checked(LEDGER_DIGITS).ok_or(expected)?;
        let (after, rest) = rest.split_at_checked(NUMBER_DIGITS).ok_or(expected)?;
        let (ledger, after) = (ledger.to_owned(), number(after)?);
        let missed = match rest.len() {
            0 => None,
            length if length == NUMBER_DIGITS + CURSOR_DIGITS => {
                let (through, cursor) = rest.split_at(NUMBER_DIGITS);
                Some((number(through)?, cursor.parse().map_err(|_| expected)?))
            }
            _ => return Err(expected),
        };
        if missed.is_some_and(|(through, _)| through < after) {
            return Err(expected);
        }
        Ok(Self { ledger, after, missed })
    }
}

#[cfg(test)]
mod tests {
    use watchfire_model::WallTime;

    use super::*;

    const LEDGER: LedgerId = LedgerId([0xab; 16]);

    #[test]
    fn an_id_comes_back_as_it_was() {
        let id = EventId::new(LEDGER, 77);
        assert_eq!(id.to_string(), "eabababab000000000000004d");
        let cursor = Cursor { time: WallTime(-1), seq: u64::MAX };
        for id in [id.clone(), id.within(78, cursor), id.behind(u64::MAX)] {
            assert_eq!(id.to_string().parse(), Ok(id.clone()));
            assert!(id.is_of(LEDGER) && !id.is_of(LedgerId([0xac; 16])));
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let id = EventId::new(LEDGER, 77);
        let whole = id.within(80, Cursor { time: WallTime(1), seq: 1 }).to_string();
        let backwards = EventId { after: 90, ..id.within(80, Cursor { time: WallTime(1), seq: 1 }) };
        let mut wrong =
            vec![String::new(), "e".to_owned(), "é".repeat(25), whole.to_uppercase(), backwards.to_string()];
        wrong
            .extend((1..whole.len()).filter(|length| *length != 25).map(|length| whole[..length].to_owned()));
        for text in wrong {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }
}
