//! Facts as short texts.

use watchfire_model::Protocol;

use super::record::{
    DnsAnswer, DnsLine, Endpoint, FlowLine, Half, Icmp, LossLine, Pod, Policy, Process, Rule, Side, Stage,
};

const NS_PER_S: i64 = 1_000_000_000;

/// `999`, `1.2K`, `34M`: in powers of 1024.
pub(crate) fn bytes(bytes: u64) -> String {
    scaled(bytes as f64)
}

/// `1.2K/s`.
pub(crate) fn rate(bytes_per_s: f64) -> String {
    if bytes_per_s < 0.5 { "0".to_owned() } else { format!("{}/s", scaled(bytes_per_s)) }
}

fn scaled(number: f64) -> String {
    let mut number = number;
    for unit in ["", "K", "M", "G", "T"] {
        // What would be rounded to 1000 belongs to the next unit, so that four digits never stand.
        if number < 999.5 {
            return if number < 9.95 && !unit.is_empty() {
                format!("{number:.1}{unit}")
            } else {
                format!("{number:.0}{unit}")
            };
        }
        number /= 1024.0;
    }
    format!("{number:.0}P")
}

/// `340µs`, `12ms`, `1.2s`.
pub(crate) fn micros(us: u64) -> String {
    match us {
        0..1000 => format!("{us}µs"),
        1000..10_000 => format!("{:.1}ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{}ms", us / 1000),
        _ => format!("{:.1}s", us as f64 / 1e6),
    }
}

/// `3s`, `4m05s`, `2h05m`, `3d04h`.
pub(crate) fn age(from_ns: i64, now_ns: i64) -> String {
    let seconds = now_ns.saturating_sub(from_ns).max(0) / NS_PER_S;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// `03:04:05.678`, UTC.
pub(crate) fn clock(time_ns: i64) -> String {
    let text = watchfire_model::WallTime(time_ns).to_string();
    text.get(11..23).unwrap_or(&text).to_owned()
}

/// `curl[123]`.
pub(crate) fn process(process: &Process) -> String {
    let name = process.binary.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("?");
    format!("{name}[{}]", process.pid)
}

/// `shop/db`.
pub(crate) fn pod(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}

/// An end without its port: the pod, the node, or the address.
pub(crate) fn end(end: &Endpoint) -> String {
    match (&end.pod, end.kind.as_str(), &end.detail) {
        (Some(of), _, _) => pod(of),
        (None, "node", Some(node)) => format!("node {node}"),
        _ => end.address.ip().to_string(),
    }
}

/// What is known of an end beside its name: its service, or the names it was asked for by.
pub(crate) fn note(end: &Endpoint) -> String {
    let service = end.service.as_ref().map(|service| format!("service {}", pod(service)));
    let texts: Vec<_> = service.into_iter().chain(end.names.iter().cloned()).collect();
    texts.join(" ")
}

/// A server: the service or the first name where there is one, and the port.
pub(crate) fn server(server: &Endpoint, protocol: Protocol, icmp: Option<Icmp>) -> String {
    let name = match (&server.pod, &server.service, server.names.first()) {
        (None, Some(service), _) => pod(service),
        (None, None, Some(name)) => name.clone(),
        _ => end(server),
    };
    if let Some(icmp) = icmp {
        return match (protocol, icmp.icmp_type) {
            (Protocol::Icmp, 8) | (Protocol::Icmpv6, 128) => format!("{name} echo"),
            (_, icmp_type) => format!("{name} type {icmp_type}/{}", icmp.code),
        };
    }
    let port = server.address.port();
    if name.parse::<std::net::Ipv6Addr>().is_ok() {
        format!("[{name}]:{port}")
    } else {
        format!("{name}:{port}")
    }
}

/// One record of a flow in a line.
pub(crate) fn moment(line: &FlowLine) -> String {
    let mut text = format!("{} {}", clock(line.time), line.stage.as_str());
    if let Some(reason) = line.close_reason.as_ref().filter(|_| line.stage != Stage::Update) {
        text.push_str(&format!(" {reason}"));
    }
    if let Some(drop) = line.drop.as_ref().filter(|_| line.stage == Stage::Dropped) {
        text.push_str(&format!(" {}, {} packets", drop.reason, drop.packets));
    }
    if let Some(counters) = line.counters {
        let (sent, received) = (bytes(counters.bytes_sent), bytes(counters.bytes_received));
        let (out, back) = match line.side {
            Side::Client => (sent, received),
            Side::Server => (received, sent),
        };
        text.push_str(&format!(", {out} → {back} ←"));
        if let Some(retransmits @ 1..) = counters.retransmits {
            text.push_str(&format!(", {retransmits} retransmitted"));
        }
    }
    text
}

/// One question of DNS in a line.
pub(crate) fn dns_moment(line: &DnsLine) -> String {
    let answers: Vec<_> = line.answers.iter().filter_map(|answer| answer.data.as_deref()).collect();
    let latency = line.latency_us.map(|us| format!(" after {}", micros(us))).unwrap_or_default();
    let rcode = line.rcode.as_deref().unwrap_or("no answer");
    let (time, query, query_type) = (clock(line.time), &line.query, &line.query_type);
    format!("{time} dns {query} {query_type}: {rcode}{latency} {}", answers.join(" "))
}

/// Who asked for the name of an address, and for which.
pub(crate) fn asked(line: &DnsLine, answer: &DnsAnswer) -> String {
    let who = line.process.as_ref().map_or_else(|| "?".to_owned(), process);
    let (query, query_type, server) = (&line.query, &line.query_type, end(&line.server));
    format!("{query} {query_type}, asked of {server} by {who}, ttl {} s", answer.ttl)
}

/// Whose records are missing.
pub(crate) fn whose(line: &LossLine) -> String {
    match (&line.pod, &line.cgroup, line.cgroup_id) {
        (Some(of), _, _) => pod(of),
        (None, Some(cgroup), _) => cgroup.clone(),
        (None, None, Some(id)) => format!("cgroup {id}"),
        (None, None, None) => "(not told)".to_owned(),
    }
}

/// One half of a verdict, with what decides it.
pub(crate) fn half(half: &Half) -> String {
    let decides = match (&half.rule, half.isolating.is_empty(), &half.reason) {
        (Some(of), _, _) => rule(of),
        (None, false, _) => {
            let policies: Vec<_> = half.isolating.iter().map(policy).collect();
            format!("isolated by {}", policies.join(", "))
        }
        (None, true, Some(reason)) => reason.clone(),
        (None, true, None) => return half.verdict.clone(),
    };
    format!("{}: {decides}", half.verdict)
}

/// A rule, with the entries of it that matched.
fn rule(rule: &Rule) -> String {
    let entry = |name: &str, at: Option<u32>| at.map(|at| format!(" {name}[{at}]")).unwrap_or_default();
    let peers = if rule.direction == "egress" { "to" } else { "from" };
    let (peer, port) = (entry(peers, rule.peer), entry("ports", rule.port));
    format!("{} {}[{}]{peer}{port}", policy(&rule.policy), rule.direction, rule.rule)
}

fn policy(policy: &Policy) -> String {
    if policy.namespace.is_empty() {
        format!("{}/{}", policy.kind, policy.name)
    } else {
        format!("{}/{}/{}", policy.kind, policy.namespace, policy.name)
    }
}

/// A text of the watched processes, without what could steer a terminal or turn its direction.
pub(crate) fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return text.to_owned();
    }
    let escape = |c: char| if steers(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.0K"),
            (10 * 1024, "10K"),
            (1_023_999, "1.0M"),
            (5 << 30, "5.0G"),
            (u64::MAX, "16384P"),
        ] {
            assert_eq!(bytes(number), expected);
        }
        assert_eq!((rate(0.2), rate(2048.0)), ("0".to_owned(), "2.0K/s".to_owned()));
        for (us, expected) in [(340, "340µs"), (1200, "1.2ms"), (12_000, "12ms"), (1_250_000, "1.2s")] {
            assert_eq!(micros(us), expected);
        }
        for (seconds, expected) in
            [(3, "3s"), (245, "4m05s"), (7500, "2h05m"), (273_600, "3d04h"), (-5, "0s")]
        {
            assert_eq!(age(0, seconds * NS_PER_S), expected);
        }
    }

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(printable("a\u{1b}[2J\u{202e}ü"), "a\\u{1b}[2J\\u{202e}ü");
    }
}
