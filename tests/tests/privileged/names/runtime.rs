//! Container runtimes that do not answer: the agent works without them, and says so.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use watchfire_tests::Agent;

use crate::running::{TestCgroup, command, has_argument, metric, metric_until, nonce, ready};

/// How a client of HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Does something with each connection to a socket, on a thread; the beginning of each comes out.
fn listen(socket: &Path, mut serve: impl FnMut(&mut UnixStream) + Send + 'static) -> Receiver<Vec<u8>> {
    let listener = UnixListener::bind(socket).unwrap();
    let (sender, begun) = channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut beginning = vec![0; PREFACE.len()];
            if stream.read_exact(&mut beginning).is_err() || sender.send(beginning).is_err() {
                break;
            }
            serve(&mut stream);
            kept.push(stream);
        }
    });
    begun
}

fn agent(socket: &Path) -> Agent {
    let socket = socket.to_str().unwrap();
    ready(command(&["--container-runtime", socket, "--enrichment-wait", "200"]).start())
}

/// What runs in a container is told with its id, and that no more is known.
fn assert_told(agent: &Agent, container: &str) {
    let cgroup = TestCgroup::new(&format!("docker/{container}"));
    let nonce = nonce("hanging");
    let script = format!("exec /bin/sh -c 'exit 0' {nonce}");
    assert!(cgroup.shell(&script).status().unwrap().success());
    for action in ["exec", "exit"] {
        let record = agent.record(&format!("the {action}"), |record| {
            record["action"] == action && has_argument(record, &nonce)
        });
        assert_eq!(record["process"]["container"]["id"], container, "{record}");
        assert_eq!(record["process"]["container"]["name"], serde_json::Value::Null, "{record}");
        assert_eq!(
            (&record["enrichment"], &record["enrichment_reason"]),
            (&"failed".into(), &"container".into()),
            "{record}"
        );
    }
}

/// Its end, and what it has said and counted until then.
fn assert_ends(mut agent: Agent, complaint: &str) {
    let line = agent.logged(complaint);
    assert!(line.contains("container runtime") && line.contains("WARN"), "{line}");
    let labels = "source=\"container-runtime\",kind=\"container\"";
    metric_until(&agent, &format!("watchfire_inventory_source_errors_total{{{labels}}}"), |errors| {
        errors > 0
    });
    let state = format!("watchfire_inventory_source_state{{{labels},state=\"unreachable\"}}");
    metric_until(&agent, &state, |is_so| is_so == 1);
    let failed = "watchfire_enrichment_total{outcome=\"failed\",missing=\"container\"}";
    metric_until(&agent, failed, |records| records >= 2);
    assert_eq!(metric(&agent, "watchfire_observations_waiting"), 0);
    agent.signal("TERM");
    assert_eq!(agent.ended().code(), Some(0), "{:?}", agent.log());
    let log = agent.log();
    let said = log.iter().filter_map(|line| line.split_once("container runtime: "));
    let mut said: Vec<&str> = said.map(|(_, why)| why).collect();
    let number = said.len();
    said.sort_unstable();
    said.dedup();
    assert_eq!(said.len(), number, "something is said twice: {log:?}");
}

pub(crate) fn hangs() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("runtime.sock");
    let begun = listen(&socket, |_| {});
    let agent = agent(&socket);
    assert_eq!(begun.recv().unwrap(), PREFACE);
    assert_told(&agent, &"a1".repeat(32));
    assert_ends(agent, "Version");
}

pub(crate) fn speaks_garbage() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("runtime.sock");
    let begun = listen(&socket, |stream| {
        // A client that has gone is no mistake.
        let _ = stream.write_all(&[0xff; 4096]).and_then(|()| stream.shutdown(std::net::Shutdown::Both));
    });
    let agent = agent(&socket);
    for _ in 0..3 {
        assert_eq!(begun.recv().unwrap(), PREFACE, "it is tried again");
    }
    assert_told(&agent, &"b2".repeat(32));
    assert_ends(agent, "container runtime");
}

pub(crate) fn appears_later() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("runtime.sock");
    let agent = agent(&socket);
    assert_told(&agent, &"c3".repeat(32));
    let begun = listen(&socket, |_| {});
    assert_eq!(begun.recv().unwrap(), PREFACE, "it is looked for");
    assert_told(&agent, &"d4".repeat(32));
    assert_ends(agent, "No such file");
}
