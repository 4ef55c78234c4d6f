//! Which mirror the machine uses, read from its apt sources in both formats (sources.list(5)).

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// One place that packages come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
    signed_by: Option<String>,
}

/// A sources.list for another release, on the mirrors that this machine is set up with.
pub(super) fn lines_for(suite: &str) -> Result<String> {
    let found: Vec<Source> =
        files().iter().filter_map(|path| fs::read_to_string(path).ok()).flat_map(|t| parse(&t)).collect();
    lines_from(&found, suite).context("no Debian mirror in /etc/apt/sources.list or /etc/apt/sources.list.d")
}

fn lines_from(found: &[Source], suite: &str) -> Option<String> {
    let is_release =
        |name: &str| RELEASES.contains(&name.trim_end_matches("-security").trim_end_matches("/updates"));
    let security = found.iter().find(|s| s.suites.iter().any(|n| n.ends_with("-security") && is_release(n)));
    let main = found.iter().find(|s| s.suites.iter().any(|n| !n.ends_with("-security") && is_release(n)))?;
    let mut lines = line(main, suite);
    // Unstable has no security suite: fixes enter it directly.
    if let Some(security) = security.filter(|_| suite != "sid") {
        lines.push_str(&line(security, &format!("{suite}-security")));
    }
    Some(lines)
}

/// Names that only Debian's own archive uses; a vendor's repository is none of our mirrors.
const RELEASES: [&str; 11] = [
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "sid",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
];

fn line(source: &Source, suite: &str) -> String {
    let signed = source.signed_by.as_ref().map(|key| format!(" signed-by={key}")).unwrap_or_default();
    // Packages alone: the catalogue of desktop programs is half as large again.
    format!("deb [target=Packages{signed}] {} {suite} main\n", source.uri)
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "list" || e == "sources"))
        .collect();
    files.sort();
    files.insert(0, PathBuf::from("/etc/apt/sources.list"));
    files
}

fn parse(text: &str) -> Vec<Source> {
    let is_one_line = text.lines().any(|line| line.starts_with("deb ") || line.starts_with("deb\t"));
    if is_one_line { text.lines().filter_map(one_line).collect() } else { stanzas(text) }
}

/// `deb [signed-by=KEY] URI SUITE COMPONENT…`
fn one_line(line: &str) -> Option<Source> {
    let mut rest = line.strip_prefix("deb")?.trim_start();
    let mut source = Source::default();
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']')?;
        source.signed_by = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(str::to_owned);
        rest = after;
    }
    let mut words = rest.split_whitespace();
    source.uri = words.next()?.to_owned();
    source.suites = vec![words.next()?.to_owned()];
    words.any(|component| component == "main").then_some(source)
}

/// The deb822 format: stanzas of `Key: value`, separated by empty lines.
fn stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(stanza).collect()
}

fn stanza(lines: &[&str]) -> Option<Source> {
    let value = |key: &str| {
        lines.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(key).then(|| value.trim())
        })
    };
    let names_main = value("Components")?.split_whitespace().any(|component| component == "main");
    let is_binary = value("Types")?.split_whitespace().any(|kind| kind == "deb");
    let is_off = value("Enabled").is_some_and(|enabled| enabled == "no");
    if !names_main || !is_binary || is_off {
        return None;
    }
    Some(Source {
        uri: value("URIs")?.split_whitespace().next()?.to_owned(),
        suites: value("Suites")?.split_whitespace().map(str::to_owned).collect(),
        // A key written out in the file has an empty first line; the archive's own keyring then has to do.
        signed_by: value("Signed-By").filter(|key| key.starts_with('/')).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb deb-src\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/keyrings/k.gpg\n\nTypes: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n";
    const ONE_LINE: &str = "# comment\ndeb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian trixie main contrib\ndeb http://mirror.example/debian-security trixie-security main\ndeb-src http://mirror.example/debian trixie main\n";

    #[test]
    fn both_formats_give_a_list_for_another_release() {
        let expected_main = "http://mirror.example/debian trixie main\n";
        let expected_security =
            "deb [target=Packages] http://mirror.example/debian-security trixie-security main\n";
        for text in [DEB822, ONE_LINE] {
            let lines = lines_from(&parse(text), "trixie").unwrap();
            assert!(lines.contains(expected_main), "{lines}");
            assert!(lines.contains("signed-by=/"), "{lines}");
            assert!(lines.ends_with(expected_security), "{lines}");
        }
    }

    #[test]
    fn unstable_has_no_security_line() {
        assert_eq!(lines_from(&parse(ONE_LINE), "sid").unwrap().lines().count(), 1);
    }

    #[test]
    fn vendors_are_not_taken_for_the_archive() {
        let vendor = "Types: deb\nURIs: http://vendor.example/apt\nSuites: nodistro\nComponents: main\n";
        assert_eq!(lines_from(&parse(vendor), "trixie"), None);
        assert_eq!(lines_from(&parse("deb http://vendor.example/apt sdk-bookworm main"), "trixie"), None);
    }
}
