//! TCP against tshark.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use watchfire_tests::Agent;

use super::capture::{Capture, Captured, HEADERS_BYTES};
use super::wire::{End, SERVER, SERVER_V6, Wire};
use crate::running::agent;

/// Servers, each with an answer of another size, and clients of each; in either family.
const SERVERS: usize = 3;
const CLIENTS: usize = 3;
/// The largest transfer one way, bytes.
const TRANSFER_MAX_BYTES: u64 = 3_000_000;

/// Client and server of a connection, as records write them.
pub(super) type Ends = (String, String);

/// Payload bytes from the client, and from the server.
type Bytes = (u64, u64);

pub(crate) fn agrees_with_tshark() {
    let agent = agent();
    let wire = Wire::new();
    let capture = Capture::start(&wire, HEADERS_BYTES);
    let mut sizes = Sizes::new();
    let mut expected: Vec<Bytes> = Vec::new();
    for address in [SERVER.to_owned(), format!("[{SERVER_V6}]")] {
        for _ in 0..SERVERS {
            let answer = sizes.next();
            let mut server = wire.peer(End::Server, &format!("serve {address}:0 {answer}"));
            let port = server.port();
            for client in 0..CLIENTS {
                // One that says nothing, too.
                let sent = if client == 0 { 0 } else { sizes.next() };
                let mut client = wire.peer(End::Client, &format!("connect {address}:{port} {sent}"));
                assert_eq!(client.line(), format!("received {answer}"));
                client.finish();
                expected.push((sent, answer));
            }
        }
    }
    let streams = streams(&capture.finish(&wire));
    let mut captured: Vec<Bytes> = streams.values().copied().collect();
    captured.sort_unstable();
    expected.sort_unstable();
    assert_eq!(captured, expected, "the capture has what was sent");

    for side in ["client", "server"] {
        for ends in streams.keys() {
            let _ = agent.record(&format!("{side} close of {ends:?}"), |record| {
                is_close(&wire, record, side) && ends_of(record) == *ends
            });
        }
        compare(&agent, &wire, side, &streams);
    }
}

/// Compares one side's records with what tshark has, and prints the table of it.
fn compare(agent: &Agent, wire: &Wire, side: &str, streams: &BTreeMap<Ends, Bytes>) {
    let records = agent.records();
    let closes: Vec<&Value> = records.iter().filter(|record| is_close(wire, record, side)).collect();
    let flows: BTreeSet<Ends> = closes.iter().map(|record| ends_of(record)).collect();
    assert_eq!(flows, streams.keys().cloned().collect(), "the same flows at the {side}");
    assert_eq!(closes.len(), streams.len(), "one record a flow at the {side}");
    let mut table: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
    for record in closes {
        let bytes = |field: &str| record["counters"][field].as_u64().expect("a close has counters");
        let (sent, received) = (bytes("bytes_sent"), bytes("bytes_received"));
        let by_agent = if side == "client" { (sent, received) } else { (received, sent) };
        let by_tshark = streams[&ends_of(record)];
        assert_eq!(by_agent, by_tshark, "bytes at the {side}: {record}");
        let family = if record["server"]["address"].as_str().is_some_and(|address| address.starts_with('[')) {
            "TCP over IPv6"
        } else {
            "TCP over IPv4"
        };
        let row = table.entry(family).or_default();
        for (sum, more) in row.iter_mut().zip([1, by_agent.0, by_tshark.0, by_agent.1, by_tshark.1]) {
            *sum += more;
        }
    }
    print_table(side, &table);
}

/// Prints what can be compared, as it stands in the specification.
pub(super) fn print_table(side: &str, table: &BTreeMap<&str, [u64; 5]>) {
    println!();
    println!(
        "| flows ({side} end) | number | bytes to server: agent | tshark | to client: agent | tshark | difference |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, [flows, to_server, to_server_tshark, to_client, to_client_tshark]) in table {
        let difference = to_server.abs_diff(*to_server_tshark) + to_client.abs_diff(*to_client_tshark);
        println!(
            "| {name} | {flows} | {to_server} | {to_server_tshark} | {to_client} | {to_client_tshark} | {difference} |"
        );
    }
}

/// Every connection of the capture: payload that was carried, whatever of it was sent twice.
fn streams(captured: &Captured) -> BTreeMap<Ends, Bytes> {
    const SYN: u32 = 0x02;
    const SYN_AND_ACK: u32 = 0x12;
    let packets = captured.fields(
        "tcp",
        [
            "tcp.stream",
            "ip.src",
            "ipv6.src",
            "tcp.srcport",
            "ip.dst",
            "ipv6.dst",
            "tcp.dstport",
            "tcp.flags",
            "tcp.seq",
            "tcp.len",
        ],
    );
    let mut ends: BTreeMap<String, Ends> = BTreeMap::new();
    let mut ranges: BTreeMap<(String, String), Vec<(u64, u64)>> = BTreeMap::new();
    for [stream, source4, source6, source_port, target4, target6, target_port, flags, seq, len] in packets {
        let source = endpoint(&source4, &source6, &source_port);
        let target = endpoint(&target4, &target6, &target_port);
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).expect("flags");
        if flags & SYN_AND_ACK == SYN {
            ends.insert(stream.clone(), (source.clone(), target));
        }
        // Relative to the first.
        let (seq, len): (u64, u64) = (seq.parse().expect("a number"), len.parse().expect("a length"));
        ranges.entry((stream, source)).or_default().push((seq, seq + len));
    }
    let carried = |stream: &String, source: &String| {
        union(ranges.get(&(stream.clone(), source.clone())).cloned().unwrap_or_default())
    };
    ends.iter()
        .map(|(stream, (client, server))| {
            let bytes = (carried(stream, client), carried(stream, server));
            ((client.clone(), server.clone()), bytes)
        })
        .collect()
}

/// How many numbers lie in at least one of the ranges.
fn union(mut ranges: Vec<(u64, u64)>) -> u64 {
    ranges.sort_unstable();
    let mut end = 0;
    let mut count = 0;
    for (first, after) in ranges {
        count += after.saturating_sub(first.max(end));
        end = end.max(after);
    }
    count
}

/// An address and port as records write them.
pub(super) fn endpoint(v4: &str, v6: &str, port: &str) -> String {
    if v6.is_empty() { format!("{v4}:{port}") } else { format!("[{v6}]:{port}") }
}

/// Client and server of a record.
pub(super) fn ends_of(record: &Value) -> Ends {
    let end = |name: &str| record[name]["address"].as_str().unwrap_or_default().to_owned();
    (end("client"), end("server"))
}

fn is_close(wire: &Wire, record: &Value, side: &str) -> bool {
    wire.has(record) && record["protocol"] == "TCP" && record["stage"] == "close" && record["side"] == side
}

/// Sizes that differ from run to run; the first line of the test tells how to have them again.
pub(super) struct Sizes(u64);

impl Sizes {
    pub(super) fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let seed = now.as_nanos() as u64 | 1;
        println!("sizes from seed {seed}");
        Self(seed)
    }

    /// A size up to the largest transfer.
    pub(super) fn next(&mut self) -> u64 {
        self.up_to(TRANSFER_MAX_BYTES)
    }

    /// A size from 1 to a limit.
    pub(super) fn up_to(&mut self, max: u64) -> u64 {
        // xorshift64 (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        1 + self.0 % max
    }
}
