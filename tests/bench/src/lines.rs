//! Counting lines of an event log.

use std::io::{BufRead as _, BufReader, Read};

use anyhow::Result;

/// Lines that contain all of some texts.
pub(crate) fn count(file: impl Read, texts: &[String]) -> Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = String::new();
    let mut found = 0;
    while reader.read_line(&mut line)? > 0 {
        found += u64::from(texts.iter().all(|text| line.contains(text.as_str())));
        line.clear();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_texts_have_to_be_in_a_line() {
        let log = "a b c\na c\nb c\n";
        let of = |texts: &[&str]| {
            super::count(log.as_bytes(), &texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
                .unwrap()
        };
        assert_eq!((of(&["a"]), of(&["a", "b"]), of(&["c"]), of(&["d"])), (2, 1, 3, 0));
    }
}
