use proptest::prelude::*;

use super::*;

/// What a resolver answered for `www.Example.org`: an alias with two addresses, and an OPT record.
fn answer() -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 1];
    bytes.extend(b"\x03www\x07Example\x03org\x00\x00\x01\x00\x01");
    bytes.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x01\x2c\x00\x07\x04edge\xc0\x10");
    bytes.extend(b"\xc0\x2d\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07");
    bytes.extend(b"\xc0\x2d\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10\x20\x01\x0d\xb8");
    bytes.extend([0; 11]);
    bytes.push(7);
    bytes.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    bytes
}

fn query(name: &[u8], query_type: u16) -> Vec<u8> {
    let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.extend(name);
    bytes.extend(query_type.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

fn read(bytes: &[u8]) -> Result<Message, DnsError> {
    message(bytes, bytes.len())
}

fn name_of(name: &[u8]) -> Result<String, DnsError> {
    read(&query(name, 1)).map(|message| message.question.unwrap().name)
}

#[test]
fn an_answer_is_read() {
    let message = read(&answer()).unwrap();
    assert_eq!((message.id, message.response, message.opcode, message.truncated), (0x1234, true, 0, false));
    assert_eq!(message.rcode, "NOERROR");
    let question = message.question.unwrap();
    assert_eq!((question.name.as_str(), &*question.query_type), ("www.Example.org", "A"));
    assert!(question.is_internet());
    let answers: Vec<_> = message
        .answers
        .iter()
        .map(|answer| {
            (answer.name.as_str(), &*answer.record_type, answer.ttl, answer.data.as_deref().unwrap())
        })
        .collect();
    assert_eq!(
        answers,
        [
            ("www.Example.org", "CNAME", 300, "edge.Example.org"),
            ("edge.Example.org", "A", 60, "192.0.2.7"),
            ("edge.Example.org", "AAAA", 60, "2001:db8::7"),
        ]
    );
}

#[test]
fn a_query_is_read() {
    let message = read(&query(b"\x02db\x07example\x00", 28)).unwrap();
    assert_eq!((message.id, message.response, message.truncated), (7, false, false));
    let question = message.question.unwrap();
    assert_eq!(
        (question.name.as_str(), &*question.query_type, &*question.class),
        ("db.example", "AAAA", "IN")
    );
    assert!(message.answers.is_empty());
}

#[test]
fn numbers_have_names_or_are_numbers() {
    let with_flags = |flags: u8| {
        let mut bytes = answer();
        bytes[3] = flags;
        read(&bytes).unwrap()
    };
    assert_eq!(with_flags(0x83).rcode, "NXDOMAIN");
    assert_eq!(with_flags(0x8F).rcode, "RCODE15");
    let mut extended = answer();
    let opt_ttl = extended.len() - 6;
    extended[opt_ttl] = 1;
    assert_eq!(read(&extended).unwrap().rcode, "BADVERS");
    let unknown = read(&query(b"\x00", 4711)).unwrap().question.unwrap();
    assert_eq!((unknown.name.as_str(), &*unknown.query_type), (".", "TYPE4711"));
}

#[test]
fn the_server_may_say_that_it_cut_the_answer() {
    let mut bytes = answer();
    bytes[2] |= 2;
    let message = read(&bytes).unwrap();
    assert!(message.truncated);
    assert_eq!(message.answers.len(), 3);
}

#[test]
fn names_are_escaped_as_in_master_files() {
    for (wire, expected) in [
        (&b"\x01a\x00"[..], "a"),
        (b"\x03a.b\x01c\x00", "a\\.b.c"),
        (b"\x04\x00 \xff\\\x00", "\\000\\032\\255\\\\"),
        (b"\x05_sip@\x00", "_sip\\@"),
    ] {
        assert_eq!(name_of(wire).as_deref(), Ok(expected));
    }
}

#[test]
fn names_have_a_limit() {
    let label = [&[63][..], &[b'a'; 63]].concat();
    let longest = [&label.repeat(3)[..], &[61], &[b'a'; 61], &[0]].concat();
    assert_eq!(longest.len(), NAME_BYTES_MAX);
    assert_eq!(name_of(&longest).unwrap().len(), NAME_BYTES_MAX - 2);
    let longer = [&label.repeat(3)[..], &[62], &[b'a'; 62], &[0]].concat();
    assert_eq!(name_of(&longer), Err(DnsError::NameTooLong));
}

#[test]
fn hostile_names_are_refused() {
    for (wire, expected) in [
        // To itself, forwards, and in circles by way of a label.
        (&b"\xc0\x0c"[..], DnsError::Pointer),
        (b"\xc0\x0e\x00", DnsError::Pointer),
        (b"\x01a\xc0\x0c", DnsError::Pointer),
        (b"\xff\xff", DnsError::Pointer),
        (b"\x40a\x00", DnsError::Label),
        (b"\x80a\x00", DnsError::Label),
        (b"\x3fa\x00", DnsError::Short),
    ] {
        assert_eq!(name_of(wire), Err(expected), "{wire:?}");
    }
    // Pointers to pointers, each of them backwards.
    let hops = NAME_POINTERS_MAX + 2;
    let mut bytes = query(b"\x00", 1);
    bytes[7] = 1;
    bytes.extend(b"\x00\x00\x10\x00\x01\x00\x00\x00\x00");
    bytes.extend((2 * hops as u16).to_be_bytes());
    let mut target = 12u16;
    for _ in 0..hops {
        let here = bytes.len() as u16;
        bytes.extend((0xC000 | target).to_be_bytes());
        target = here;
    }
    bytes[7] = 2;
    bytes.extend((0xC000 | target).to_be_bytes());
    bytes.extend(b"\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x01");
    assert_eq!(read(&bytes), Err(DnsError::Pointer));
}

#[test]
fn what_contradicts_itself_is_an_error() {
    let with = |at: usize, byte: u8| {
        let mut bytes = answer();
        bytes[at] = byte;
        read(&bytes)
    };
    assert_eq!(read(&answer()[..11]), Err(DnsError::Short));
    assert_eq!(with(5, 2), Err(DnsError::Questions(2)));
    // More answers than there are bytes for.
    assert_eq!(with(7, 99), Err(DnsError::Short));
    // The alias is shorter than its data, and the address is.
    assert_eq!(with(44, 6), Err(DnsError::Data));
    assert_eq!(with(63, 3), Err(DnsError::Data));
}

#[test]
fn answers_have_a_limit() {
    let mut bytes = query(b"\x00", 1);
    bytes[2] = 0x80;
    let record = b"\x00\x00\x01\x00\x01\x80\x00\x00\x00\x00\x04\x7f\x00\x00\x01";
    bytes.extend(record.repeat(ANSWERS_MAX));
    bytes[7] = ANSWERS_MAX as u8;
    let message = read(&bytes).unwrap();
    assert_eq!((message.answers.len(), message.truncated), (ANSWERS_MAX, false));
    assert_eq!(message.answers[0].ttl, 0, "RFC 2181: a negative time to live is none");
    bytes.extend(record);
    bytes[7] += 1;
    let message = read(&bytes).unwrap();
    assert_eq!((message.answers.len(), message.truncated), (ANSWERS_MAX, true));
}

/// Whether a cut message says nothing that the whole one does not say.
fn check_prefix(whole: &[u8], bytes: usize) {
    let all = read(whole).unwrap();
    let Ok(part) = message(&whole[..bytes], whole.len()) else {
        assert!(bytes < HEADER_BYTES, "a cut message is readable from its header on");
        return;
    };
    assert!(part.truncated);
    assert_eq!((part.id, part.response, part.opcode), (all.id, all.response, all.opcode));
    assert!(part.question.is_none() || part.question == all.question);
    assert!(all.answers.starts_with(&part.answers));
    // As if nothing had been cut off: an error, or the same.
    if let Ok(told_whole) = read(&whole[..bytes]) {
        assert_eq!((told_whole.question, told_whole.answers), (all.question, all.answers));
    }
}

#[test]
fn no_prefix_says_something_else() {
    for whole in [answer(), query(b"\x02db\x07example\x00", 28)] {
        for bytes in 0..whole.len() {
            check_prefix(&whole, bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), more in 0usize..100) {
        let _ = message(&bytes, bytes.len() + more);
    }

    #[test]
    fn no_change_panics_or_grows_texts(
        changes in prop::collection::vec((0usize..100, any::<u8>()), 0..8),
        bytes in 0usize..=100,
    ) {
        let mut changed = answer();
        for (at, byte) in changes {
            changed[at] = byte;
        }
        if let Ok(message) = message(&changed[..bytes], changed.len()) {
            let names = message.answers.iter().flat_map(|answer| [Some(&answer.name), answer.data.as_ref()]);
            for name in names.flatten().chain(message.question.as_ref().map(|question| &question.name)) {
                prop_assert!(name.len() <= 4 * NAME_BYTES_MAX);
            }
        }
    }

    #[test]
    fn no_prefix_of_any_message_says_something_else(
        labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..4),
        addresses in prop::collection::vec(any::<[u8; 4]>(), 0..ANSWERS_MAX + 3),
        part in 0.0..1.0f64,
    ) {
        let mut name: Vec<_> =
            labels.iter().flat_map(|label| [&[label.len() as u8], &label[..]].concat()).collect();
        name.push(0);
        prop_assume!(name.len() <= NAME_BYTES_MAX);
        let mut whole = query(&name, 1);
        whole[2] = 0x80;
        whole[7] = addresses.len() as u8;
        for address in addresses {
            whole.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04");
            whole.extend(address);
        }
        check_prefix(&whole, (part * whole.len() as f64) as usize);
    }
}
