//! Host names and patterns of them: `toFQDNs` and `rules.dns` (pkg/fqdn/matchpattern).

/// Longest name or pattern, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Names that a rule means, in lower case and with the final dot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamePattern {
    labels: Box<[Box<str>]>,
    /// Whether one or more whole labels come before those.
    is_below: bool,
    /// Whether every name is meant.
    is_any: bool,
}

impl NamePattern {
    /// Reads `matchName`: letters, digits, `-`, `_` and dots.
    pub fn name(name: &str) -> Result<Self, String> {
        if name.bytes().all(|byte| is_label_byte(byte) || byte == b'.') && !name.is_empty() {
            Self::pattern(name)
        } else {
            Err(format!("expected letters, digits, \"-\", \"_\" and \".\", found \"{name}\""))
        }
    }

    /// Reads `matchPattern`, in which `*` stands for any part of one label and a leading `**.` for one or more labels.
    pub fn pattern(pattern: &str) -> Result<Self, String> {
        if pattern.len() > NAME_BYTES_MAX {
            return Err(format!("expected at most {NAME_BYTES_MAX} bytes, found {}", pattern.len()));
        }
        if !pattern.bytes().all(|byte| is_label_byte(byte) || matches!(byte, b'.' | b'*')) {
            return Err(format!(
                "expected letters, digits, \"-\", \"_\", \".\" and \"*\", found \"{pattern}\""
            ));
        }
        let stem = pattern.strip_suffix('.').unwrap_or(pattern);
        if !stem.is_empty() && stem.bytes().all(|byte| byte == b'*') {
            return Ok(Self { labels: Box::default(), is_below: false, is_any: true });
        }
        let full = format!("{}.", stem.to_ascii_lowercase());
        let mut labels: Vec<Box<str>> = full.split('.').map(Into::into).collect();
        let is_below = labels.len() > 1 && labels[0].len() > 1 && labels[0].bytes().all(|byte| byte == b'*');
        if is_below {
            labels.remove(0);
        }
        Ok(Self { labels: labels.into(), is_below, is_any: false })
    }

    /// Whether a name is meant, whether it has its final dot or not.
    #[must_use]
    pub fn means(&self, name: &str) -> bool {
        if name.ends_with('.') { self.matches(name) } else { self.matches(&format!("{name}.")) }
    }

    /// Whether a name with its final dot is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some(stem) = name.strip_suffix('.') else { return false };
        let mut labels = name.split('.');
        if self.is_any {
            return stem.is_empty() || stem.split('.').all(is_label);
        }
        if self.is_below {
            let count = name.split('.').count();
            let Some(above) = count.checked_sub(self.labels.len()).filter(|above| *above > 0) else {
                return false;
            };
            if !labels.by_ref().take(above).all(is_label) {
                return false;
            }
        }
        let mut wanted = self.labels.iter();
        loop {
            match (wanted.next(), labels.next()) {
                (Some(pattern), Some(label)) if label_matches(pattern.as_bytes(), label.as_bytes()) => {}
                (None, None) => return true,
                _ => return false,
            }
        }
    }
}

const fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(is_label_byte)
}

/// Matches one label, going back to the last `*` where what follows it does not fit.
fn label_matches(pattern: &[u8], label: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut last_star = None;
    while read < label.len() {
        match pattern.get(at) {
            Some(b'*') => {
                last_star = Some((at, read));
                at += 1;
            }
            Some(wanted) if *wanted == label[read].to_ascii_lowercase() => {
                at += 1;
                read += 1;
            }
            _ => match last_star {
                Some((star, from)) if is_label_byte(label[from]) => {
                    last_star = Some((star, from + 1));
                    (at, read) = (star + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, accept: &[&str], reject: &[&str]) {
        let compiled = NamePattern::pattern(pattern).unwrap();
        for (names, expected) in [(accept, true), (reject, false)] {
            for name in names {
                assert_eq!(compiled.means(name), expected, "{pattern} on {name}");
            }
        }
    }

    #[test]
    fn patterns() {
        check("example.com", &["example.com", "EXAMPLE.com."], &["a.example.com", "example.org", ""]);
        check("*.example.com", &["a.example.com", ".example.com"], &["example.com", "a.b.example.com"]);
        check("**.example.com", &["a.example.com", "a.b.example.com"], &["example.com", ".example.com"]);
        check("*example.com", &["example.com", "an-example.com"], &["an.example.com"]);
        check("a*b*c.d", &["abc.d", "axxbbc.d"], &["ab.d", "abcx.d"]);
        check("*", &["a", "a.b.c", "."], &["a..b", ".a"]);
        check("**.*.d", &["a.b.d", "a.b.c.d"], &["b.d"]);
        check("a.**.d", &["a.b.d", "a..d"], &["a.b.c.d"]);
    }

    #[test]
    fn what_is_no_pattern() {
        for (pattern, name) in [("a b", "a b"), ("a/b", "a*"), ("\u{e9}", "")] {
            assert!(NamePattern::pattern(pattern).is_err() && NamePattern::name(name).is_err(), "{pattern}");
        }
        assert!(NamePattern::pattern(&"a".repeat(256)).is_err());
    }

    #[test]
    fn many_stars_take_no_longer_than_few() {
        let compiled = NamePattern::pattern(&"*a".repeat(120)).unwrap();
        assert!(!compiled.means(&"a".repeat(119)));
        assert!(compiled.means(&"a".repeat(200)));
    }
}
