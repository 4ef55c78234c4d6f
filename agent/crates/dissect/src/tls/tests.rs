use proptest::prelude::*;

use super::*;

/// What OpenSSL 3.0 sends for `db.example` with the protocols h2 and http/1.1, without its padding of zeros.
const OPENSSL_13: &str = "\
    1603010200010001fc0303e96aa6c4bde9aa5cfb332ff870a25c512ebb22fbd8d28a69c56d413e383652a320015ceddac836a34e88\
    cda0783f7b90940769f415c23de43dc34ee13c99219d470024130213031301c02cc030c02bc02fcca9cca8c024c028c023c027009f\
    009e006b006700ff0100018f0000000f000d00000a64622e6578616d706c65000b000403000102000a00160014001d0017001e0019\
    001801000101010201030104002300000010000e000c02683208687474702f312e310016000000170000000d002a00280403050306\
    03080708080809080a080b080408050806040105010601030303010302040205020602002b00050403040303002d00020101003300\
    260024001d002025256282483f5411fcd861c0e88054fda90af8115a1ed0db1a84c567985a7063001500d1";
const OPENSSL_13_PADDING_BYTES: usize = 0xd1;
/// The same where TLS 1.2 is the newest version, without name and protocols.
const OPENSSL_12: &str = "\
    160301009d01000099030347792077b953b92d907635fd962d119bf31067dd8bb5c52415aab72663e00e0000001ec02cc030c02bc0\
    2fcca9cca8c024c028c023c027009f009e006b006700ff01000052000b000403000102000a000c000a001d0017001e001900180023\
    00000016000000170000000d002a0028040305030603080708080809080a080b080408050806040105010601030303010302040205\
    020602";

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
}

fn openssl_13() -> Vec<u8> {
    let mut bytes = from_hex(OPENSSL_13);
    bytes.extend([0; OPENSSL_13_PADDING_BYTES]);
    bytes
}

fn with_length_16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn with_length_8(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8], bytes].concat()
}

fn numbers_of(text: &str) -> Vec<u8> {
    text.split(',').flat_map(|number| u16::from_str_radix(number, 16).unwrap().to_be_bytes()).collect()
}

/// A `ClientHello` in records of up to `record_bytes`.
fn hello(
    version: u16,
    ciphers: &[u8],
    extensions: Option<&[(u16, Vec<u8>)]>,
    record_bytes: usize,
) -> Vec<u8> {
    let mut body = [&version.to_be_bytes()[..], &[7; 32], &[0], &with_length_16(ciphers), &[1, 0]].concat();
    if let Some(extensions) = extensions {
        let extensions: Vec<_> = extensions
            .iter()
            .flat_map(|(extension, data)| [extension.to_be_bytes().to_vec(), with_length_16(data)].concat())
            .collect();
        body.extend(with_length_16(&extensions));
    }
    let mut message = (body.len() as u32 | 1 << 24).to_be_bytes().to_vec();
    message.extend(body);
    let record = |piece: &[u8]| [&[22, 3, 1], &with_length_16(piece)[..]].concat();
    message.chunks(record_bytes).flat_map(record).collect()
}

fn alpn(protocols: &[&[u8]]) -> Vec<u8> {
    let list: Vec<_> = protocols.iter().flat_map(|protocol| with_length_8(protocol)).collect();
    with_length_16(&list)
}

fn sni(name: &[u8]) -> Vec<u8> {
    with_length_16(&[&[NAME_HOST], &with_length_16(name)[..]].concat())
}

/// The example of the published description of JA4, with GREASE where Chromium puts it.
fn ja4_example(signature_algorithms: bool) -> Vec<u8> {
    let ciphers =
        numbers_of("dada,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035");
    let order = numbers_of(
        "8a8a,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015,1a1a",
    );
    let numbers = order.as_chunks().0.iter().copied().map(u16::from_be_bytes);
    let extensions: Vec<_> = numbers
        .map(|number| {
            let data = match number {
                EXTENSION_SERVER_NAME => sni(b"db.example"),
                EXTENSION_ALPN => alpn(&[b"h2", b"http/1.1"]),
                EXTENSION_SUPPORTED_VERSIONS => with_length_8(&numbers_of("6a6a,0304,0303")),
                EXTENSION_SIGNATURE_ALGORITHMS if !signature_algorithms => vec![0, 0],
                EXTENSION_SIGNATURE_ALGORITHMS => {
                    with_length_16(&numbers_of("5a5a,0403,0804,0401,0503,0805,0501,0806,0601"))
                }
                _ => Vec::new(),
            };
            (number, data)
        })
        .collect();
    hello(0x0303, &ciphers, Some(&extensions), RECORD_BYTES_MAX)
}

fn ja4_of(bytes: &[u8]) -> String {
    ClientHello::read(bytes).unwrap().ja4().unwrap()
}

#[test]
fn what_openssl_sends_is_read() {
    let view = ClientHello::read(&openssl_13()).unwrap().view();
    assert_eq!(view.sni.as_deref(), Some("db.example"));
    assert_eq!(view.alpn, ["h2", "http/1.1"]);
    assert_eq!(view.versions, ["TLS 1.3", "TLS 1.2"]);
    // Computed apart from this code, from the lists in the message.
    assert_eq!(view.ja4.as_deref(), Some("t13d1812h2_85036bcba153_d41ae481755e"));
    assert!(!view.truncated);

    let view = ClientHello::read(&from_hex(OPENSSL_12)).unwrap().view();
    assert_eq!((view.sni, view.alpn.len()), (None, 0));
    assert_eq!(view.versions, ["TLS 1.2"]);
    assert_eq!(view.ja4.as_deref(), Some("t12i150600_d68b136fe8d9_e7e480e5a997"));
}

#[test]
fn ja4_gives_the_published_values() {
    assert_eq!(ja4_of(&ja4_example(true)), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    assert_eq!(ja4_of(&ja4_example(false)), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    assert_eq!(ja4_of(&hello(0x0301, &[], None, 64)), "t10i000000_000000000000_000000000000");
    assert_eq!(
        ja4_of(&hello(0x0300, &[0, 0x2f], Some(&[(0xff01, vec![0])]), 64)),
        "ts3i010100_ba72b8082249_bc98f8e001b5"
    );
}

#[test]
fn ja4_shows_the_first_protocol() {
    for (first, expected) in [
        (&b"h2"[..], "h2"),
        (b"http/1.1", "h1"),
        (b"a", "aa"),
        (b"", "00"),
        (b"\xab", "ab"),
        (b"\xab\xcd", "ad"),
        (b"0\xab", "3b"),
        (b"01\xab\xcd", "3d"),
        (b"0\xab\xcd1", "01"),
    ] {
        let ja4 = ja4_of(&hello(0x0303, &[], Some(&[(EXTENSION_ALPN, alpn(&[first]))]), 64));
        assert!(ja4.starts_with(&format!("t12i0001{expected}_")), "{first:?}: {ja4}");
    }
}

#[test]
fn a_message_may_be_spread_over_records() {
    let extensions = [(EXTENSION_SERVER_NAME, sni(b"db.example"))];
    let one = hello(0x0303, &[0x13, 1], Some(&extensions), RECORD_BYTES_MAX);
    let many = hello(0x0303, &[0x13, 1], Some(&extensions), 1);
    assert_eq!(ClientHello::read(&one), ClientHello::read(&many));
    // What comes after it does not matter.
    let early_data = [&one[..], &[23, 3, 3, 0, 1, 0]].concat();
    assert_eq!(ClientHello::read(&one), ClientHello::read(&early_data));
}

#[test]
fn a_cut_message_gives_what_was_seen_and_no_fingerprint() {
    let whole = openssl_13();
    // The name is in it, and not all of the protocols.
    let view = ClientHello::read(&whole[..160]).unwrap().view();
    assert_eq!((view.sni.as_deref(), view.ja4, view.truncated), (Some("db.example"), None, true));
    assert!(view.versions.is_empty(), "{:?}", view.versions);
}

#[test]
fn texts_and_lists_have_limits() {
    let long = vec![b'a'; SNI_BYTES_MAX + 1];
    let view = |extension, data| {
        ClientHello::read(&hello(0x0303, &[], Some(&[(extension, data)]), RECORD_BYTES_MAX)).unwrap().view()
    };
    let named = view(EXTENSION_SERVER_NAME, sni(&long));
    assert_eq!((named.sni.map(|name| name.len()), named.truncated), (Some(SNI_BYTES_MAX), true));
    assert!(named.ja4.is_some());
    let many = vec![&b"h2"[..]; ALPN_PROTOCOLS_MAX + 1];
    let offered = view(EXTENSION_ALPN, alpn(&many));
    assert_eq!((offered.alpn.len(), offered.truncated), (ALPN_PROTOCOLS_MAX, true));
    let named = view(EXTENSION_ALPN, alpn(&[&[0; 11]]));
    assert_eq!((named.alpn, named.truncated), (vec!["\\000".repeat(ALPN_BYTES_MAX / 4)], true));
    let versions = vec![0x7f; 2 * VERSIONS_MAX + 2];
    let versed = view(EXTENSION_SUPPORTED_VERSIONS, with_length_8(&versions));
    assert_eq!((versed.versions.len(), versed.truncated), (VERSIONS_MAX, true));
    assert_eq!(versed.versions[0], "0x7f7f");
    assert_eq!(view(EXTENSION_SERVER_NAME, sni(b"a\n\\\xff")).sni.as_deref(), Some("a\\010\\\\\\255"));
}

#[test]
fn what_is_no_client_hello_is_an_error() {
    let with = |at: usize, byte: u8| {
        let mut bytes = from_hex(OPENSSL_12);
        bytes[at] = byte;
        bytes
    };
    let twice = [(5, vec![]), (5, vec![])];
    for (bytes, expected) in [
        (Vec::new(), TlsError::NotHandshake),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), TlsError::NotHandshake),
        (with(0, 23), TlsError::NotHandshake),
        (with(1, 2), TlsError::NotHandshake),
        (with(5, 2), TlsError::NotClientHello(2)),
        // The session id is longer than any.
        (with(43, 33), TlsError::Lengths),
        // The list of cipher suites has an odd length.
        (with(45, 0x1d), TlsError::Lengths),
        // The message is shorter than what is in it.
        (with(8, 0x98), TlsError::Lengths),
        (hello(0x0303, &[], Some(&twice), 64), TlsError::Twice(5)),
        (hello(0x0303, &[], Some(&[(EXTENSION_ALPN, vec![0, 9, 2])]), 64), TlsError::Lengths),
        (hello(0x0303, &[], Some(&[(EXTENSION_SERVER_NAME, vec![0, 0, 1])]), 64), TlsError::Lengths),
    ] {
        assert_eq!(ClientHello::read(&bytes), Err(expected), "{bytes:?}");
    }
}

/// Whether a cut message says nothing that the whole one does not say.
fn check_prefix(whole: &[u8], bytes: usize) {
    let all = ClientHello::read(whole).unwrap();
    let Ok(part) = ClientHello::read(&whole[..bytes]) else { return };
    if !part.cut {
        assert_eq!(part, all);
        return;
    }
    assert_eq!(part.ja4(), None);
    assert!(part.view().truncated);
    assert!(all.extensions.starts_with(&part.extensions));
    assert!(all.cipher_suites.starts_with(&part.cipher_suites));
    assert!(part.server_name.is_none() || part.server_name == all.server_name);
    assert!(part.alpn.is_empty() || part.alpn == all.alpn);
    assert!(part.versions().is_empty() || part.versions() == all.versions());
}

#[test]
fn no_prefix_says_something_else() {
    for whole in [openssl_13(), from_hex(OPENSSL_12), ja4_example(true)] {
        for bytes in 0..whole.len() {
            check_prefix(&whole, bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(hello) = ClientHello::read(&bytes) {
            let _ = hello.view();
        }
    }

    #[test]
    fn no_change_panics_or_grows_texts(
        changes in prop::collection::vec((0usize..517, any::<u8>()), 0..8),
        bytes in 0usize..=517,
    ) {
        let mut changed = openssl_13();
        for (at, byte) in changes {
            changed[at] = byte;
        }
        if let Ok(hello) = ClientHello::read(&changed[..bytes]) {
            let view = hello.view();
            prop_assert!(view.sni.is_none_or(|name| name.len() <= SNI_BYTES_MAX));
            prop_assert!(view.alpn.len() <= ALPN_PROTOCOLS_MAX && view.versions.len() <= VERSIONS_MAX);
            prop_assert_eq!(view.ja4.is_none(), hello.cut);
        }
    }

    #[test]
    fn no_prefix_of_any_message_says_something_else(
        ciphers in prop::collection::vec(any::<u16>(), 0..20),
        extensions in prop::collection::btree_map(50u16..9999, prop::collection::vec(any::<u8>(), 0..20), 0..8),
        name in prop::collection::vec(any::<u8>(), 0..40),
        record_bytes in 1usize..300,
        part in 0.0..1.0f64,
    ) {
        let ciphers: Vec<_> = ciphers.into_iter().flat_map(u16::to_be_bytes).collect();
        let mut extensions: Vec<_> = extensions.into_iter().collect();
        extensions.push((EXTENSION_SERVER_NAME, sni(&name)));
        extensions.push((EXTENSION_SUPPORTED_VERSIONS, with_length_8(&[3, 4])));
        let whole = hello(0x0303, &ciphers, Some(&extensions), record_bytes);
        check_prefix(&whole, (part * whole.len() as f64) as usize);
    }
}
