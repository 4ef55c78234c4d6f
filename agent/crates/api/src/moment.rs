//! Times as people give them, on the command line and in queries.

use watchfire_model::WallTime;

use crate::parameters::now;

/// Units and how many nanoseconds they have. Longer names first: the first that fits is taken.
const UNITS: [(&str, i64); 5] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
    ("d", 24 * 3600 * 1_000_000_000),
];

/// Reads a time, or how long ago it was.
pub fn parse(text: &str) -> Result<WallTime, String> {
    parse_at(text, now())
}

fn parse_at(text: &str, now: WallTime) -> Result<WallTime, String> {
    let ago = duration_ns(text).and_then(|ago| now.0.checked_sub(ago)).map(WallTime);
    ago.or_else(|| text.parse().ok()).ok_or_else(|| {
        "expected an RFC 3339 time such as 2026-01-02T03:04:05Z, or how long ago in d, h, m, s or ms, such as 1h30m"
            .to_owned()
    })
}

fn duration_ns(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, ns) = UNITS.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total = total.checked_add(number.checked_mul(ns)?)?;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_ago() {
        let now = WallTime(1_700_000_000_000_000_000);
        for (text, expected) in [
            ("0s", Some(now.0)),
            ("5m", Some(now.0 - 300_000_000_000)),
            ("1h30m", Some(now.0 - 5_400_000_000_000)),
            ("2d", Some(now.0 - 172_800_000_000_000)),
            ("1s500ms", Some(now.0 - 1_500_000_000)),
            ("2023-11-14T22:13:20Z", Some(now.0)),
            ("2023-11-15T00:13:20+02:00", Some(now.0)),
            ("2023-11-14T22:13:20.000000001Z", Some(now.0 + 1)),
            ("", None),
            ("5", None),
            ("m", None),
            ("5x", None),
            ("-5m", None),
            ("5m ", None),
            ("5m3", None),
            ("99999999999999999999s", None),
            ("9999999999d", None),
            ("200000000h", None),
            ("yesterday", None),
            ("2023-11-14", None),
        ] {
            assert_eq!(parse_at(text, now).ok(), expected.map(WallTime), "{text}");
        }
        assert!(parse_at("soon", now).unwrap_err().starts_with("expected an RFC 3339 time"));
    }
}
