//! Live records over the unix socket.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use watchfire_export::{
    CLIENT_QUEUE_RECORDS_MAX, CLIENTS_MAX, EncodedRecord, Encoder, Ends, FlowField, FlowFilter, FlowTerm,
    Metrics, ObserveError, ObserveHub, ObserveRequest, ObserveServer, ObservedLines, RECENT_RECORDS_MAX,
    REQUEST_BYTES_MAX, RecordType, SinkCounters, SocketError, observe,
};
use watchfire_model::{FlowStage, SideVerdict, Verdict};

use crate::common::{flow, flow_record, number, numbered};

struct Running {
    runtime: Runtime,
    hub: Arc<ObserveHub>,
    counters: SinkCounters,
    path: PathBuf,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    _dir: TempDir,
}

fn serve() -> Running {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("run/observe.sock");
    let runtime = Runtime::new().unwrap();
    let counters = Metrics::new("", "").sink("observe");
    let hub = Arc::new(ObserveHub::new(counters.clone()));
    let server = bind(&runtime, &path).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = runtime.spawn(server.serve(Arc::clone(&hub), async { drop(stopped.await) }));
    Running { runtime, hub, counters, path, stop, served, _dir: dir }
}

fn bind(runtime: &Runtime, path: &Path) -> Result<ObserveServer, SocketError> {
    runtime.block_on(async { ObserveServer::bind(path) })
}

impl Running {
    fn ask(&self, last: usize, types: Option<Vec<RecordType>>, follow: bool) -> ObservedLines {
        observe(&self.path, &ObserveRequest { last, types, follow, flows: None }).unwrap()
    }

    /// A client that follows, and is known to: it has the last record already published.
    fn follow(&self) -> ObservedLines {
        let mut lines = self.ask(1, None, true);
        lines.next().unwrap().unwrap();
        lines
    }

    fn stop(self) -> PathBuf {
        self.stop.send(()).unwrap();
        self.runtime.block_on(self.served).unwrap();
        self.path
    }
}

fn numbers(lines: impl Iterator<Item = Result<String, ObserveError>>) -> Vec<u64> {
    lines.map(|line| number(&line.unwrap())).collect()
}

#[test]
fn recent_records_then_live_ones_without_a_gap() {
    let running = serve();
    running.hub.publish(&numbered(0, RECENT_RECORDS_MAX as u64 + 10));
    let newest = RECENT_RECORDS_MAX as u64 + 9;
    assert_eq!(numbers(running.ask(2, None, false)), [newest - 1, newest]);
    assert_eq!(numbers(running.ask(RECENT_RECORDS_MAX, None, false)), (10..=newest).collect::<Vec<_>>());
    assert_eq!(numbers(running.ask(2, Some(vec![RecordType::Flow]), false)), [0; 0]);

    let mut following = running.ask(3, Some(vec![RecordType::Loss]), true);
    assert_eq!(numbers(following.by_ref().take(3)), [newest - 2, newest - 1, newest]);
    running.hub.publish(&numbered(newest + 1, 2));
    assert_eq!(numbers(following.by_ref().take(2)), [newest + 1, newest + 2]);
    let path = running.stop();
    assert!(following.next().is_none(), "the stream ends with the agent");
    assert!(!path.exists());
}

/// An allowed flow to this port, encoded.
fn flow_to(port: u16) -> EncodedRecord {
    let mut flow = flow(FlowStage::Open, Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered));
    flow.server.address.set_port(port);
    Encoder::new().encode(&flow_record(flow))
}

fn ports(lines: impl Iterator<Item = Result<String, ObserveError>>) -> Vec<u64> {
    lines
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let address = value["server"]["address"].as_str().unwrap();
            address.rsplit_once(':').unwrap().1.parse().unwrap()
        })
        .collect()
}

#[test]
fn a_filter_gives_the_last_matching_ones_and_then_only_matching_ones() {
    let running = serve();
    let term = |field, text, negated| FlowTerm::new(field, text, negated).unwrap();
    let terms = vec![
        term(FlowField::Port(Ends::Server), "1", false),
        term(FlowField::Port(Ends::Server), "2", false),
        term(FlowField::Verdict, "denied", true),
    ];
    let filter = FlowFilter::new(None, None, terms);
    let ask = |last, follow| {
        let flows = Some(filter.clone());
        observe(&running.path, &ObserveRequest { last, types: None, follow, flows }).unwrap()
    };
    for port in [1, 2, 3, 1, 3, 3] {
        running.hub.publish(&[flow_to(port)]);
    }
    running.hub.publish(&numbered(0, 5));
    assert_eq!(ports(ask(2, false)), [2, 1], "of those that match, past those that do not");
    assert_eq!(ports(ask(10, false)), [1, 2, 1]);
    assert_eq!(ports(ask(0, false)), [0; 0]);

    let mut following = ask(1, true);
    assert_eq!(ports(following.by_ref().take(1)), [1]);
    for port in [3, 2, 3, 1] {
        running.hub.publish(&numbered(7, 1));
        running.hub.publish(&[flow_to(port)]);
    }
    assert_eq!(ports(following.by_ref().take(2)), [2, 1]);
    running.stop();
    assert!(following.next().is_none());
}

#[test]
fn a_client_that_does_not_read_loses_its_own_records_and_is_told() {
    let running = serve();
    running.hub.publish(&numbered(0, 1));
    let (slow, mut quick) = (running.follow(), running.follow());
    let rounds = 20;
    let round = CLIENT_QUEUE_RECORDS_MAX as u64 / 4;
    for n in 0..rounds {
        running.hub.publish(&numbered(n * round, round));
        let expected: Vec<_> = (n * round..(n + 1) * round).collect();
        assert_eq!(numbers(quick.by_ref().take(round as usize)), expected);
    }
    let dropped = running.counters.dropped();
    assert!(dropped > 0, "more was published than queue and socket buffers hold");
    let reader = std::thread::spawn(move || {
        let (mut received, mut lost) = (0, 0);
        for line in slow {
            let value: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            match value["type"].as_str().unwrap() {
                "observer-loss" => lost += value["lost"].as_u64().unwrap(),
                _ => received += 1,
            }
            if received + lost == rounds * round {
                break;
            }
        }
        (received, lost)
    });
    assert_eq!(reader.join().unwrap(), (rounds * round - dropped, dropped));
    running.stop();
}

#[test]
fn bad_requests_get_one_clear_line() {
    let running = serve();
    let answer = |request: &[u8]| {
        let mut stream = UnixStream::connect(&running.path).unwrap();
        // The agent may have refused before it has read everything.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    for (request, expected) in [
        (&b"hello\n"[..], "bad request: expected value"),
        (b"{\"last\":\"all\"}\n", "invalid type: string"),
        (b"{\"last\":1}", "ends before its newline"),
        (b"", "ends before its newline"),
        (&[b'x'; REQUEST_BYTES_MAX], "longer than 4096 bytes"),
    ] {
        let answer = answer(request);
        assert!(answer.starts_with("{\"type\":\"error\",\"error\":\"bad request: "), "{answer}");
        assert!(answer.contains(expected) && answer.ends_with("\"}\n"), "{answer}");
    }
    let request = ObserveRequest { last: RECENT_RECORDS_MAX + 1, ..ObserveRequest::default() };
    let error = observe(&running.path, &request).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(&error, ObserveError::Refused(why) if why.contains("last is 4097")), "{error}");
    running.stop();
}

#[test]
fn the_number_of_clients_is_bounded_and_places_come_free() {
    let running = serve();
    running.hub.publish(&numbered(0, 1));
    let mut clients: Vec<_> = (0..CLIENTS_MAX).map(|_| running.follow()).collect();
    let error = running.ask(1, None, true).next().unwrap().unwrap_err();
    assert!(error.to_string().contains("16 clients watch already"), "{error}");
    assert_eq!(numbers(running.ask(1, None, false)), [0], "a look back needs no place");
    clients.pop();
    crate::common::eventually("the place is free", || {
        running.ask(1, None, true).next().is_some_and(|line| line.is_ok())
    });
    running.stop();
}

#[test]
fn a_dead_agents_socket_is_replaced_and_nothing_else_is() {
    let dir = TempDir::new().unwrap();
    let runtime = Runtime::new().unwrap();
    let path = dir.path().join("observe.sock");
    let request = ObserveRequest::default();
    assert!(matches!(observe(&path, &request), Err(ObserveError::NotRunning { .. })));

    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(observe(&path, &request), Err(ObserveError::NotRunning { .. })));
    let server = bind(&runtime, &path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let error = bind(&runtime, &path).unwrap_err();
    assert!(matches!(&error, SocketError::InUse(named) if *named == path), "{error}");
    drop(server);

    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(bind(&runtime, &file), Err(SocketError::NoSocket(_))));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}
