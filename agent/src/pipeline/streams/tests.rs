use watchfire_model::{Origin, Owner, OwnerUnknown, Protocol, Side};

use super::*;

const START: u32 = u32::MAX - 20;

fn flow(cookie: u64) -> Flow {
    Flow {
        cookie,
        protocol: Protocol::Tcp,
        client: "10.0.0.1:1000".parse().unwrap(),
        server: "10.0.0.2:53".parse().unwrap(),
        side: Side::Client,
        direction_guessed: false,
        owner: Owner::Unknown(OwnerUnknown::NoStorage),
        cgroup_id: 0,
        netns: 0,
        opened_boot_ns: 0,
        origin: Origin::Observed,
        handshake_ns: None,
        icmp: None,
    }
}

fn piece(cookie: u64, kind: PayloadKind, offset: usize, bytes: &[u8]) -> Payload {
    let sequence = START.wrapping_add(offset as u32);
    let whole_bytes = bytes.len() as u32;
    Payload { flow: flow(cookie), kind, sent: true, bytes: bytes.to_vec(), whole_bytes, sequence }
}

fn take(streams: &mut Streams, payload: Payload) -> Vec<Whole> {
    let mut whole = Vec::new();
    streams.take(payload, 1, &mut whole);
    whole
}

fn dns(streams: &mut Streams, offset: usize, bytes: &[u8]) -> Vec<Whole> {
    take(streams, piece(1, PayloadKind::Dns, offset, bytes))
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

fn bytes(whole: Vec<Whole>) -> Vec<Vec<u8>> {
    whole.into_iter().map(|whole| whole.bytes).collect()
}

/// A `ClientHello` of so many bytes, in one record.
fn client_hello(extension_bytes: u16) -> Vec<u8> {
    let mut body = [3, 3].to_vec();
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend((extension_bytes + 4).to_be_bytes());
    body.extend([0xff, 0x77]);
    body.extend(extension_bytes.to_be_bytes());
    body.extend(vec![9; extension_bytes.into()]);
    let message = [&[1, 0], &(body.len() as u16).to_be_bytes()[..], &body].concat();
    [&[22, 3, 1], &(message.len() as u16).to_be_bytes()[..], &message].concat()
}

#[test]
fn messages_in_any_pieces_are_the_same() {
    let messages = [vec![1; 40], vec![2; 12], vec![3; 300]];
    let stream: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
    for size in 8..=stream.len() {
        let mut streams = Streams::default();
        let mut whole = Vec::new();
        for (index, part) in stream.chunks(size).enumerate() {
            // Each comes twice, as a segment does that is sent again.
            for _ in 0..2 {
                whole.extend(dns(&mut streams, index * size, part));
            }
        }
        assert_eq!(bytes(whole), messages, "in pieces of {size}");
        assert_eq!((streams.bytes, streams.cut(), streams.evicted()), (0, 0, 0));
    }
}

#[test]
fn pieces_in_another_order_wait_for_each_other() {
    let message: Vec<u8> = (0..=255).collect();
    let stream = framed(&message);
    let mut streams = Streams::default();
    assert!(dns(&mut streams, 0, &stream[..50]).is_empty());
    assert!(dns(&mut streams, 200, &stream[200..]).is_empty());
    assert!(dns(&mut streams, 100, &stream[100..200]).is_empty());
    assert_eq!(streams.bytes, 50 + 58 + 100);
    // Overlaps what is there on both sides.
    assert_eq!(bytes(dns(&mut streams, 40, &stream[40..120])), [message]);
    assert_eq!(streams.bytes, 0);
}

#[test]
fn what_has_a_gap_is_read_to_the_gap_after_a_while() {
    let stream = framed(&[5; 100]);
    let mut streams = Streams::default();
    dns(&mut streams, 0, &stream[..30]);
    dns(&mut streams, 60, &stream[60..]);
    let mut whole = Vec::new();
    streams.expire(STREAM_IDLE_NS, &mut whole);
    assert!(whole.is_empty());
    streams.expire(STREAM_IDLE_NS + 1, &mut whole);
    assert_eq!((whole[0].kind, whole[0].bytes.len()), (WholeKind::Dns { whole_bytes: 100 }, 28));
    assert_eq!((streams.len(), streams.bytes, streams.cut()), (0, 0, 1));
}

#[test]
fn what_cannot_be_messages_is_told_once() {
    let mut streams = Streams::default();
    assert_eq!(dns(&mut streams, 0, &[0; 5000]).len(), 1);
    assert_eq!(streams.bytes, 0);
}

#[test]
fn a_message_that_is_too_long_is_read_as_far_as_it_is_kept() {
    let stream = framed(&vec![6; 40_000]);
    let mut streams = Streams::default();
    let mut whole = Vec::new();
    for (index, part) in stream.chunks(4096).enumerate() {
        whole.extend(dns(&mut streams, index * 4096, part));
    }
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].kind, WholeKind::Dns { whole_bytes: 40_000 });
    assert_eq!(whole[0].bytes.len(), STREAM_BYTES_MAX - LENGTH_BYTES);
    // What follows it begins where it says.
    assert_eq!(bytes(dns(&mut streams, stream.len(), &framed(&[7; 12]))), [vec![7; 12]]);
}

#[test]
fn a_client_hello_waits_for_its_rest_whatever_comes_first() {
    let hello = client_hello(1700);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let mut streams = Streams::default();
        let mut whole = Vec::new();
        for index in order {
            let kind = if index == 0 { PayloadKind::ClientHello } else { PayloadKind::ClientHelloMore };
            let end = hello.len().min((index + 1) * 700);
            whole.extend(take(&mut streams, piece(1, kind, index * 700, &hello[index * 700..end])));
        }
        assert_eq!(bytes(whole), std::slice::from_ref(&hello), "{order:?}");
        // Sent again.
        assert!(take(&mut streams, piece(1, PayloadKind::ClientHello, 0, &hello[..700])).is_empty());
        assert_eq!((streams.bytes, streams.cut()), (0, 0));
    }
}

#[test]
fn the_end_of_a_flow_reads_what_is_there() {
    let hello = client_hello(1700);
    let mut streams = Streams::default();
    assert!(take(&mut streams, piece(1, PayloadKind::ClientHello, 0, &hello[..700])).is_empty());
    let mut whole = Vec::new();
    streams.settle(&flow(2), &mut whole);
    assert!(whole.is_empty());
    streams.settle(&flow(1), &mut whole);
    assert_eq!(bytes(whole), [hello[..700].to_vec()]);
    assert_eq!((streams.len(), streams.cut()), (0, 1));
}

#[test]
fn limits_hold_and_are_counted() {
    let mut streams = Streams::default();
    for cookie in 0..STREAMS_MAX as u64 + 3 {
        take(&mut streams, piece(cookie, PayloadKind::Dns, 0, &[0]));
    }
    assert_eq!((streams.len(), streams.evicted()), (STREAMS_MAX, 3));

    let mut streams = Streams::default();
    let long = framed(&vec![0; 15_000]);
    for cookie in 0..400 {
        take(&mut streams, piece(cookie, PayloadKind::Dns, 0, &long[..12_000]));
        assert!(streams.bytes <= STREAMS_BYTES_MAX);
    }
    assert!(streams.evicted() > 0 && streams.evicted() == streams.cut());

    // Small pieces of a stream, with a gap before them.
    let mut streams = Streams::default();
    dns(&mut streams, 0, &[1]);
    for offset in 0..=STREAM_PIECES_MAX {
        dns(&mut streams, 10 + offset, &[1]);
    }
    assert_eq!((streams.evicted(), streams.cut()), (1, 1));
    assert!(streams.bytes <= STREAM_BYTES_MAX);
}
