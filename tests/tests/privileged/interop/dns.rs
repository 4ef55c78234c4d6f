//! DNS between dig and dnsmasq.

use serde_json::Value;
use tempfile::TempDir;
use watchfire_tests::Agent;

use super::program::Program;
use super::wire::{End, SERVER, SERVER_V6, Wire};
use crate::running::{agent, nonce};

/// Addresses of the name that has many: without EDNS they do not fit into a datagram (RFC 1035, section 4.2.1).
const ADDRESSES: usize = 40;
/// Texts of the name that has many, and bytes of each.
const TEXTS: usize = 40;
const TEXT_BYTES: usize = 250;
pub(super) const PORT: u16 = 7070;
/// Another address that has a name.
pub(super) const OTHER: &str = "10.98.0.3";

/// What dnsmasq is to know, and from nobody else.
fn config() -> String {
    let mut config = format!(
        "no-resolv\nno-hosts\nno-daemon\nuser=root\ngroup=root\npid-file=\ncache-size=0\nbind-interfaces\n\
         listen-address={SERVER}\nlisten-address={SERVER_V6}\nlocal=/example/\nlocal-ttl=77\n\
         host-record=web.example,{SERVER},{SERVER_V6},300\ncname=www.example,web.example,120\n\
         host-record=other.example,{OTHER},300\ntxt-record=text.example,watchfire\n"
    );
    for number in 1..=ADDRESSES {
        config += &format!("address=/many.example/10.98.1.{number}\n");
    }
    for number in 0..TEXTS {
        config += &format!("txt-record=long.example,{number:0TEXT_BYTES$}\n");
    }
    config
}

pub(super) fn resolver(wire: &Wire) -> (Program, TempDir) {
    let folder = tempfile::tempdir().expect("make a temporary folder");
    let path = folder.path().join("dnsmasq.conf");
    std::fs::write(&path, config()).expect("write the configuration");
    let file = format!("--conf-file={}", path.display());
    (Program::start(wire.command(End::Server, "dnsmasq", &[&file]), "started, version"), folder)
}

/// An answer as dig and the agent both tell it: name, seconds, type, and data where it is an address or a name.
type Answer = (String, u64, String, Option<String>);

/// What dig says: how it was answered, and what.
pub(super) struct Asked {
    rcode: String,
    answers: Vec<Answer>,
    over_tcp: bool,
}

pub(super) fn dig(wire: &Wire, arguments: &[&str]) -> Asked {
    let fixed = ["+noall", "+comments", "+answer", "+stats", "+tries=1"];
    let arguments: Vec<&str> = arguments.iter().chain(&fixed).copied().collect();
    let output = wire.command(End::Client, "dig", &arguments).output().expect("start dig");
    let text = String::from_utf8(output.stdout).expect("dig writes UTF-8");
    assert!(output.status.success(), "{arguments:?}: {text}");
    let (_, rest) = text.split_once("status: ").unwrap_or_else(|| panic!("no status in {text}"));
    let rcode = rest.split(',').next().unwrap_or_default().to_owned();
    let lines = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
    Asked { rcode, answers: lines.map(answer_of_dig).collect(), over_tcp: text.contains("(TCP)") }
}

/// `web.example. 300 IN A 10.98.0.2`
fn answer_of_dig(line: &str) -> Answer {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, ttl, "IN", kind, data, ..] = words[..] else { panic!("no answer: {line}") };
    let has_data = ["A", "AAAA", "CNAME"].contains(&kind);
    let undotted = |name: &str| name.trim_end_matches('.').to_owned();
    (undotted(name), ttl.parse().expect("seconds"), kind.to_owned(), has_data.then(|| undotted(data)))
}

fn answers_of(record: &Value) -> Vec<Answer> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let answer = |answer: &Value| {
        let (kind, ttl) = (text(&answer["type"]), answer["ttl"].as_u64().expect("seconds"));
        let has_data = ["A", "AAAA", "CNAME"].contains(&kind.as_str());
        (text(&answer["name"]), ttl, kind, has_data.then(|| text(&answer["data"])))
    };
    record["answers"].as_array().into_iter().flatten().map(answer).collect()
}

/// The record of what dig asked, which is told at dig's end, with the process.
fn record_of(agent: &Agent, name: &str, kind: &str, protocol: &str) -> Value {
    let record = agent.record(&format!("{kind} of {name} over {protocol}"), |record| {
        record["type"] == "dns"
            && record["query"] == name
            && record["query_type"] == kind
            && record["protocol"] == protocol
            && record["process"]["binary"].as_str().is_some_and(|binary| binary.ends_with("/dig"))
    });
    assert!(record["latency_us"].as_u64().is_some_and(|latency| latency > 0), "{record}");
    assert!(record["server"]["address"].as_str().is_some_and(|address| address.ends_with(":53")), "{record}");
    record
}

pub(crate) fn with_a_real_resolver() {
    let agent = agent();
    let wire = Wire::new();
    let _resolver = resolver(&wire);
    let (v4, v6) = (format!("@{SERVER}"), format!("@{SERVER_V6}"));
    let missing = format!("{}.example", nonce("no"));
    for (server, name, kind, rcode) in [
        (&v4, "web.example", "A", "NOERROR"),
        (&v6, "web.example", "AAAA", "NOERROR"),
        (&v4, "www.example", "A", "NOERROR"),
        (&v4, "text.example", "TXT", "NOERROR"),
        (&v6, missing.as_str(), "A", "NXDOMAIN"),
    ] {
        let asked = dig(&wire, &[server, name, kind]);
        assert_eq!((asked.rcode.as_str(), asked.over_tcp), (rcode, false), "dig {name} {kind}");
        let record = record_of(&agent, name, kind, "UDP");
        assert_eq!(record["rcode"], asked.rcode, "{record}");
        assert_eq!(answers_of(&record), asked.answers, "{record}");
        assert_eq!(record["truncated"], Value::Null, "{record}");
    }
    assert_eq!(dig(&wire, &[&v4, "www.example", "A", "+tcp"]).answers, {
        let record = record_of(&agent, "www.example", "A", "TCP");
        answers_of(&record)
    });
    too_long_for_a_datagram(&agent, &wire, &v4);
    names_of_a_flow(&agent, &wire);
}

/// An answer that is cut, so that dig asks again over TCP.
fn too_long_for_a_datagram(agent: &Agent, wire: &Wire, server: &str) {
    let asked = dig(wire, &[server, "many.example", "A", "+noedns"]);
    assert_eq!((asked.answers.len(), asked.over_tcp), (ADDRESSES, true), "dig asks again over TCP");
    let cut = record_of(agent, "many.example", "A", "UDP");
    assert_eq!(cut["truncated"], true, "{cut}");
    let whole = record_of(agent, "many.example", "A", "TCP");
    let told = answers_of(&whole);
    assert_eq!((told, &whole["truncated"]), (asked.answers, &Value::Null), "{whole}");
}

/// An answer of ten kilobytes in segments of little more than one.
pub(crate) fn in_several_segments() {
    let agent = agent();
    let wire = Wire::new();
    wire.cut_segments(1280);
    let _resolver = resolver(&wire);
    let asked = dig(&wire, &[&format!("@{SERVER}"), "long.example", "TXT", "+tcp"]);
    assert_eq!(asked.answers.len(), TEXTS);
    let record = record_of(&agent, "long.example", "TXT", "TCP");
    assert_eq!((answers_of(&record), &record["truncated"]), (asked.answers, &Value::Null), "{record}");
}

/// A connection to an address that was just resolved has its name.
fn names_of_a_flow(agent: &Agent, wire: &Wire) {
    let mut server = wire.peer(End::Server, &format!("accept {SERVER}:{PORT}"));
    assert_eq!(server.line(), "ready");
    wire.peer(End::Client, &format!("connects {SERVER}:{PORT} 1")).finish();
    let close = agent.record("the connection to the resolved address", |record| {
        wire.has(record)
            && record["stage"] == "close"
            && record["side"] == "client"
            && record["server"]["address"] == format!("{SERVER}:{PORT}")
    });
    let names = close["server"]["names"].as_array().unwrap_or_else(|| panic!("no names: {close}"));
    for name in ["web.example", "www.example"] {
        assert!(names.iter().any(|known| known == name), "{name}: {close}");
    }
}
