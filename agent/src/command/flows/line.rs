//! One line for people: what is told comes from the watched, so nothing of it may steer a terminal.

use std::borrow::Cow;

/// How a piece is set off where there are colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    Plain,
    Good,
    Bad,
    Doubtful,
    Name,
}

impl Style {
    /// The style of a verdict or an answer of DNS.
    pub(super) fn of_result(result: &str) -> Self {
        match result {
            "allowed" | "NOERROR" => Self::Good,
            "denied" => Self::Bad,
            "not-covered" => Self::Plain,
            _ => Self::Doubtful,
        }
    }

    /// Select Graphic Rendition, ECMA-48 8.3.117.
    const fn sgr(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\u{1b}[32m",
            Self::Bad => "\u{1b}[31m",
            Self::Doubtful => "\u{1b}[33m",
            Self::Name => "\u{1b}[36m",
        }
    }
}

/// A line that is being put together.
#[derive(Debug)]
pub(super) struct Line {
    text: String,
    color: bool,
}

impl Line {
    pub(super) const fn new(color: bool) -> Self {
        Self { text: String::new(), color }
    }

    /// Adds a piece and says how many characters of it are seen.
    pub(super) fn push(&mut self, style: Style, piece: &str) -> usize {
        let shown = printable(piece);
        if self.color && style != Style::Plain && !shown.is_empty() {
            self.text.extend([style.sgr(), &shown, "\u{1b}[0m"]);
        } else {
            self.text.push_str(&shown);
        }
        shown.chars().count()
    }

    /// Adds a piece and fills up to the width of its column. A longer one pushes what follows to the right.
    pub(super) fn column(&mut self, style: Style, piece: &str, width: usize) {
        let shown = self.push(style, piece);
        self.text.extend(std::iter::repeat_n(' ', width.saturating_sub(shown) + 2));
    }

    pub(super) fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text
    }
}

/// The text with characters that steer terminals or turn the direction of writing spelled out.
pub(in crate::command) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let spelled = text.chars().flat_map(|char| {
        let (escaped, plain) =
            if steers(char) { (Some(char.escape_default()), None) } else { (None, Some(char)) };
        escaped.into_iter().flatten().chain(plain)
    });
    Cow::Owned(spelled.collect())
}

/// Control characters, line and paragraph separators, and the marks of bidirectional text (Unicode, UAX 9).
fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A JSON text with the control characters escaped that JSON itself lets pass: DEL and C1, which can only stand in
/// strings.
pub(in crate::command) fn printable_json(line: &str) -> Cow<'_, str> {
    let passes = |char: char| matches!(char, '\u{7f}'..='\u{9f}');
    if !line.contains(passes) {
        return Cow::Borrowed(line);
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for char in line.chars() {
        if passes(char) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            escaped.push(char);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_told_steers_the_terminal() {
        let mut line = Line::new(true);
        line.push(Style::Bad, "\u{1b}[2Jx\u{202e}y\u{9b}");
        line.push(Style::Plain, " plain");
        assert_eq!(line.finish(), "\u{1b}[31m\\u{1b}[2Jx\\u{202e}y\\u{9b}\u{1b}[0m plain");
        assert_eq!(printable("ü → 1"), "ü → 1");
        let json = "{\"a\":\"\u{9b}2J\u{7f}ü\"}";
        assert_eq!(printable_json(json), "{\"a\":\"\\u009b2J\\u007fü\"}");
        let values: [serde_json::Value; 2] =
            [json, &printable_json(json)].map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(values[0], values[1]);
    }

    #[test]
    fn columns_are_filled_by_what_is_seen() {
        let mut line = Line::new(true);
        line.column(Style::Good, "ab", 4);
        line.column(Style::Plain, "cdef", 2);
        line.push(Style::Plain, "g");
        assert_eq!(line.finish(), "\u{1b}[32mab\u{1b}[0m    cdef  g");
    }
}
