//! What the kernel side does for each packet of a connection: nothing.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::json;
use watchfire_tests::Agent;

use crate::peer::loopback;
use crate::running::{bare, http_get, only, ready};

/// Bytes of the stream: on loopback some thousand packets of 64 KiB.
const STREAM_BYTES: usize = 256 << 20;
/// Runs that other work of the machine may cause meanwhile; far fewer than packets.
const OTHER_RUNS_MAX: u64 = 400;

/// An agent whose programs' runs are counted.
fn agent(flows: &serde_json::Value) -> Agent {
    let sensor = json!({"families": only(&[]), "programStatistics": true});
    let config = json!({"sensor": sensor, "flows": flows}).to_string();
    ready(bare(&["--config", "config.yaml"]).with_file("config.yaml", &config).start())
}

/// How often the programs of these probes have run.
fn runs(agent: &Agent, probes: &[&str]) -> u64 {
    // The counts are read every second: twice the same figures of what runs every time are up to date.
    std::thread::park_timeout(std::time::Duration::from_millis(2500));
    let (_, body) = http_get(agent, "/metrics");
    let of = |line: &str| {
        let rest = line.strip_prefix("watchfire_program_runs_total{probe=\"")?;
        let (probe, rest) = rest.split_once('"')?;
        probes.contains(&probe).then(|| rest.rsplit(' ').next()?.parse::<u64>().ok())?
    };
    body.lines().filter_map(of).sum()
}

/// Sends the stream over one connection, once it is established, and tells how often the programs ran during it.
fn runs_of_a_stream(agent: &Agent, probes: &[&str]) -> u64 {
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut receiver, _) = listener.accept().unwrap();
    let before = runs(agent, probes);
    let reading = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        let mut read = 0;
        while read < STREAM_BYTES {
            read += receiver.read(&mut buffer).unwrap();
        }
        receiver
    });
    let piece = vec![7; 1 << 20];
    for _ in 0..STREAM_BYTES / piece.len() {
        sender.write_all(&piece).unwrap();
    }
    let _receiver = reading.join().unwrap();
    runs(agent, probes) - before
}

/// The programs see the connections of the whole machine: of some streams the quietest counts.
fn fewest_runs(agent: &Agent, probes: &[&str]) -> u64 {
    const STREAMS_MAX: usize = 5;
    let mut fewest = u64::MAX;
    for _ in 0..STREAMS_MAX {
        fewest = fewest.min(runs_of_a_stream(agent, probes));
        if fewest < OTHER_RUNS_MAX {
            break;
        }
    }
    fewest
}

/// Everything that tells of TCP connections.
const TCP: [&str; 6] = ["tcp", "tcp-older", "tcp-updates", "socket-owner", "listen-owner", "drops"];

pub(crate) fn tcp() {
    let agent_without = agent(&json!({"datagrams": false, "payloads": false}));
    let all = [&TCP[..], &["packets"]].concat();
    let grown = fewest_runs(&agent_without, &all);
    assert!(grown < OTHER_RUNS_MAX, "{grown} runs of any program for {STREAM_BYTES} bytes");
    drop(agent_without);

    // The program at packets is there for what is no TCP, and for what opens TLS: it alone runs more.
    let agent = agent(&json!({}));
    let grown = fewest_runs(&agent, &TCP);
    assert!(grown < OTHER_RUNS_MAX, "{grown} runs of what tells of connections for {STREAM_BYTES} bytes");
    let packets = runs_of_a_stream(&agent, &["packets"]);
    println!("the probe at packets ran {packets} times for {STREAM_BYTES} bytes");
    assert!(packets > 0, "it sees what would open TLS");
}
