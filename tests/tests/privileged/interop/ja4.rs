//! JA4 of what tshark has read of a `ClientHello`: the format that FoxIO has published, written down a second time.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Extensions that stand in the first part and not in the hash: server name, application protocols.
const NOT_HASHED: [u16; 2] = [0x0000, 0x0010];

/// What goes into a fingerprint, as the client sent it.
pub(super) struct Ja4<'a> {
    pub(super) versions: &'a [u16],
    pub(super) has_name: bool,
    pub(super) ciphers: &'a [u16],
    pub(super) extensions: &'a [u16],
    pub(super) signatures: &'a [u16],
    pub(super) protocol: Option<&'a str>,
}

impl Ja4<'_> {
    pub(super) fn fingerprint(&self) -> String {
        let version = match self.versions.iter().filter(|version| !is_grease(**version)).max() {
            Some(0x0304) => "13",
            Some(0x0303) => "12",
            Some(0x0302) => "11",
            Some(0x0301) => "10",
            other => panic!("a version in {other:?}"),
        };
        let mut ciphers = without_grease(self.ciphers);
        let mut extensions = without_grease(self.extensions);
        let name = if self.has_name { 'd' } else { 'i' };
        let protocol = self.protocol.map_or_else(
            || "00".to_owned(),
            |name| name.chars().take(1).chain(name.chars().last()).collect(),
        );
        let counts = format!("{:02}{:02}", ciphers.len().min(99), extensions.len().min(99));
        ciphers.sort_unstable();
        extensions.retain(|extension| !NOT_HASHED.contains(extension));
        extensions.sort_unstable();
        let mut rest = list(&extensions);
        if !self.signatures.is_empty() {
            rest = format!("{rest}_{}", list(&without_grease(self.signatures)));
        }
        format!("t{version}{name}{counts}{protocol}_{}_{}", hash(&list(&ciphers)), hash(&rest))
    }
}

/// Numbers as tshark lists them, `0x1301,0x1302` or `4865,4866`.
pub(super) fn numbers(text: &str) -> Vec<u16> {
    let number = |part: &str| match part.strip_prefix("0x") {
        Some(hexadecimal) => u16::from_str_radix(hexadecimal, 16),
        None => part.parse(),
    };
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(|part| number(part).unwrap_or_else(|_| panic!("{part} is no number"))).collect()
}

/// RFC 8701: `0x0a0a`, `0x1a1a` and so on.
fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

fn without_grease(numbers: &[u16]) -> Vec<u16> {
    numbers.iter().copied().filter(|number| !is_grease(*number)).collect()
}

fn list(numbers: &[u16]) -> String {
    numbers.iter().map(|number| format!("{number:04x}")).collect::<Vec<_>>().join(",")
}

/// The first twelve digits of SHA-256, by coreutils.
fn hash(text: &str) -> String {
    let mut command = Command::new("sha256sum");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start sha256sum");
    child.stdin.take().expect("stdin is piped").write_all(text.as_bytes()).expect("write to sha256sum");
    let output = child.wait_with_output().expect("wait for sha256sum");
    String::from_utf8(output.stdout).expect("digits")[..12].to_owned()
}
