//! Records of flows that are counted in maps, and of first bytes.

use agent_common::{FlowKey, PAYLOAD_CLIENT_HELLO, PAYLOAD_CLIENT_HELLO_MORE, PAYLOAD_DNS};
use watchfire_model::{Icmp, Origin, PayloadKind, Protocol};

use super::*;

/// A key with local port 40000 and remote port 53.
fn key(wire: Wire, cookie: u64, protocol: u8) -> Wire {
    let mapped = |last: u8| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last];
    wire.u64(cookie).bytes(&mapped(1)).bytes(&mapped(2)).u16(40_000).u16(53).bytes(&[protocol, 0, 0, 0])
}

fn datagram(protocol: u8, flags: u32) -> Vec<u8> {
    key(Wire::header(16, 120), 55, protocol).u32(1).u32(flags).0
}

fn dropped(cookie: u64, tcp_flags: u8) -> Vec<u8> {
    let mapped = |last: u8| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last];
    let wire = Wire::header(18, 120).u64(cookie).bytes(&mapped(1)).bytes(&mapped(2));
    wire.u16(40_000).u16(80).u16(3).bytes(&[6, tcp_flags]).u32(11).u32(0).0
}

fn payload(kind: u32, sent: u32, text: &[u8]) -> Vec<u8> {
    let wire = key(Wire::header(17, 136 + text.len() as u32), 55, 17);
    wire.u32(1).u32(kind).u32(sent).u32(900).u32(0xabcd_ef01).u32(0).bytes(text).0
}

fn note(bytes: &[u8]) -> FlowNote {
    flow_note(bytes, CONTEXT).unwrap().unwrap().2
}

#[test]
fn datagram_bytes() {
    let FlowNote::Begun(key, flow) = note(&datagram(17, 1)) else { panic!("no begin") };
    assert_eq!((key.cookie, key.local_port, key.protocol), (55, 40_000, 17));
    assert_eq!(
        (flow.client.to_string(), flow.server.to_string()),
        ("10.0.0.1:40000".into(), "10.0.0.2:53".into())
    );
    assert_eq!((flow.side, flow.protocol, flow.netns), (Side::Client, Protocol::Udp, 11));
    assert_eq!((flow.owner, flow.cgroup_id), (Owner::Known(id(4321, 800)), 77));
    assert_eq!((flow.origin, flow.direction_guessed, flow.icmp), (Origin::Observed, false, None));

    let FlowNote::Begun(_, flow) = note(&datagram(17, 2)) else { panic!("no begin") };
    assert_eq!((flow.server.to_string(), flow.side), ("10.0.0.1:40000".into(), Side::Server));
    assert!(flow.direction_guessed);

    let FlowNote::Begun(_, flow) = note(&datagram(1, 1)) else { panic!("no begin") };
    // Type and code stand in the place of the remote port, the identifier in that of the local one.
    assert_eq!(flow.icmp, Some(Icmp { icmp_type: 0, code: 53, id: 40_000 }));
    assert_eq!((flow.client.port(), flow.server.port()), (0, 0));
    assert_eq!(note(&datagram(17, 4)), FlowNote::Released(55));
}

#[test]
fn drop_bytes() {
    let FlowNote::Dropped(key, flow) = note(&dropped(0, 2)) else { panic!("no drop") };
    assert_eq!((key.reason, key.net_ns), (3, 11));
    // A packet that opens, and that came from elsewhere.
    assert_eq!((flow.side, flow.direction_guessed), (Side::Server, false));
    assert_eq!((flow.client.port(), flow.server.port()), (40_000, 80));
    assert_eq!(flow.owner, Owner::Unknown(OwnerUnknown::NoSocket));

    let FlowNote::Dropped(_, flow) = note(&dropped(9, 16)) else { panic!("no drop") };
    assert_eq!((flow.side, flow.direction_guessed), (Side::Client, true));
    assert_eq!(flow.owner, Owner::Known(id(4321, 800)));
}

#[test]
fn payload_bytes() {
    for (kind, sent, expected, side) in [
        (PAYLOAD_DNS, 1, PayloadKind::Dns, Side::Client),
        (PAYLOAD_DNS, 0, PayloadKind::Dns, Side::Client),
        (PAYLOAD_CLIENT_HELLO, 1, PayloadKind::ClientHello, Side::Client),
        (PAYLOAD_CLIENT_HELLO, 0, PayloadKind::ClientHello, Side::Server),
        (PAYLOAD_CLIENT_HELLO_MORE, 0, PayloadKind::ClientHelloMore, Side::Server),
    ] {
        let (record_kind, observation) = decode(&payload(kind, sent, b"abc"), CONTEXT).unwrap();
        let Body::Payload(payload) = observation.body else { panic!("no payload") };
        assert_eq!((record_kind, payload.kind, payload.flow.side), (RecordKind::Payload, expected, side));
        assert_eq!(
            (payload.sent, payload.bytes.as_slice(), payload.whole_bytes, payload.sequence),
            (sent == 1, &b"abc"[..], 900, 0xabcd_ef01)
        );
    }
    assert_eq!(decode(&payload(7, 1, b""), CONTEXT), Err(DecodeError::Payload(7)));
}

#[test]
fn a_note_is_whole_or_refused() {
    for bytes in [datagram(17, 1), dropped(0, 2)] {
        for cut in 0..bytes.len() {
            assert!(flow_note(&bytes[..cut], CONTEXT).is_none(), "cut at {cut}");
            let short = with_header(bytes[..cut].to_vec(), u16::from_le_bytes([bytes[4], bytes[5]]));
            assert!(matches!(flow_note(&short, CONTEXT), Some(Err(DecodeError::Short(_)))), "cut at {cut}");
        }
        assert_eq!(
            decode(&bytes, CONTEXT),
            Err(DecodeError::Kind(bytes[4].into())),
            "told by the maps alone"
        );
    }
    assert!(flow_note(&fork(), CONTEXT).is_none());
}

#[test]
fn flows_of_one_socket_stand_together() {
    let key = |cookie, port| FlowKey { cookie, remote_port: port, ..FlowKey::default() };
    assert!(
        key(1, 9) < key(2, 1)
            && key(2, 1) < key(2, 2)
            && FlowKey { cookie: 2, ..FlowKey::default() } < key(2, 1)
    );
}
