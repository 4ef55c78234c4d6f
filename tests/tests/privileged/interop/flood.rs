//! Floods: bounded in number, and in what they make of the agent.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use watchfire_tests::Agent;

use super::tcp::ends_of;
use super::wire::{End, SERVER, Wire};
use crate::loss::{assert_balance, assert_losses, final_account};
use crate::running::agent;

/// Connections of a flood, one after another.
const CONNECTIONS: u64 = 5000;
/// SYNs that nobody completes.
const HALF_OPEN: u64 = 5000;
/// Ports that a scan tries, for each protocol.
const PORTS: u64 = 2000;
/// By how much a flood may raise the agent's memory at its peak, KiB.
const GROWTH_MAX_KIB: u64 = 48 * 1024;
const PORT: u16 = 7060;
/// An address that the wire could have, and that nobody has.
const NOBODY: &str = "10.98.0.77";

type Account = HashMap<String, HashMap<String, u64>>;

pub(crate) fn connects() {
    let (records, account) = flood("connect flood", |wire| {
        let mut clients = wire.peer(End::Client, &format!("connects {SERVER}:{PORT} {CONNECTIONS}"));
        assert_eq!(clients.line(), CONNECTIONS.to_string());
        clients.finish();
    });
    for (stage, kind) in [("open", "tcp-open"), ("close", "tcp-close")] {
        let counted = &account[kind];
        let told = records.iter().filter(|record| record["stage"] == stage).count();
        assert!(counted["seen"] >= 2 * CONNECTIONS, "{kind}: {counted:?}");
        let held_back = counted["suppressed"] + counted["dropped"];
        assert!(told as u64 + held_back >= 2 * CONNECTIONS, "{told} {stage} records, {counted:?}");
        assert!(told as u64 <= 2 * CONNECTIONS, "{told} {stage} records");
    }
}

pub(crate) fn half_open() {
    let (records, account) = flood("half-open flood", |wire| {
        // Cookies would answer without keeping anything.
        wire.run(End::Server, "echo 0 > /proc/sys/net/ipv4/tcp_syncookies");
        let count = HALF_OPEN.to_string();
        forge(wire, &["-S", "-p", &PORT.to_string(), "-a", NOBODY, "-c", &count]);
        let queued = wire.run(End::Server, "ss -tnH state syn-recv");
        assert!(queued.lines().count() > 0, "connections stay half open");
    });
    let told = |stage: &str| {
        let is_one = |record: &&Value| record["protocol"] == "TCP" && record["stage"] == stage;
        records.iter().filter(is_one).count()
    };
    for stage in ["open", "close", "failed"] {
        assert_eq!(told(stage), 0, "what never was a connection is not told as one that is {stage}");
    }
    println!("half-open flood: {} drops told, {:?}", told("dropped"), account["drop"]);
}

pub(crate) fn scan() {
    let (records, account) = flood("port scan", |wire| {
        let count = PORTS.to_string();
        forge(wire, &["-S", "-p", "++1", "-c", &count]);
        forge(wire, &["--udp", "-p", "++1", "-c", &count]);
    });
    let counted = &account["drop"];
    assert!(counted["seen"] >= 2 * PORTS, "every packet to a closed port is dropped: {counted:?}");
    let dropped = |protocol: &str| {
        let ports: BTreeSet<(String, String)> = (records.iter())
            .filter(|record| record["stage"] == "dropped" && record["protocol"] == protocol)
            .filter(|record| record["drop"]["reason"] == "NO_SOCKET")
            .map(ends_of)
            .collect();
        ports.len() as u64
    };
    let (tcp, udp) = (dropped("TCP"), dropped("UDP"));
    let held_back = counted["suppressed"] + counted["dropped"];
    println!("port scan: {tcp} TCP and {udp} UDP packets told as dropped, {held_back} held back");
    assert!(tcp > 0 && udp > 0, "{counted:?}");
    assert!(tcp + udp + held_back >= 2 * PORTS, "{tcp} TCP and {udp} UDP, {counted:?}");
}

/// Sends forged packets from the client's end.
fn forge(wire: &Wire, what: &[&str]) {
    let arguments: Vec<&str> =
        ["-q", "-n", "-i", "u200"].iter().chain(what).copied().chain([SERVER]).collect();
    let output = wire.command(End::Client, "hping3", &arguments).output().expect("start hping3");
    // It fails where nobody answered; what it sent is in its statistics.
    let said = String::from_utf8_lossy(&output.stderr);
    let sent = what.last().expect("a count ends the arguments");
    assert!(said.contains(&format!("{sent} packets transmitted")), "hping3: {said}");
}

/// Runs a flood against a listening server, and checks the agent's memory and its account; gives what was told of the
/// wire, and the account.
fn flood(name: &str, run: impl FnOnce(&Wire)) -> (Vec<Value>, Account) {
    let mut agent = agent();
    let wire = Wire::new();
    let mut server = wire.peer(End::Server, &format!("accept {SERVER}:{PORT}"));
    assert_eq!(server.line(), "ready");
    let before = memory_kib(&agent, "VmRSS");
    // The peak counts from here (proc_pid_clear_refs(5)).
    std::fs::write(format!("/proc/{}/clear_refs", agent.pid()), "5").expect("reset the peak");
    run(&wire);
    drop(server);
    // A connection after all others: what came before is in.
    let mut last = wire.peer(End::Server, &format!("accept {SERVER}:{}", PORT + 1));
    assert_eq!(last.line(), "ready");
    wire.peer(End::Client, &format!("connects {SERVER}:{} 1", PORT + 1)).finish();
    let end = format!("{SERVER}:{}", PORT + 1);
    let is_last = |record: &Value| wire.has(record) && record["server"]["address"] == end;
    for side in ["client", "server"] {
        let _ = agent.record("the last connection", |record| {
            is_last(record) && record["stage"] == "close" && record["side"] == side
        });
    }
    let peak = memory_kib(&agent, "VmHWM");
    println!("{name}: memory {before} KiB before, {peak} KiB at the peak");
    assert!(
        peak.saturating_sub(before) <= GROWTH_MAX_KIB,
        "{name}: {before} KiB before, {peak} KiB at the peak"
    );
    let account = final_account(&mut agent);
    let records = agent.records();
    assert_balance(&account);
    assert_losses(&records, &account);
    (records.into_iter().filter(|record| wire.has(record) && !is_last(record)).collect(), account)
}

/// What /proc says of the agent's memory.
fn memory_kib(agent: &Agent, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("the agent runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {field} in {status}"))
}
