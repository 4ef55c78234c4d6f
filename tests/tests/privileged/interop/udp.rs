//! Datagrams and echoes against tshark.

use std::collections::BTreeMap;

use serde_json::Value;
use watchfire_tests::Agent;

use super::capture::{Capture, Captured, LAST_PORT, WHOLE_BYTES};
use super::tcp::{Ends, endpoint, ends_of, print_table};
use super::wire::{End, SERVER, SERVER_V6, Wire};
use crate::running::agent;

/// Datagrams of a client.
const DATAGRAMS: u64 = 200;
/// Echoes asked for, and how much each carries: one that fits a packet, and one that is sent in fragments.
const ECHOES: u64 = 20;
const ECHO_BYTES: [u64; 2] = [700, 4000];
/// Type, code, checksum, identifier and number (RFC 792).
const ECHO_HEADER_BYTES: u64 = 8;

/// Datagrams and their payload bytes, to the server and back.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Both {
    to_server: (u64, u64),
    to_client: (u64, u64),
}

impl Both {
    /// What a record must count at this side.
    fn is_counted_by(self, record: &Value, side: &str) -> bool {
        let of = |field: &str| record["counters"][field].as_u64();
        let (sent, received) = if side == "client" {
            (self.to_server, self.to_client)
        } else {
            (self.to_client, self.to_server)
        };
        of("datagrams_sent") == Some(sent.0)
            && of("bytes_sent") == Some(sent.1)
            && of("datagrams_received") == Some(received.0)
            && of("bytes_received") == Some(received.1)
    }

    fn add(&mut self, is_to_server: bool, bytes: u64) {
        let one = if is_to_server { &mut self.to_server } else { &mut self.to_client };
        *one = (one.0 + 1, one.1 + bytes);
    }
}

pub(crate) fn datagrams() {
    let agent = agent();
    let wire = Wire::new();
    let capture = Capture::start(&wire, WHOLE_BYTES);
    let mut servers = Vec::new();
    let mut said = Vec::new();
    for address in [SERVER.to_owned(), format!("[{SERVER_V6}]")] {
        let mut server = wire.peer(End::Server, &format!("echo {address}:0"));
        let port = server.port();
        servers.push(server);
        for how in ["connected", "unconnected"] {
            let role = format!("datagrams {address}:{port} {DATAGRAMS} {how}");
            let mut client = wire.peer(End::Client, &role);
            let line = client.line();
            client.finish();
            let counts: Vec<u64> = line.split(' ').map(|word| word.parse().expect("a count")).collect();
            let [sent, sent_bytes, received, received_bytes] = counts[..] else { panic!("counts: {line}") };
            said.push(Both { to_server: (sent, sent_bytes), to_client: (received, received_bytes) });
        }
    }
    // They close their sockets, which ends their flows.
    drop(servers);
    let flows = flows(&capture.finish(&wire));
    let mut captured: Vec<Both> = flows.values().copied().collect();
    captured.sort_unstable();
    said.sort_unstable();
    assert_eq!(captured, said, "the capture has what was sent");
    for side in ["client", "server"] {
        let mut table: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
        for (ends, both) in &flows {
            let close = expect((&agent, &wire), side, &format!("{ends:?}"), *both, |record| {
                record["protocol"] == "UDP" && ends_of(record) == *ends
            });
            let name = if ends.1.starts_with('[') { "UDP over IPv6" } else { "UDP over IPv4" };
            note(table.entry(name).or_default(), side, &close, *both);
        }
        print_table(side, &table);
    }
}

/// Waits for the record at the end of a flow, which must count exactly this.
fn expect(
    (agent, wire): (&Agent, &Wire),
    side: &str,
    name: &str,
    both: Both,
    mut is_it: impl FnMut(&Value) -> bool,
) -> Value {
    let close = agent.record(&format!("{side} close of {name}"), |record| {
        wire.has(record) && record["stage"] == "close" && record["side"] == side && is_it(record)
    });
    assert!(both.is_counted_by(&close, side), "{name} carried {both:?}, and the {side} says {close}");
    close
}

/// Adds a flow to the table.
fn note(row: &mut [u64; 5], side: &str, close: &Value, both: Both) {
    let of = |field: &str| close["counters"][field].as_u64().expect("a close has counters");
    let (sent, received) = (of("bytes_sent"), of("bytes_received"));
    let (to_server, to_client) = if side == "client" { (sent, received) } else { (received, sent) };
    for (sum, more) in row.iter_mut().zip([1, to_server, both.to_server.1, to_client, both.to_client.1]) {
        *sum += more;
    }
}

/// Every pair of ends that exchanged datagrams, the client first: the one that sent first.
fn flows(captured: &Captured) -> BTreeMap<Ends, Both> {
    let rows = captured.fields(
        // Errors of ICMP quote the datagrams that they are about.
        &format!("udp and not icmp and not icmpv6 and udp.dstport != {LAST_PORT}"),
        ["ip.src", "ipv6.src", "udp.srcport", "ip.dst", "ipv6.dst", "udp.dstport", "udp.length"],
    );
    let mut flows: BTreeMap<Ends, Both> = BTreeMap::new();
    for [source4, source6, source_port, target4, target6, target_port, length] in rows {
        let source = endpoint(&source4, &source6, &source_port);
        let target = endpoint(&target4, &target6, &target_port);
        let bytes = length.parse::<u64>().expect("a length") - 8;
        match flows.get_mut(&(target.clone(), source.clone())) {
            Some(both) => both.add(false, bytes),
            None => flows.entry((source, target)).or_default().add(true, bytes),
        }
    }
    flows
}

pub(crate) fn echoes() {
    let agent = agent();
    let wire = Wire::new();
    let capture = Capture::start(&wire, WHOLE_BYTES);
    for (server, size) in [SERVER, SERVER_V6].iter().flat_map(|server| ECHO_BYTES.map(|size| (server, size)))
    {
        let counted = wire.run(End::Client, &format!("ping -n -c {ECHOES} -i 0.01 -s {size} {server}"));
        assert!(counted.contains(&format!("{ECHOES} received")), "{counted}");
    }
    let captured = capture.finish(&wire);
    let mut table: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
    for (filter, name, protocol, ident) in [
        ("icmp.type == 8 or icmp.type == 0", "ICMP", "ICMP", "icmp.ident"),
        ("icmpv6.type == 128 or icmpv6.type == 129", "ICMPv6", "ICMPv6", "icmpv6.echo.identifier"),
    ] {
        let pings = pings(&captured, filter, ident);
        assert_eq!(pings.len(), ECHO_BYTES.len(), "{pings:?}");
        for (id, both) in pings {
            assert_eq!((both.to_server.0, both.to_client.0), (ECHOES, ECHOES));
            let close = expect((&agent, &wire), "client", &format!("{name} {id}"), both, |record| {
                record["protocol"] == protocol && record["icmp"]["id"] == id
            });
            note(table.entry(name).or_default(), "client", &close, both);
        }
    }
    print_table("client", &table);
}

/// Every ping by its identifier: requests and replies, and what they carry behind the header of the echo.
fn pings(captured: &Captured, filter: &str, ident: &str) -> BTreeMap<u64, Both> {
    let rows = captured.fields(
        filter,
        [
            ident,
            "icmp.type",
            "icmpv6.type",
            // The last fragment has the length of all.
            "ip.reassembled.length",
            "ip.len",
            "ip.hdr_len",
            "ipv6.reassembled.length",
            "ipv6.plen",
        ],
    );
    let mut pings: BTreeMap<u64, Both> = BTreeMap::new();
    for [ident, kind, kind6, whole, length, header, whole6, length6] in rows {
        let number = |text: &str| text.parse::<u64>().ok();
        let (id, kind) = (number_of(&ident), number(&kind).or(number(&kind6)).expect("a type"));
        let one = || Some(number(&length)? - number(&header)?);
        let message = number(&whole).or(number(&whole6)).or_else(one).or(number(&length6)).expect("a length");
        pings.entry(id).or_default().add(kind == 8 || kind == 128, message - ECHO_HEADER_BYTES);
    }
    pings
}

/// tshark writes some numbers as `0x1234` and some as `4660`.
fn number_of(text: &str) -> u64 {
    // An identifier may be listed twice, once for each order of its bytes.
    let text = text.split(',').next().unwrap_or_default();
    let number = match text.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => text.parse(),
    };
    number.unwrap_or_else(|_| panic!("{text} is no number"))
}
