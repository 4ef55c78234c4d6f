//! YAML streams cut into documents by their markers alone, so that a document that is no YAML costs only itself.

/// One document of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Document<'a> {
    /// Line of the stream on which `text` begins, from 1.
    pub(crate) first_line: u64,
    /// The document without its marker.
    pub(crate) text: &'a str,
}

/// The documents that hold anything besides comments and directives. Neither marker can occur at the start of a line
/// inside a document (YAML 1.2.2, 9.1.2), and JSON has no line that begins with one.
pub(crate) fn split(stream: &str) -> Vec<Document<'_>> {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
    let mut documents = Vec::new();
    let mut current = Document { first_line: 1, text: stream };
    let mut start = 0;
    let mut position = 0;
    for (line, number) in stream.split_inclusive('\n').zip(1..) {
        if is_marker(line) {
            documents.push(Document { text: &stream[start..position], ..current });
            start = position + MARKER_BYTES;
            current.first_line = number;
        }
        position += line.len();
    }
    documents.push(Document { text: &stream[start..], ..current });
    documents.retain(|document| !document.text.lines().all(is_blank));
    documents
}

const MARKER_BYTES: usize = 3;

fn is_marker(line: &str) -> bool {
    (line.starts_with("---") || line.starts_with("..."))
        && line[MARKER_BYTES..].chars().next().is_none_or(char::is_whitespace)
}

impl Document<'_> {
    /// Line of the stream on which the object begins, from 1.
    pub(crate) fn object_line(&self) -> u64 {
        self.text
            .lines()
            .zip(self.first_line..)
            .find(|(line, _)| !is_blank(line))
            .map_or(self.first_line, |l| l.1)
    }
}

/// Whether a line holds no more than a comment or a directive.
fn is_blank(line: &str) -> bool {
    let content = line.trim();
    content.is_empty() || content.starts_with('#') || line.starts_with('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &str, expect: &[(u64, &str)]) {
        let found: Vec<_> = split(stream).into_iter().map(|d| (d.first_line, d.text.trim())).collect();
        assert_eq!(found, expect, "{stream:?}");
    }

    #[test]
    fn markers_separate_documents() {
        check("", &[]);
        check("# only a comment\n---\n", &[]);
        check("a: 1", &[(1, "a: 1")]);
        check("a: 1\n---\nb: 2\n", &[(1, "a: 1"), (2, "b: 2")]);
        check("---\r\na: 1\r\n---\r\nb: 2", &[(1, "a: 1"), (3, "b: 2")]);
        check("%YAML 1.2\n---\na: 1\n...\n---\n# c\n---\nb: 2\n---", &[(2, "a: 1"), (7, "b: 2")]);
        check("--- {a: 1}\n--- # c\nb: 2", &[(1, "{a: 1}"), (2, "# c\nb: 2")]);
        check("a: |\n  x\n  ---\n  y\n", &[(1, "a: |\n  x\n  ---\n  y")]);
        check("---a: 1\n", &[(1, "---a: 1")]);
        check("\u{feff}a: 1", &[(1, "a: 1")]);
        check("---\u{e9}", &[(1, "---\u{e9}")]);
    }
}
