//! TCP connections that last: updates, ends of what is older than the agent, and restarts of the agent.

use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use watchfire_tests::{Agent, AgentCommand, watchfire};

use crate::peer::{Peer, loopback};
use crate::pin::{Pins, end};
use crate::running::{bare, metric, only, ready};
use crate::tcp::{flow, is, port_of};

/// Bytes of each answer.
const REPLY: u64 = 1003;

/// Looks at the connections every second.
fn config() -> String {
    let families = only(&[]);
    serde_json::json!({ "sensor": { "families": families }, "flows": { "updateIntervalSeconds": 1 } })
        .to_string()
}

fn agent(more: &[&str]) -> Agent {
    let arguments: Vec<&str> = ["--config", "flows.yaml"].iter().chain(more).copied().collect();
    ready(bare(&arguments).with_file("flows.yaml", &config()).start())
}

/// A connection between two processes.
struct Talk {
    /// None when it has ended.
    client: Option<Peer>,
    server: Peer,
    client_pid: u32,
    /// Of server and client.
    ports: (u16, u16),
    sent: u64,
    received: u64,
}

impl Talk {
    fn start() -> Self {
        let mut server = Peer::start(&format!("answer 127.0.0.1:0 {REPLY}"));
        let port = server.port();
        Self::between(server, port, Peer::start(&format!("talk 127.0.0.1:{port}")))
    }

    fn between(server: Peer, port: u16, mut client: Peer) -> Self {
        let (client_port, client_pid) = (client.port(), client.pid());
        Self { client: Some(client), server, client_pid, ports: (port, client_port), sent: 0, received: 0 }
    }

    fn say(&mut self, bytes: u64) {
        let client = self.client.as_mut().expect("it has not ended");
        assert_eq!(client.ask(&bytes.to_string()), REPLY.to_string());
        self.sent += bytes;
        self.received += REPLY;
    }

    fn is(&self, record: &Value, stage: &str, side: &str) -> bool {
        is(record, stage, side, self.ports.0) && port_of(&record["client"]) == Some(self.ports.1)
    }

    /// Waits for a record of each side, and gives them, the client's first.
    fn told(&self, agent: &Agent, stage: &str) -> [Value; 2] {
        ["client", "server"]
            .map(|side| agent.record(&format!("{side} {stage}"), |record| self.is(record, stage, side)))
    }

    /// Bytes sent and received, as a side counts them.
    fn totals(&self, side: &str) -> (u64, u64) {
        if side == "client" { (self.sent, self.received) } else { (self.received, self.sent) }
    }

    /// Waits for the update of each side that has all that was said.
    fn updated(&self, agent: &Agent) -> [Value; 2] {
        ["client", "server"].map(|side| {
            agent.record(&format!("{side} update with {:?}", self.totals(side)), |record| {
                self.is(record, "update", side) && counters(record) == self.totals(side)
            })
        })
    }

    fn end(&mut self) {
        self.client.take().expect("it has not ended").end();
    }

    /// Waits for the end at each side, and asserts that each is told once, with process and totals.
    fn ended(&self, agent: &Agent) -> [Value; 2] {
        let ends = self.told(agent, "close");
        after_all(agent);
        for (end, (side, pid)) in
            ends.iter().zip([("client", self.client_pid), ("server", self.server.pid())])
        {
            assert_eq!(counters(end), self.totals(side), "{end}");
            assert_eq!((&end["process"]["pid"], &end["close_reason"]), (&pid.into(), &"fin".into()), "{end}");
            let times = agent.records().iter().filter(|record| self.is(record, "close", side)).count();
            assert_eq!(times, 1, "{side}");
        }
        ends
    }
}

fn counters(record: &Value) -> (u64, u64) {
    let count = |name: &str| record["counters"][name].as_u64().unwrap_or(0);
    (count("bytes_sent"), count("bytes_received"))
}

/// What was to be told before is told when this returns: another connection has begun and ended.
fn after_all(agent: &Agent) {
    let mut server = Peer::start("serve 127.0.0.1:0 1");
    let port = server.port();
    let mut client = Peer::start(&format!("connect 127.0.0.1:{port} 1"));
    assert_eq!(client.line(), "received 1");
    client.finish();
    for side in ["client", "server"] {
        let _ = flow(agent, "close", side, port);
    }
}

pub(crate) fn updates() {
    let agent = agent(&[]);
    let mut talk = Talk::start();
    let [client, server] = talk.told(&agent, "open");
    assert!(client["handshake_us"].as_u64().is_some_and(|us| us > 0), "{client}");
    assert!(server["handshake_us"].is_null(), "{server}");
    // Many segments, and one.
    for bytes in [712_345, 7] {
        talk.say(bytes);
        for update in talk.updated(&agent) {
            assert!(update["close_reason"].is_null() && update["duration_ns"].is_null(), "{update}");
        }
    }
    // While this one rests, another one moves twice: so there was a sweep in which this one was not told.
    let mut other = Talk::start();
    for _ in 0..2 {
        other.say(11);
        let _ = other.updated(&agent);
    }
    for side in ["client", "server"] {
        let of_side = |record: &Value| talk.is(record, "update", side);
        let told: Vec<_> = agent.records().iter().filter(|record| of_side(record)).map(counters).collect();
        assert!(
            told.windows(2).all(|pair| pair[0] < pair[1]),
            "{side}: each is more than the one before: {told:?}"
        );
        assert_eq!(told.last(), Some(&talk.totals(side)));
    }
    talk.end();
    let [client, _] = talk.ended(&agent);
    assert!(
        client["handshake_us"].as_u64().is_some() && client["duration_ns"].as_u64().is_some(),
        "{client}"
    );
    assert_eq!(metric(&agent, "watchfire_flow_sweep_failures_total"), 0);
}

/// Sockets that close while all are visited: kernels have crashed at that.
pub(crate) fn closing() {
    const AT_ONCE: usize = 100;
    /// Set however the test ends, so that it does end.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let agent = agent(&[]);
    // Those that crash where the storage of sockets is visited have this function.
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let would_crash = symbols.lines().any(|line| line.ends_with(" bpf_selem_unlink_nofail"));
    let (hook, rung) = if would_crash { ("iter/task_file", 2) } else { ("iter/bpf_sk_storage_map", 1) };
    let series = format!("watchfire_probe_info{{probe=\"tcp-updates\",hook=\"{hook}\",rung=\"{rung}\"}}");
    assert_eq!(metric(&agent, &series), 1);
    let mut talk = Talk::start();
    let is_over = AtomicBool::new(false);
    // Sockets that never connect: each has an owner and is visited, and there is nothing to tell of it.
    let come_and_go = || {
        while !is_over.load(Ordering::Relaxed) {
            let socket = |_| Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
            drop((0..AT_ONCE).map(socket).collect::<Vec<_>>());
        }
    };
    std::thread::scope(|scope| {
        let over = Over(&is_over);
        for _ in 0..2 {
            scope.spawn(come_and_go);
        }
        for _ in 0..5 {
            talk.say(13);
            let _ = talk.updated(&agent);
        }
        drop(over);
    });
    talk.end();
    let _ = talk.ended(&agent);
    assert_eq!(metric(&agent, "watchfire_flow_sweep_failures_total"), 0);
}

pub(crate) fn without_btf() {
    let script = "mount -t tmpfs tmpfs /sys/kernel/btf && exec \"$0\" run --metrics-listen 127.0.0.1:0 \
                  --socket observe.sock --config flows.yaml";
    let binary = watchfire().to_string_lossy().into_owned();
    let command = AgentCommand::by("unshare", ["--mount", "/bin/sh", "-c", script, &binary]);
    let agent = ready(command.with_file("flows.yaml", &config()).start());
    let series = "watchfire_probe_info{probe=\"tcp-updates\",hook=\"pidfd_getfd + TCP_INFO\",rung=\"3\"}";
    assert_eq!(metric(&agent, series), 1);
    let mut talk = Talk::start();
    for bytes in [54_321, 1] {
        talk.say(bytes);
        let _ = talk.updated(&agent);
    }
    talk.end();
    // Whether the peer's FIN is among the bytes received is not known, without the kernel's types, of who ended first.
    let [client, server] = talk.told(&agent, "close");
    assert_eq!((counters(&client).0, counters(&server)), (talk.sent, talk.totals("server")));
}

/// Asserts that a connection was found, and who has its ends.
fn assert_found(talk: &Talk, agent: &Agent) {
    let pids = [talk.client_pid, talk.server.pid()];
    for (found, pid) in talk.told(agent, "found").iter().zip(pids) {
        assert_eq!((&found["process"]["pid"], &found["origin"]), (&pid.into(), &"before-start".into()));
        assert!(found["direction_guessed"].is_null(), "{found}");
    }
}

fn assert_older(ends: &[Value; 2]) {
    for end in ends {
        assert_eq!(end["origin"], "before-start", "{end}");
        assert!(end["duration_ns"].is_null() && end["handshake_us"].is_null(), "{end}");
    }
}

pub(crate) fn older() {
    let mut talk = Talk::start();
    talk.say(5000);
    let agent = agent(&[]);
    assert_found(&talk, &agent);
    // The first sweep tells what it counts already.
    let _ = talk.updated(&agent);
    talk.say(7001);
    for update in talk.updated(&agent) {
        assert_eq!(update["origin"], "before-start");
    }
    talk.say(3);
    talk.end();
    assert_older(&talk.ended(&agent));
}

pub(crate) fn older_reset() {
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut holder = Peer::start(&format!("hold 127.0.0.1:{port}"));
    let _ = holder.port();
    let (stream, _) = listener.accept().unwrap();
    let agent = agent(&[]);
    let _ = flow(&agent, "found", "client", port);
    // No linger: closing sends a reset.
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
    for (side, reason) in [("client", "reset-by-peer"), ("server", "aborted-locally")] {
        let close = flow(&agent, "close", side, port);
        assert_eq!((&close["close_reason"], &close["origin"]), (&reason.into(), &"before-start".into()));
    }
}

pub(crate) fn restart() {
    let mut first = agent(&[]);
    let mut talk = Talk::start();
    talk.say(4000);
    let _ = talk.told(&first, "open");
    end(&mut first, "TERM");
    let second = agent(&[]);
    assert_found(&talk, &second);
    talk.say(500);
    talk.end();
    assert_older(&talk.ended(&second));
    assert!(!first.records().iter().any(|record| talk.is(record, "close", "client")));
}

pub(crate) fn pinned_restart() {
    let pins = Pins::new();
    let path = pins.path();
    let pin = ["--pin", path.to_str().unwrap()];
    let mut first = agent(&pin);
    let (mut through, mut between) = (Talk::start(), Talk::start());
    for talk in [&mut through, &mut between] {
        talk.say(4000);
        let _ = talk.told(&first, "open");
    }
    end(&mut first, "TERM");
    through.say(500);
    between.say(600);
    between.end();
    let second = agent(&pin);
    second.logged("pinned programs go on");
    let _ = between.ended(&second);
    assert_found(&through, &second);
    let _ = through.updated(&second);
    through.say(60);
    through.end();
    for end in through.ended(&second) {
        assert_eq!(end["origin"], "observed", "{end}");
        assert!(end["duration_ns"].as_u64().is_some(), "{end}");
    }
}

pub(crate) fn unreachable() {
    let agent = agent(&[]);
    // Nobody answers who has that address.
    let script = "ip link set lo up; ip link add name near type bridge; ip addr add 10.99.0.1/24 dev near; \
                  ip link set near up; exec \"$PEER\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "/bin/sh", "-c", script]);
    let mut client = Peer::start_by(command, "connect 10.99.0.7:7998 1");
    assert!(client.line().starts_with("failed"), "nobody is there");
    let failed = flow(&agent, "failed", "client", 7998);
    assert_eq!(
        (&failed["close_reason"], &failed["process"]["pid"]),
        (&"unreachable".into(), &client.pid().into())
    );
    assert!(failed["handshake_us"].is_null(), "{failed}");
}

/// Most lines that are sent until one has to be sent twice.
const LINES_MAX: usize = 100;

pub(crate) fn slow() {
    let agent = agent(&[]);
    let script =
        "ip link set lo up; $(which tc) qdisc add dev lo root netem delay 20ms loss 10%; exec \"$PEER\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "/bin/sh", "-c", script]);
    let mut server = Peer::start_by(command, &format!("answer 127.0.0.1:0 {REPLY}"));
    let port = server.port();
    let inside = format!("--net=/proc/{}/ns/net", server.pid());
    let mut command = Command::new("nsenter");
    command.args([&inside, "/bin/sh", "-c", "exec \"$PEER\""]);
    let mut talk = Talk::between(server, port, Peer::start_by(command, &format!("talk 127.0.0.1:{port}")));
    let source = format!("sport = :{}", talk.ports.1);
    let ss = || {
        let output = Command::new("nsenter").args([&inside, "ss", "-Htin", &source]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut retransmits = 0;
    for _ in 0..LINES_MAX {
        talk.say(30_000);
        retransmits =
            said(&ss(), "retrans:").map_or(0, |both| both.split('/').nth(1).unwrap().parse().unwrap());
        if retransmits > 0 {
            break;
        }
    }
    assert!(retransmits > 0, "of {LINES_MAX} lines at a loss of a tenth none was sent twice");
    // All is acknowledged when the answer is there, so nothing changes from here on.
    let [update, _] = talk.updated(&agent);
    let ss = ss();
    let microseconds = |name: &str| {
        let milliseconds: f64 = said(&ss, name).unwrap().split('/').next().unwrap().parse().unwrap();
        (milliseconds * 1000.0).round() as u64
    };
    let counters = &update["counters"];
    let told = |name: &str| counters[name].as_u64().unwrap();
    assert_eq!(
        (told("srtt_us"), told("min_rtt_us"), told("retransmits")),
        (microseconds("rtt:"), microseconds("minrtt:"), retransmits),
        "{ss}"
    );
    assert!(told("min_rtt_us") >= 40_000, "the delay counts both ways: {counters}");
    let [open, _] = talk.told(&agent, "open");
    assert!(open["handshake_us"].as_u64().is_some_and(|us| us >= 40_000), "{open}");
}

/// The value behind a name in what ss says of a socket.
fn said<'a>(ss: &'a str, name: &str) -> Option<&'a str> {
    ss.split_whitespace().find_map(|word| word.strip_prefix(name))
}
