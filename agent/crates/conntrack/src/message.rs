//! The messages of ctnetlink (include/uapi/linux/netfilter/nfnetlink_conntrack.h), written and read.

use std::io;
use std::net::{IpAddr, SocketAddr};

use watchfire_model::Protocol;

/// Largest answer that is read, bytes: one connection with all its attributes takes less than 1 KiB.
pub(crate) const ANSWER_BYTES_MAX: usize = 8192;

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW`: what an answer is.
const CT_NEW: u16 = 1 << 8;
/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET`.
const CT_GET: u16 = 1 << 8 | 1;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLA_F_NESTED: u16 = 1 << 15;
/// Leaves the number of an attribute: without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const NLA_TYPE_MASK: u16 = 0x3fff;
/// `struct nlmsghdr`, bytes.
const HEADER_BYTES: usize = 16;
/// `struct nfgenmsg`, bytes.
const FAMILY_BYTES: usize = 4;
const ENOENT: i32 = 2;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;

/// One direction of a connection, as its packets show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuple {
    /// Protocol.
    pub protocol: Protocol,
    /// Where the packets come from.
    pub source: SocketAddr,
    /// Where they go.
    pub destination: SocketAddr,
}

impl Tuple {
    /// The question that asks for the connection whose first packet had this tuple; none for protocols without ports and
    /// for addresses of two families.
    pub(crate) fn question(&self, sequence: u32) -> Option<Vec<u8>> {
        let protocol = protocol_number(self.protocol)?;
        let (family, addresses) =
            match (self.source.ip().to_canonical(), self.destination.ip().to_canonical()) {
                (IpAddr::V4(source), IpAddr::V4(destination)) => {
                    let (source, destination) = (source.octets(), destination.octets());
                    (AF_INET, [(CTA_IP_V4_SRC, source.to_vec()), (CTA_IP_V4_DST, destination.to_vec())])
                }
                (IpAddr::V6(source), IpAddr::V6(destination)) => {
                    let (source, destination) = (source.octets(), destination.octets());
                    (AF_INET6, [(CTA_IP_V6_SRC, source.to_vec()), (CTA_IP_V6_DST, destination.to_vec())])
                }
                _ => return None,
            };
        let ip: Vec<u8> = addresses.iter().flat_map(|(kind, address)| attribute(*kind, address)).collect();
        let ports = [(CTA_PROTO_SRC_PORT, self.source), (CTA_PROTO_DST_PORT, self.destination)];
        let ports = ports.iter().flat_map(|(kind, end)| attribute(*kind, &end.port().to_be_bytes()));
        let transport: Vec<u8> = attribute(CTA_PROTO_NUM, &[protocol]).into_iter().chain(ports).collect();
        let tuple = [nested(CTA_TUPLE_IP, &ip), nested(CTA_TUPLE_PROTO, &transport)].concat();
        // version 0, no resource
        let body = [&[family, 0, 0, 0][..], &nested(CTA_TUPLE_ORIG, &tuple)].concat();

        let bytes = u32::try_from(HEADER_BYTES + body.len()).ok()?;
        let mut message = Vec::with_capacity(HEADER_BYTES + body.len());
        message.extend(bytes.to_ne_bytes());
        message.extend(CT_GET.to_ne_bytes());
        message.extend(NLM_F_REQUEST.to_ne_bytes());
        message.extend(sequence.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend(body);
        Some(message)
    }
}

/// A connection as the kernel tracks it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tracked {
    /// Its first packet.
    pub(crate) original: Tuple,
    /// What its answer looks like before anything is translated back: its source is who really answers.
    pub(crate) reply: Tuple,
}

/// Reads the answer to the question with this number: the connection, or none where no such one is tracked. The outer
/// none: it answers another question.
pub(crate) fn answer(datagram: &[u8], sequence: u32) -> io::Result<Option<Option<Tracked>>> {
    let (Some(kind), Some(number)) = (u16_at(datagram, 4), u32_at(datagram, 8)) else {
        return Err(malformed());
    };
    if number != sequence {
        return Ok(None);
    }
    let end = u32_at(datagram, 0).and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(malformed)?;
    let body = datagram.get(HEADER_BYTES..end).ok_or_else(malformed)?;
    match kind {
        NLMSG_ERROR => match u32_at(body, 0).map(|error| error.cast_signed().wrapping_neg()) {
            Some(ENOENT) => Ok(Some(None)),
            Some(error @ 1..) => Err(io::Error::from_raw_os_error(error)),
            _ => Err(malformed()),
        },
        CT_NEW => {
            let attributes = body.get(FAMILY_BYTES..).ok_or_else(malformed)?;
            let tracked = || {
                Some(Tracked {
                    original: tuple(find(attributes, CTA_TUPLE_ORIG)?)?,
                    reply: tuple(find(attributes, CTA_TUPLE_REPLY)?)?,
                })
            };
            Ok(Some(Some(tracked().ok_or_else(malformed)?)))
        }
        _ => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer has not the expected form")
}

const fn protocol_number(protocol: Protocol) -> Option<u8> {
    match protocol {
        Protocol::Tcp => Some(6),
        Protocol::Udp => Some(17),
        Protocol::Sctp => Some(132),
        Protocol::Icmp | Protocol::Icmpv6 | Protocol::Other(_) => None,
    }
}

fn nested(kind: u16, content: &[u8]) -> Vec<u8> {
    attribute(kind | NLA_F_NESTED, content)
}

/// Length and number in the machine's byte order, then the content, filled up to a multiple of 4.
fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let bytes = u16::try_from(4 + content.len()).expect("tuples take less than 100 bytes");
    let mut attribute = [&bytes.to_ne_bytes()[..], &kind.to_ne_bytes(), content].concat();
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

/// The content of the first attribute with a number.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let bytes = usize::from(u16_at(attributes, 0)?);
        let kind = u16_at(attributes, 2)? & NLA_TYPE_MASK;
        let content = attributes.get(4..bytes)?;
        if kind == wanted {
            return Some(content);
        }
        attributes = attributes.get(bytes.next_multiple_of(4)..)?;
    }
}

fn tuple(content: &[u8]) -> Option<Tuple> {
    let (ip, transport) = (find(content, CTA_TUPLE_IP)?, find(content, CTA_TUPLE_PROTO)?);
    let address = |v4, v6| {
        let v4 = find(ip, v4).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
        let v6 = || find(ip, v6).and_then(|octets| <[u8; 16]>::try_from(octets).ok());
        v4.map(IpAddr::from).or_else(|| v6().map(IpAddr::from))
    };
    let port = |kind| Some(u16::from_be_bytes(find(transport, kind)?.try_into().ok()?));
    Some(Tuple {
        protocol: (*find(transport, CTA_PROTO_NUM)?.first()?).into(),
        source: SocketAddr::new(address(CTA_IP_V4_SRC, CTA_IP_V6_SRC)?, port(CTA_PROTO_SRC_PORT)?),
        destination: SocketAddr::new(address(CTA_IP_V4_DST, CTA_IP_V6_DST)?, port(CTA_PROTO_DST_PORT)?),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple_of(source: &str, destination: &str) -> Tuple {
        Tuple {
            protocol: Protocol::Tcp,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    /// What the kernel answers: the question's own tuple, and the other direction's.
    fn answer_of(original: &Tuple, reply: &Tuple, sequence: u32) -> Vec<u8> {
        let question = |tuple: &Tuple| tuple.question(sequence).unwrap();
        let mut answer = question(original);
        let mut reply = question(reply).split_off(HEADER_BYTES + FAMILY_BYTES);
        reply[2..4].copy_from_slice(&(CTA_TUPLE_REPLY | NLA_F_NESTED).to_ne_bytes());
        // Attributes that nobody asked about stand between.
        answer.extend(attribute(3, &[1, 2, 3, 4]));
        answer.extend(attribute(7, &[9]));
        answer.extend(reply);
        let bytes = u32::try_from(answer.len()).unwrap();
        answer[..4].copy_from_slice(&bytes.to_ne_bytes());
        answer[4..6].copy_from_slice(&CT_NEW.to_ne_bytes());
        answer
    }

    #[test]
    fn a_question_has_the_kernels_form() {
        let question = tuple_of("10.0.0.1:258", "10.96.0.10:80").question(7).unwrap();
        let mut expected = vec![
            72, 0, 0, 0, 1, 1, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0, // nlmsghdr
            2, 0, 0, 0, // nfgenmsg
            52, 0, 1, 128, // CTA_TUPLE_ORIG
            20, 0, 1, 128, // CTA_TUPLE_IP
            8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 2, 0, 10, 96, 0, 10, // addresses
            28, 0, 2, 128, // CTA_TUPLE_PROTO
            5, 0, 1, 0, 6, 0, 0, 0, // number
            6, 0, 2, 0, 1, 2, 0, 0, 6, 0, 3, 0, 0, 80, 0, 0, // ports
        ];
        if cfg!(target_endian = "big") {
            expected = question.clone();
        }
        assert_eq!(question, expected);
        let mapped = tuple_of("[::ffff:10.0.0.1]:258", "10.96.0.10:80");
        assert_eq!(mapped.question(7).unwrap(), question);
        assert_eq!(tuple_of("[fd00::1]:1", "10.96.0.10:80").question(7), None);
        let icmp = Tuple { protocol: Protocol::Icmp, ..mapped };
        assert_eq!(icmp.question(7), None);
    }

    #[test]
    fn an_answer_tells_both_directions() {
        for (original, reply) in [
            (tuple_of("10.0.0.1:258", "10.96.0.10:80"), tuple_of("10.244.0.7:8080", "10.0.0.1:258")),
            (tuple_of("[fd00::1]:258", "[fd96::a]:80"), tuple_of("[fd00::7]:8080", "[fd00::1]:258")),
        ] {
            let datagram = answer_of(&original, &reply, 7);
            let tracked = Tracked { original, reply };
            assert_eq!(answer(&datagram, 7).unwrap(), Some(Some(tracked)));
            assert_eq!(answer(&datagram, 8).unwrap(), None, "another question's");
        }
    }

    #[test]
    fn errors_are_told_from_connections_that_are_not_tracked() {
        let error = |number: i32| {
            let mut datagram = vec![36, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
            datagram.extend((-number).to_ne_bytes());
            datagram.extend([0; 16]);
            answer(&datagram, 7)
        };
        assert_eq!(error(ENOENT).unwrap(), Some(None));
        assert_eq!(error(1).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(error(0).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole =
            answer_of(&tuple_of("10.0.0.1:1", "10.96.0.10:80"), &tuple_of("10.0.0.2:2", "10.0.0.1:1"), 7);
        for end in 0..whole.len() {
            assert!(answer(&whole[..end], 7).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 3, 255] {
                let mut hostile = whole.clone();
                hostile[at] = value;
                let _ = answer(&hostile, 7);
            }
        }
    }
}
