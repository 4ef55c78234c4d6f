//! What somebody may have meant.

/// The name that is least different, if any is near enough: what may have been meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let scored = known.map(|candidate| {
        let whole = distance(&name, candidate);
        // `binary` for `process.binary`, `source.ip` for `src.ip`
        let of_last = distance(&last(&name), &last(candidate)) + 1;
        (whole.min(of_last), whole, candidate)
    });
    let (score, _, candidate) = scored.min()?;
    (score <= 1 + name.len() / 4).then_some(candidate)
}

/// Levenshtein's: characters to put in, take out or replace.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, char) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, candidate) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(char != *candidate);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_found_and_what_is_far_is_not() {
        let known = ["verdict", "dst.port", "src.port", "process.binary", "file.path"];
        for (name, expected) in [
            ("verdct", Some("verdict")),
            ("Verdict", Some("verdict")),
            ("dst.prot", Some("dst.port")),
            ("binary", Some("process.binary")),
            ("process.path", Some("file.path")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), expected, "{name}");
        }
    }
}
