//! JA4 for TLS clients (github.com/FoxIO-LLC/ja4, `technical_details/JA4.md`).

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{ClientHello, EXTENSION_ALPN, EXTENSION_SERVER_NAME};

/// Counts have two digits.
const COUNT_MAX: usize = 99;
/// Hexadecimal digits that are kept of a hash: two a byte.
const HASH_DIGITS: usize = 12;
/// Stands for the hash of nothing.
const NO_HASH: &str = "000000000000";

/// The fingerprint of a message that is there as a whole, over TCP.
pub(super) fn fingerprint(hello: &ClientHello) -> String {
    let has_name = hello.extensions.contains(&EXTENSION_SERVER_NAME);
    let mut ciphers = hello.cipher_suites.clone();
    ciphers.sort_unstable();
    let is_hashed = |extension: &u16| ![EXTENSION_SERVER_NAME, EXTENSION_ALPN].contains(extension);
    let mut extensions: Vec<_> = hello.extensions.iter().copied().filter(is_hashed).collect();
    extensions.sort_unstable();
    let mut hashed_extensions = hex_list(&extensions);
    if !hashed_extensions.is_empty() && !hello.signature_algorithms.is_empty() {
        hashed_extensions.push('_');
        hashed_extensions.push_str(&hex_list(&hello.signature_algorithms));
    }
    format!(
        "t{}{}{:02}{:02}{}_{}_{}",
        version(hello),
        if has_name { 'd' } else { 'i' },
        hello.cipher_suites.len().min(COUNT_MAX),
        hello.extensions.len().min(COUNT_MAX),
        protocol(hello.alpn.first().map_or(&[], Vec::as_slice)),
        hash(&hex_list(&ciphers)),
        hash(&hashed_extensions),
    )
}

/// The highest version that is offered.
fn version(hello: &ClientHello) -> &'static str {
    match hello.versions().into_iter().max() {
        Some(0x0304) => "13",
        Some(0x0303) => "12",
        Some(0x0302) => "11",
        Some(0x0301) => "10",
        Some(0x0300) => "s3",
        Some(0x0002) => "s2",
        _ => "00",
    }
}

/// First and last character of the first application protocol, or of its hexadecimal form where these are no letters or
/// digits.
fn protocol(protocol: &[u8]) -> String {
    let (Some(first), Some(last)) = (protocol.first(), protocol.last()) else { return "00".to_owned() };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [*first, *last].map(char::from).into_iter().collect();
    }
    format!("{:x}{:x}", first >> 4, last & 0xF)
}

fn hex_list(numbers: &[u16]) -> String {
    let numbers: Vec<_> = numbers.iter().map(|number| format!("{number:04x}")).collect();
    numbers.join(",")
}

fn hash(text: &str) -> String {
    if text.is_empty() {
        return NO_HASH.to_owned();
    }
    let digest = Sha256::digest(text);
    digest.iter().take(HASH_DIGITS / 2).fold(String::with_capacity(HASH_DIGITS), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a String takes every write");
        digits
    })
}
