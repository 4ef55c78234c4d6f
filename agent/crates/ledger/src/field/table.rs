//! Every field, in the order of columns.

use super::{Alias, Field, Kind, Take};
use crate::family::{Families, Family};

use self::Family::{Dns, Event, Finding, Flow, Loss, Process};
use self::Kind::{Int, Ip, Text, Time};
use self::Take::{At, IpOf, Object, PortOf, Words};

const ALL: Families = Families::ALL;
/// Tables whose records name a process.
const ACTING: Families = Families::of(&[Process, Flow, Dns, Event, Finding]);
const PROCESS: Families = Families::of(&[Process]);
const FLOW: Families = Families::of(&[Flow]);
const NETWORK: Families = Families::of(&[Flow, Dns]);
/// Tables whose records have two ends.
const ENDS: Families = Families::of(&[Flow, Dns, Finding]);
const DNS: Families = Families::of(&[Dns]);
const EVENT: Families = Families::of(&[Event]);
const FINDING: Families = Families::of(&[Finding]);
const LOSS: Families = Families::of(&[Loss]);

const OUTCOMES: &[&str] = &["allowed", "denied", "not-covered", "unknown"];
const STAGES: &[&str] = &["open", "close", "failed", "found", "update", "dropped"];
const ACTIONS: &[&str] = &["fork", "exec", "exit", "found"];
const SIDES: &[&str] = &["client", "server"];
const BOOLEANS: &[&str] = &["true", "false"];

const fn plain(
    name: &'static str,
    kind: Kind,
    families: Families,
    takes: &'static [Take],
    help: &'static str,
) -> Field {
    Field { name, kind, families, takes, is_id: false, values: &[], help }
}

/// A field that is looked for by one of very many values.
const fn id(
    name: &'static str,
    kind: Kind,
    families: Families,
    takes: &'static [Take],
    help: &'static str,
) -> Field {
    Field { name, kind, families, takes, is_id: true, values: &[], help }
}

const fn one_of(
    name: &'static str,
    families: Families,
    takes: &'static [Take],
    values: &'static [&'static str],
    help: &'static str,
) -> Field {
    Field { name, kind: Text, families, takes, is_id: false, values, help }
}

/// Every field that a filter may name. What a table lacks is absent in all its records.
pub const FIELDS: &[Field] = &[
    plain("time", Time, ALL, &[At("/time")], "when it happened"),
    plain("type", Text, ALL, &[At("/type")], "type of the record"),
    plain("node", Text, ALL, &[At("/node")], "node"),
    plain("cluster", Text, ALL, &[At("/cluster")], "cluster"),
    one_of("action", PROCESS, &[At("/action")], ACTIONS, "what the process did"),
    plain("operation", Text, EVENT, &[At("/operation")], "what was done"),
    plain("result", Int, EVENT, &[At("/result")], "result of the call, negative for errors"),
    plain("error", Text, EVENT, &[At("/error")], "name of the error, such as EACCES"),
    id(
        "process.exec_id",
        Text,
        ACTING,
        &[At("/process/exec_id"), At("/example/process/exec_id")],
        "identity of the process",
    ),
    plain(
        "process.pid",
        Int,
        ACTING,
        &[At("/process/pid"), At("/example/process/pid")],
        "its process id on the node",
    ),
    id(
        "process.binary",
        Text,
        ACTING,
        &[At("/process/binary"), At("/example/process/binary")],
        "path of its executable",
    ),
    plain("process.args", Text, ACTING, &[Words("/process/args")], "its arguments, a space between"),
    plain("process.cwd", Text, PROCESS, &[At("/process/cwd")], "its working directory at exec"),
    plain("process.uid", Int, ACTING, &[At("/process/uid")], "its real user id"),
    plain("process.euid", Int, ACTING, &[At("/process/euid")], "its effective user id"),
    plain("process.unit", Text, ACTING, &[At("/process/unit")], "its systemd unit"),
    id(
        "process.pod",
        Text,
        ALL,
        &[Object("/process/pod"), Object("/pod"), Object("/example/process/pod")],
        "its pod, NAMESPACE/NAME",
    ),
    plain(
        "process.namespace",
        Text,
        ALL,
        &[At("/process/pod/namespace"), At("/pod/namespace"), At("/example/process/pod/namespace")],
        "namespace of its pod",
    ),
    id("container.id", Text, ACTING, &[At("/process/container/id")], "its container"),
    plain("container.name", Text, ACTING, &[At("/process/container/name")], "name of its container"),
    plain("container.image", Text, ACTING, &[At("/process/container/image")], "image of its container"),
    id("parent.exec_id", Text, PROCESS, &[At("/parent/exec_id")], "identity of its parent"),
    plain("parent.pid", Int, PROCESS, &[At("/parent/pid")], "process id of its parent"),
    plain("parent.binary", Text, PROCESS, &[At("/parent/binary")], "executable of its parent"),
    plain("exit.code", Int, PROCESS, &[At("/exit/code")], "exit code"),
    plain("exit.signal", Int, PROCESS, &[At("/exit/signal")], "signal that ended it"),
    one_of("drift", PROCESS, &[At("/drift")], BOOLEANS, "not of the container's image"),
    one_of("fileless", PROCESS, &[At("/fileless")], BOOLEANS, "an executable without a file"),
    one_of("stage", FLOW, &[At("/stage")], STAGES, "where in its life the flow is"),
    one_of("side", FLOW, &[At("/side")], SIDES, "which end this node saw"),
    plain("protocol", Text, NETWORK, &[At("/protocol")], "TCP, UDP, ICMP, …"),
    id("src.ip", Ip, ENDS, &[IpOf("/client/address")], "address that opened or asked"),
    plain("src.port", Int, ENDS, &[PortOf("/client/address")], "port of that"),
    id("src.pod", Text, ENDS, &[Object("/client/pod")], "pod of that, NAMESPACE/NAME"),
    plain(
        "src.namespace",
        Text,
        ENDS,
        &[At("/client/pod/namespace"), At("/source/namespace")],
        "namespace of that pod",
    ),
    plain("src.kind", Text, ENDS, &[At("/client/kind")], "what that end is: pod, node, world, …"),
    id("dst.ip", Ip, ENDS, &[IpOf("/server/address")], "address that was called or asked"),
    plain("dst.port", Int, ENDS, &[PortOf("/server/address"), At("/port")], "port of that"),
    id(
        "dst.pod",
        Text,
        ENDS,
        &[Object("/server/pod"), Object("/destination")],
        "pod of that, NAMESPACE/NAME",
    ),
    plain(
        "dst.namespace",
        Text,
        ENDS,
        &[At("/server/pod/namespace"), At("/destination/namespace")],
        "namespace of that pod",
    ),
    plain("dst.kind", Text, ENDS, &[At("/server/kind")], "what that end is: pod, node, world, …"),
    id("dst.service", Text, ENDS, &[Object("/server/service")], "its service, NAMESPACE/NAME"),
    plain("dst.backend.ip", Ip, NETWORK, &[IpOf("/server/backend/address")], "backend of that service"),
    plain("dst.backend.port", Int, NETWORK, &[PortOf("/server/backend/address")], "port of that backend"),
    plain("dst.names", Text, NETWORK, &[Words("/server/names")], "its DNS names, a space between"),
    one_of(
        "verdict",
        ENDS,
        &[At("/verdict/outcome"), At("/policy/outcome")],
        OUTCOMES,
        "what policy says of it",
    ),
    plain("because", Text, FLOW, &[At("/because")], "which rule, or why not"),
    plain("close_reason", Text, FLOW, &[At("/close_reason")], "why it ended"),
    plain("drop.reason", Text, FLOW, &[At("/drop/reason")], "why the kernel threw packets away"),
    plain("bytes_sent", Int, FLOW, &[At("/counters/bytes_sent")], "bytes sent so far"),
    plain("bytes_received", Int, FLOW, &[At("/counters/bytes_received")], "bytes received so far"),
    plain("duration_ns", Int, FLOW, &[At("/duration_ns")], "from its beginning to its end"),
    id("community_id", Text, NETWORK, &[At("/community_id")], "Community ID of the flow"),
    plain("cookie", Int, FLOW, &[At("/cookie")], "the kernel's name of the socket"),
    id("tls.sni", Text, FLOW, &[At("/tls/sni")], "name asked for in TLS"),
    id("tls.ja4", Text, FLOW, &[At("/tls/ja4")], "JA4 of the client"),
    one_of("plaintext", FLOW, &[At("/plaintext")], BOOLEANS, "no TLS where it is expected"),
    id("dns.query", Text, DNS, &[At("/query")], "name that was asked for"),
    plain("dns.type", Text, DNS, &[At("/query_type")], "type that was asked for"),
    plain("dns.rcode", Text, DNS, &[At("/rcode")], "answer, such as NXDOMAIN"),
    id("file.path", Text, EVENT, &[At("/path")], "file, as the process sees it"),
    plain("file.host_path", Text, EVENT, &[At("/host_path")], "the same on the node"),
    plain("file.access", Text, EVENT, &[Words("/access")], "read, write, create, …, a space between"),
    plain("capability", Text, EVENT, &[At("/capability")], "capability that was asked for"),
    plain("name", Text, EVENT, &[At("/name")], "module, program or signal"),
    id("target.exec_id", Text, EVENT, &[At("/target/exec_id")], "process that it was done to"),
    plain("target.binary", Text, EVENT, &[At("/target/binary")], "executable of that"),
    plain("local", Text, EVENT, &[At("/local"), At("/address")], "own end of the socket"),
    plain("remote", Text, EVENT, &[At("/remote")], "other end of the socket"),
    plain("api.path", Text, EVENT, &[At("/request/path")], "what was asked of the HTTP API"),
    plain("api.query", Text, EVENT, &[At("/request/query")], "with which parameters"),
    plain("api.status", Int, EVENT, &[At("/answer/status")], "how that was answered"),
    plain("api.user", Text, EVENT, &[At("/caller/user")], "whose token was shown"),
    plain("api.address", Ip, EVENT, &[IpOf("/caller/address")], "address that asked over TCP"),
    plain("api.uid", Int, EVENT, &[At("/caller/uid")], "user of the process that asked over the socket"),
    id("finding.id", Text, FINDING, &[At("/id")], "which finding it is"),
    plain("finding.kind", Text, FINDING, &[At("/kind")], "what it is about, such as policy-violation"),
    plain("finding.severity", Text, FINDING, &[At("/severity")], "how bad it is"),
    plain("finding.state", Text, FINDING, &[At("/state")], "new, ongoing or ended"),
    plain("finding.title", Text, FINDING, &[At("/title")], "what is found"),
    plain("finding.reason", Text, FINDING, &[At("/reason")], "why it is one"),
    plain("finding.count", Int, FINDING, &[At("/count")], "how often so far"),
    plain("loss.kind", Text, LOSS, &[At("/kind")], "kind of record that is lost"),
    plain("loss.lost", Int, LOSS, &[At("/lost")], "how many"),
    plain("loss.suppressed", Int, LOSS, &[At("/suppressed")], "how many were over the rate"),
];

/// Names for several fields.
pub const ALIASES: &[Alias] = &[
    Alias { name: "ip", fields: &["src.ip", "dst.ip", "dst.backend.ip"], help: "address of either end" },
    Alias { name: "port", fields: &["src.port", "dst.port", "dst.backend.port"], help: "port of either end" },
    Alias {
        name: "pod",
        fields: &["process.pod", "src.pod", "dst.pod"],
        help: "pod of the process or of either end, NAMESPACE/NAME",
    },
    Alias {
        name: "namespace",
        fields: &["process.namespace", "src.namespace", "dst.namespace"],
        help: "namespace of such a pod",
    },
    Alias {
        name: "exec_id",
        fields: &["process.exec_id", "parent.exec_id", "target.exec_id"],
        help: "process, its parent or what it was done to",
    },
];
