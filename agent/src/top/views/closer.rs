//! All that is known of one flow.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _, Wrap};

use crate::top::app::App;
use crate::top::format;
use crate::top::record::{Counters, Endpoint, FlowLine, Process};
use crate::top::state::{Flow, FlowKey, RECORDS_PER_FLOW_MAX, State};
use crate::top::theme::{Theme, Tone, of_outcome};

use super::flows::condition;

/// A fact: what it is of, what it says, and how that is meant. A fact without a name goes on with the one above.
type Fact = (&'static str, String, Tone);

pub(super) fn draw(app: &mut App, area: Rect, buffer: &mut Buffer) {
    let Some(mut closer) = app.ui.closer.clone() else { return };
    let (state, now_ns) = app.shown();
    let Some(flow) = state.flows.get(&closer.key) else {
        let style = app.theme.style(Tone::Unknown);
        let text = "this flow is no longer kept";
        buffer.set_stringn(area.x + 1, area.y + 1, text, usize::from(area.width - 1), style);
        return;
    };
    let lines: Vec<_> =
        facts(state, &closer.key, flow, now_ns).into_iter().map(|fact| line(fact, app.theme)).collect();
    let longest = lines.iter().map(|line| wrapped(line.width(), area.width)).sum::<usize>();
    let scroll_max = longest.saturating_sub(usize::from(area.height));
    closer.scrolled = closer.scrolled.min(u16::try_from(scroll_max).unwrap_or(u16::MAX));
    Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((closer.scrolled, 0)).render(area, buffer);
    app.ui.closer = Some(closer);
}

/// About how many lines a text takes: words are not broken, so that it may be one more.
fn wrapped(width: usize, room: u16) -> usize {
    let room = usize::from(room.max(1));
    width.div_ceil(room).max(1) + usize::from(width > room)
}

fn line((name, text, tone): Fact, theme: Theme) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:<10} "), theme.style(Tone::Heading)),
        Span::styled(format::printable(&text), theme.style(tone)),
    ])
}

fn facts(state: &State, key: &FlowKey, flow: &Flow, now_ns: i64) -> Vec<Fact> {
    let line = &flow.line;
    let plain = |name, text| (name, text, Tone::Plain);
    let guessed = if line.direction_guessed { " (direction guessed)" } else { "" };
    let (client, server) =
        (format::end(&line.client), format::server(&line.server, line.protocol, line.icmp));
    let mut facts = vec![("flow", format!("{client} → {server} {}{guessed}", line.protocol), Tone::Accent)];
    facts.push(lifetime(flow, now_ns));
    facts.extend(endpoint(state, "client", &line.client, now_ns));
    facts.extend(endpoint(state, "server", &line.server, now_ns));
    let (to_server, to_client) = flow.bytes();
    let rates = flow
        .rate
        .filter(|(to, back)| to + back > 0.0)
        .map(|(to, back)| format!(", {} → {} ←", format::rate(to), format::rate(back)));
    facts.push(plain(
        "traffic",
        format!("{to_server} bytes → {to_client} bytes ←{}", rates.unwrap_or_default()),
    ));
    facts.extend(line.counters.and_then(packets).map(|text| plain("", text)));
    facts.extend(round_trips(line).map(|text| plain("rtt", text)));
    if let Some(drop) = &line.drop {
        facts.push(("dropped", format!("{} packets, {}", drop.packets, drop.reason), Tone::Bad));
    }
    facts.extend(tls(line));
    let outcome = &line.verdict.outcome;
    let because = if line.because.is_empty() { String::new() } else { format!(": {}", line.because) };
    facts.push(("verdict", format!("{outcome}{because}"), of_outcome(outcome)));
    facts.push(plain("  egress", format::half(&line.verdict.egress)));
    facts.push(plain("  ingress", format::half(&line.verdict.ingress)));
    match &line.process {
        Some(process) => facts.extend(process_facts(state, process)),
        None => {
            let reason = line.process_unknown.as_deref().unwrap_or("not told");
            facts.push(("process", format!("not known: {reason}"), Tone::Unknown));
        }
    }
    let other = state.flows.other_end(key, line.side).and_then(|other| other.line.process.as_ref());
    facts.extend(other.map(|process| plain("other end", described(process))));
    facts.push(plain(
        "socket",
        format!("{}'s, cookie {}, netns {}, {}", side(line), line.cookie, line.netns, line.origin),
    ));
    if !line.community_id.is_empty() {
        facts.push(plain("community", line.community_id.clone()));
    }
    let count = flow.records_seen;
    let kept = if count > RECORDS_PER_FLOW_MAX as u64 {
        format!(", the last {RECORDS_PER_FLOW_MAX}")
    } else {
        String::new()
    };
    facts.push(plain("records", format!("{count}{kept}")));
    facts.extend(flow.records.iter().map(|text| ("", text.clone(), Tone::Plain)));
    facts
}

const fn side(line: &FlowLine) -> &'static str {
    match line.side {
        crate::top::record::Side::Client => "client",
        crate::top::record::Side::Server => "server",
    }
}

fn lifetime(flow: &Flow, now_ns: i64) -> Fact {
    let (text, tone) = condition(flow);
    let opened = format::clock(flow.line.opened);
    let lasted = match flow.line.duration_ns.filter(|_| !flow.live) {
        Some(ns) => format!("lasted {}", format::micros(ns / 1000)),
        None => format!("{} ago", format::age(flow.line.opened, now_ns)),
    };
    ("state", format!("{text}, opened {opened} UTC, {lasted}"), tone)
}

fn endpoint(state: &State, name: &'static str, end: &Endpoint, now_ns: i64) -> Vec<Fact> {
    let detail = end.detail.as_ref().map(|detail| format!(" {detail}")).unwrap_or_default();
    let pod = end.pod.as_ref().map(|pod| format!(" {}", format::pod(pod))).unwrap_or_default();
    let mut facts = vec![(name, format!("{} {}{pod}{detail}", end.address, end.kind), Tone::Plain)];
    if let Some(service) = &end.service {
        let backend = end.backend.as_ref().map(|backend| match backend.address {
            Some(address) => format!(" → {address}, by {}", backend.by),
            None => format!(" → {}", backend.by),
        });
        facts.push((
            "  service",
            format!("{}{}", format::pod(service), backend.unwrap_or_default()),
            Tone::Plain,
        ));
    }
    if !end.names.is_empty() {
        facts.push(("  names", end.names.join(" "), Tone::Plain));
    }
    if let Some(asked) = state.asked.get(&end.address.ip().to_string()) {
        let age = format::age(asked.time_ns, now_ns);
        facts.push(("  dns", format!("{}, {age} ago", asked.text), Tone::Plain));
    }
    facts
}

fn packets(counters: Counters) -> Option<String> {
    if let (Some(sent), Some(received)) = (counters.segments_sent, counters.segments_received) {
        let retransmits = counters.retransmits.unwrap_or(0);
        return Some(format!("segments sent {sent}, received {received}, retransmitted {retransmits}"));
    }
    let (sent, received) = (counters.datagrams_sent?, counters.datagrams_received?);
    Some(format!("datagrams sent {sent}, received {received}"))
}

fn round_trips(line: &FlowLine) -> Option<String> {
    let counters = line.counters.unwrap_or_default();
    let times =
        [("smoothed", counters.srtt_us), ("minimum", counters.min_rtt_us), ("handshake", line.handshake_us)];
    let known = times.into_iter().filter_map(|(name, us)| Some((name, us.filter(|us| *us > 0)?)));
    let texts: Vec<_> = known.map(|(name, us)| format!("{name} {}", format::micros(us))).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn tls(line: &FlowLine) -> Option<Fact> {
    let Some(tls) = &line.tls else {
        let text = "none, though the server's port is one for TLS";
        return line.plaintext.then(|| ("tls", text.to_owned(), Tone::Bad));
    };
    let sni = tls.sni.as_deref().unwrap_or("no name");
    let alpn = if tls.alpn.is_empty() { "none".to_owned() } else { tls.alpn.join(" ") };
    let versions = tls.versions.join(", ");
    let ja4 = tls.ja4.as_ref().map(|ja4| format!(", ja4 {ja4}")).unwrap_or_default();
    Some(("tls", format!("{sni}, alpn {alpn}, offers {versions}{ja4}"), Tone::Plain))
}

fn process_facts(state: &State, process: &Process) -> Vec<Fact> {
    let plain = |name, text| (name, text, Tone::Plain);
    let mut facts = vec![plain("process", described(process))];
    facts.push(plain("  cgroup", process.cgroup.clone().unwrap_or_else(|| process.cgroup_id.to_string())));
    let ancestors = state.processes.ancestors(&process.exec_id);
    let ancestors = match ancestors.as_slice() {
        [] => "not told to this screen".to_owned(),
        names => names.join(" ‹ "),
    };
    facts.push(plain("  parents", ancestors));
    facts
}

fn described(process: &Process) -> String {
    let (name, binary, uid) = (format::process(process), &process.binary, process.uid);
    let pod = process.pod.as_ref().map(|pod| format!(", pod {}", format::pod(pod))).unwrap_or_default();
    let cwd = if process.cwd.is_empty() { String::new() } else { format!(", in {}", process.cwd) };
    format!("{name} {binary}, uid {uid}{pod}{cwd}: {}", process.args.join(" "))
}
