//! Rules that no other tool checks.

use crate::paths;

/// Above this a file is split (CONTRIBUTING.md).
const FILE_LINES_MAX: usize = 500;

/// The crates whose work is unsafe by nature; everything else forbids it.
const UNSAFE_CRATES: [&str; 4] =
    ["agent-ebpf/", "agent-common/", "agent/crates/sensor/", "tests/bench/ebpf/"];

/// Text that Rust source may not contain, and why. Written in pieces, so that this file does not contain it.
const FORBIDDEN: [(&str, &str); 5] = [
    (concat!("#[", "allow("), "say #[expect(lint, reason = \"…\")], which expires by itself"),
    (concat!("#![", "allow("), "say #![expect(lint, reason = \"…\")], which expires by itself"),
    (concat!("todo", "!("), "an issue remembers what is to do"),
    (concat!("unimplemented", "!("), "what is not there is not declared"),
    (concat!("dbg", "!("), "use tracing"),
];

/// What is wrong with a file, as `path:line: rule`.
pub(super) fn breaches(path: &str, text: &str) -> Vec<String> {
    let mut found = machine_paths(path, text);
    if path.ends_with(".rs") {
        found.extend(source(path, text));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        found.push(format!("{path}: does not end with a line feed"));
    }
    found
}

/// A path of the machine that something was written on helps nobody else.
fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let here = paths::root().to_string_lossy().into_owned();
    // A checkout directly below `/` has a path too short to tell from other text.
    let is_telling = here.matches('/').count() > 1;
    // The folder of whoever it is, as patterns have it, is nobody's.
    let names_somebody = |line: &str, home: &str| {
        line.match_indices(home).any(|(at, _)| !line[at + home.len()..].starts_with('*'))
    };
    let homes = [concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let names_machine = |line: &str| {
        (is_telling && line.contains(&here)) || homes.iter().any(|home| names_somebody(line, home))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| names_machine(line));
    lines.map(|(at, _)| format!("{path}:{}: names a path of one machine", at + 1)).collect()
}

fn source(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        found.push(format!("{path}: {lines} lines, above {FILE_LINES_MAX}: split it"));
    }
    for (at, line) in text.lines().enumerate() {
        for (forbidden, reason) in FORBIDDEN {
            if line.contains(forbidden) {
                found.push(format!("{path}:{}: {forbidden}…): {reason}", at + 1));
            }
        }
    }
    let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    let may_be_unsafe = UNSAFE_CRATES.iter().any(|folder| path.starts_with(folder));
    if is_root && !may_be_unsafe && !text.contains("#![forbid(unsafe_code)]") {
        found.push(format!("{path}: lacks #![forbid(unsafe_code)]"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_breach_and_clean_files_pass() {
        let allow = format!("{}dead_code)]\n", FORBIDDEN[0].0);
        let long = "x\n".repeat(FILE_LINES_MAX + 1);
        let machine = format!("see {}alice/notes\n", concat!("/ho", "me/"));
        let cases = [
            ("a/src/x.rs", "fn main() {}\n", 0),
            ("a/src/x.rs", &allow, 1),
            ("a/src/x.rs", &long, 1),
            ("a/README.md", &long, 0),
            ("a/README.md", &machine, 1),
            ("a/README.md", "no line feed", 1),
            ("a/src/lib.rs", "//! x\n", 1),
            ("a/src/lib.rs", "#![forbid(unsafe_code)]\n", 0),
            ("agent-common/src/lib.rs", "//! x\n", 0),
        ];
        for (path, text, expected) in cases {
            assert_eq!(breaches(path, text).len(), expected, "{path}: {text:.40}");
        }
    }
}
