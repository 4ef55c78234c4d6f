//! A wire that is slow and loses packets, against what ss says of the same socket.

use watchfire_tests::until;

use super::tcp::ends_of;
use super::wire::{CLIENT, End, INTERFACE, SERVER, Wire};
use crate::running::agent;

/// What the client sends, bytes: enough for every kind of loss to happen.
const TRANSFER_BYTES: u64 = 6_000_000;
const PORT: u16 = 7050;
/// What `delay 20ms` makes of the shortest round trip, microseconds.
const DELAY_US: u64 = 20_000;
/// ss writes six digits, rounded.
const ROUNDING_US: u64 = 1;

pub(crate) fn netem() {
    let wire = Wire::new();
    // Segments are cut before they are lost: there must be many of them for some to be lost for certain.
    let lossy = format!(
        "ip link set {INTERFACE} gso_max_segs 1; \
         tc qdisc add dev {INTERFACE} root netem delay 20ms loss 2% limit 10000"
    );
    wire.run(End::Client, &lossy);
    let (srtt, min_rtt) = agrees_with_ss(&wire);
    assert!(srtt >= DELAY_US && min_rtt >= DELAY_US, "srtt {srtt} us, min {min_rtt} us");
}

pub(crate) fn loss() {
    let wire = Wire::new();
    // A queue of its own behind a slow link makes the round trip long; what arrives is lost now and then.
    wire.run(
        End::Client,
        &format!("tc qdisc add dev {INTERFACE} root tbf rate 40mbit burst 32kb limit 400kb"),
    );
    wire.run(
        End::Server,
        &format!(
            "nft add table inet lossy; \
             nft add chain inet lossy input '{{ type filter hook input priority 0; }}'; \
             nft add rule inet lossy input tcp dport {PORT} numgen inc mod 50 == 20 drop"
        ),
    );
    agrees_with_ss(&wire);
}

/// Sends over the wire, and compares what the agent says at the end with what ss says just before; smoothed and shortest
/// round trip, microseconds.
fn agrees_with_ss(wire: &Wire) -> (u64, u64) {
    let agent = agent();
    let mut server = wire.peer(End::Server, &format!("accept {SERVER}:{PORT}"));
    assert_eq!(server.line(), "ready");
    let mut client = wire.peer(End::Client, &format!("stream {SERVER}:{PORT} {TRANSFER_BYTES}"));
    let port = client.port();
    let select = format!("( sport = :{port} and dport = :{PORT} )");
    let ss = until("everything acknowledged", || {
        let text = wire.run(End::Client, &format!("ss -tinH '{select}'"));
        // State, what is received and not read, what is sent and not acknowledged, addresses; then the details.
        let mut words = text.split_whitespace();
        let idle = words.next() == Some("ESTAB") && words.nth(1) == Some("0");
        (idle && !text.contains(" unacked:")).then_some(text)
    });
    // Without a word to the other end, so that no further answer changes anything.
    client.tell("end");
    client.finish();
    let ends = (format!("{CLIENT}:{port}"), format!("{SERVER}:{PORT}"));
    let close = agent.record("the end of the transfer", |record| {
        wire.has(record)
            && record["stage"] == "close"
            && record["side"] == "client"
            && ends_of(record) == ends
    });
    let counters = &close["counters"];
    let of = |field: &str| counters[field].as_u64().unwrap_or_else(|| panic!("no {field} in {close}"));
    let said = Said::read(&ss);
    println!(
        "retransmits {} (ss {}), srtt {} us (ss {} us), min RTT {} us (ss {} us)",
        of("retransmits"),
        said.retransmits,
        of("srtt_us"),
        said.srtt_us,
        of("min_rtt_us"),
        said.min_rtt_us
    );
    assert_eq!(of("bytes_sent"), TRANSFER_BYTES, "{close}");
    assert!(said.retransmits > 0, "something was lost: {ss}");
    assert_eq!(of("retransmits"), said.retransmits, "{ss}\n{close}");
    assert!(of("srtt_us").abs_diff(said.srtt_us) <= ROUNDING_US, "{ss}\n{close}");
    assert!(of("min_rtt_us").abs_diff(said.min_rtt_us) <= ROUNDING_US, "{ss}\n{close}");
    (of("srtt_us"), of("min_rtt_us"))
}

/// What ss says of a socket.
struct Said {
    retransmits: u64,
    srtt_us: u64,
    min_rtt_us: u64,
}

impl Said {
    fn read(text: &str) -> Self {
        let word =
            |name: &str| text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
        // Milliseconds with a fraction.
        let micros = |text: &str| {
            let millis: f64 = text.parse().unwrap_or_else(|_| panic!("{text} is no time"));
            (millis * 1000.0).round() as u64
        };
        // `rtt:20.5/0.3`, `retrans:0/12`: now and in total.
        let srtt = word("rtt").and_then(|rtt| rtt.split('/').next()).expect("ss tells the round trip");
        let retransmits = word("retrans").and_then(|retrans| retrans.split('/').nth(1)?.parse().ok());
        Self {
            retransmits: retransmits.unwrap_or_default(),
            srtt_us: micros(srtt),
            min_rtt_us: micros(word("minrtt").expect("ss tells the shortest round trip")),
        }
    }
}
