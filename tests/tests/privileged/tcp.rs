//! TCP connections.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;
use watchfire_tests::{Agent, AgentCommand, watchfire};

use crate::peer::{Peer, loopback};
use crate::running::{agent, metric, ready};

/// Whether a record is of this stage and end of a connection to this port.
pub(crate) fn is(record: &Value, stage: &str, side: &str, port: u16) -> bool {
    record["type"] == "flow"
        && record["stage"] == stage
        && record["side"] == side
        && port_of(&record["server"]) == Some(port)
}

pub(crate) fn port_of(endpoint: &Value) -> Option<u16> {
    endpoint["address"].as_str()?.rsplit_once(':')?.1.parse().ok()
}

pub(crate) fn flow(agent: &Agent, stage: &str, side: &str, port: u16) -> Value {
    agent.record(&format!("{side} {stage} of port {port}"), |record| is(record, stage, side, port))
}

pub(crate) fn exact_bytes() {
    let agent = agent();
    // Both sizes cross many segments, and neither is a multiple of any segment size.
    let (sent, answered) = (1_234_567, 345_679);
    let mut server = Peer::start(&format!("serve 127.0.0.1:0 {answered}"));
    let port = server.port();
    let mut client = Peer::start(&format!("connect 127.0.0.1:{port} {sent}"));
    assert_eq!(client.line(), format!("received {answered}"));
    let (client_pid, server_pid) = (client.pid(), server.pid());
    client.finish();

    for (side, pid, bytes) in
        [("client", client_pid, (sent, answered)), ("server", server_pid, (answered, sent))]
    {
        let open = flow(&agent, "open", side, port);
        let close = flow(&agent, "close", side, port);
        assert_eq!(open["cookie"], close["cookie"]);
        assert_eq!(close["process"]["pid"], pid, "{side}");
        assert_eq!(close["close_reason"], "fin");
        let counters = &close["counters"];
        assert_eq!(
            (counters["bytes_sent"].as_u64(), counters["bytes_received"].as_u64()),
            (Some(bytes.0), Some(bytes.1)),
            "{side}"
        );
        assert!(counters["srtt_us"].as_u64().unwrap() > 0 && close["duration_ns"].as_u64().unwrap() > 0);
    }
}

pub(crate) fn families() {
    let agent = agent();
    let mut server = Peer::start("serve [::]:0 10");
    let port = server.port();
    for (address, ip) in [(format!("[::1]:{port}"), "[::1]"), (format!("127.0.0.1:{port}"), "127.0.0.1")] {
        let mut client = Peer::start(&format!("connect {address} 5"));
        assert_eq!(client.line(), "received 10");
        client.finish();
        for side in ["client", "server"] {
            let close = agent.record(&format!("{side} close of {address}"), |record| {
                is(record, "close", side, port) && record["server"]["address"] == address
            });
            assert!(close["client"]["address"].as_str().unwrap().starts_with(ip), "{close}");
            assert_eq!(close["counters"]["bytes_sent"], if side == "client" { 5 } else { 10 });
        }
    }
}

pub(crate) fn reset() {
    let agent = agent();
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut holder = Peer::start(&format!("hold 127.0.0.1:{port}"));
    let _ = holder.port();
    let (stream, _) = listener.accept().unwrap();
    // No linger: closing sends a reset.
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
    assert_eq!(flow(&agent, "close", "client", port)["close_reason"], "reset-by-peer");
    assert_eq!(flow(&agent, "close", "server", port)["close_reason"], "aborted-locally");
}

pub(crate) fn refused() {
    let agent = agent();
    let port = TcpListener::bind(loopback(0)).unwrap().local_addr().unwrap().port();
    let mut client = Peer::start(&format!("connect 127.0.0.1:{port} 1"));
    assert!(client.line().starts_with("failed"), "the port is closed");
    let failed = flow(&agent, "failed", "client", port);
    assert_eq!(
        (&failed["close_reason"], &failed["process"]["pid"]),
        (&"refused".into(), &client.pid().into())
    );
    assert_eq!(failed["counters"]["bytes_sent"], 0);
}

pub(crate) fn timed_out() {
    let agent = agent();
    // A full accept queue drops every SYN; one repetition keeps the attempt to a few seconds.
    let script = "ip link set lo up; echo 1 > /proc/sys/net/ipv4/tcp_syn_retries; exec 3<&0; \
                  WATCHFIRE_TEST_PEER='full 127.0.0.1:7999' \"$PEER\" <&3 & sleep 1; for i in 1 2 3 4; do \
                  WATCHFIRE_TEST_PEER='connect 127.0.0.1:7999 1' \"$PEER\" & done; read line";
    let mut command = Command::new("unshare");
    command.args(["--net", "/bin/sh", "-c", script]);
    let _peers = Peer::start_by(command, "");
    let failed = agent.record("the attempt that times out", |record| {
        is(record, "failed", "client", 7999) && record["close_reason"] == "timed-out"
    });
    assert!(failed["duration_ns"].as_u64().unwrap() > 0);
}

pub(crate) fn multipath() {
    // The agent meets one listener that is older than itself, and one that is younger.
    let mut older = Peer::start("serve-mptcp 127.0.0.1:0 3");
    let older_port = older.port();
    let agent = agent();
    let mut younger = Peer::start("serve-mptcp 127.0.0.1:0 3");
    let younger_port = younger.port();
    for (server, port) in [(&younger, younger_port), (&older, older_port)] {
        let mut client = Peer::start(&format!("connect 127.0.0.1:{port} 1"));
        assert_eq!(client.line(), "received 3");
        let open = flow(&agent, "open", "server", port);
        assert_eq!(open["process"]["pid"], server.pid());
    }
}

pub(crate) fn older() {
    let mut server = Peer::start("serve 127.0.0.1:0 3");
    let port = server.port();
    let mut holder = Peer::start(&format!("hold 127.0.0.1:{port}"));
    let client_port = holder.port();
    let agent = agent();
    for (side, pid) in [("client", holder.pid()), ("server", server.pid())] {
        let found = agent.record(&format!("the {side} end found"), |record| {
            is(record, "found", side, port) && port_of(&record["client"]) == Some(client_port)
        });
        assert_eq!((&found["process"]["pid"], &found["origin"]), (&pid.into(), &"before-start".into()));
        // The socket that connected counts its SYN, the other has a listener on its port: that is certain.
        assert!(found["direction_guessed"].is_null(), "{found}");
    }
    // What the old listener accepts from now on is its process's.
    drop(holder);
    let mut client = Peer::start(&format!("connect 127.0.0.1:{port} 1"));
    assert_eq!(client.line(), "received 3");
    let open = flow(&agent, "open", "server", port);
    assert_eq!((&open["process"]["pid"], &open["origin"]), (&server.pid().into(), &"observed".into()));
}

pub(crate) fn without_btf() {
    // An empty file system over the folder of the kernel's types, for this agent alone.
    let script = "mount -t tmpfs tmpfs /sys/kernel/btf && exec \"$0\" run --metrics-listen 127.0.0.1:0 \
                  --socket observe.sock";
    let binary = watchfire().to_string_lossy().into_owned();
    let agent = ready(AgentCommand::by("unshare", ["--mount", "/bin/sh", "-c", script, &binary]).start());
    let mut server = Peer::start("serve 127.0.0.1:0 7");
    let port = server.port();
    let mut client = Peer::start(&format!("connect 127.0.0.1:{port} 5"));
    assert_eq!(client.line(), "received 7");
    for side in ["client", "server"] {
        let close = flow(&agent, "close", side, port);
        assert_eq!((&close["process"], &close["process_unknown"]), (&Value::Null, &"no-probe".into()));
        assert_eq!(close["close_reason"], "fin");
    }
    assert_eq!(metric(&agent, "watchfire_probe_info{probe=\"tcp\",hook=\"sock_ops\",rung=\"1\"}"), 1);
}
