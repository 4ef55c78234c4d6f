//! The flows, those that go on and those that ended just now.

use watchfire_model::Protocol;

use crate::top::format;
use crate::top::record::Side;
use crate::top::state::{FLOWS_MAX, Flow, FlowKey, State};
use crate::top::table::{Cell, Column, Row, RowId, Sort};
use crate::top::theme::{Tone, of_outcome};

pub(super) const COLUMNS: &[Column] = &[
    Column::wide("CLIENT", 13, 0),
    Column::wide("→ SERVER", 17, 0),
    Column::wide("PROCESS", 10, 2),
    Column::text("PROTO", 5, 4),
    Column::text("VERDICT", 11, 1),
    Column::number("→BYTES", 6, 1),
    Column::number("←BYTES", 6, 1),
    Column::number("RATE", 7, 6),
    Column::number("RTT", 6, 7),
    Column::number("RETR", 4, 8),
    Column::number("AGE", 5, 3),
    Column::wide("STATE", 8, 5),
    Column::wide("TLS NAME", 12, 9),
];

pub(super) const FIRST_SORT: Sort = Sort { column: 7, descending: true };

pub(super) fn rows(state: &State, now_ns: i64) -> Vec<Row> {
    folded(state).map(|(key, flow, other)| row(key, flow, other, now_ns)).collect()
}

pub(super) fn summary(state: &State, now_ns: i64) -> String {
    let (live, all) =
        folded(state).fold((0, 0), |(live, all), (_, flow, _)| (live + usize::from(flow.live), all + 1));
    let rate = state.record_rate.per_second(now_ns);
    let evicted = super::evicted(state.flows.evicted());
    format!(
        "{live} live, {} ended, at most {FLOWS_MAX} sockets kept{evicted} · {rate:.1} records/s",
        all - live
    )
}

/// The flows with what the socket at the other end shows of them, if it is here too: one row then, the client's.
fn folded(state: &State) -> impl Iterator<Item = (&FlowKey, &Flow, Option<&Flow>)> {
    let with_other = state.flows.iter().map(|(key, flow)| {
        let other = state.flows.other_end(key, flow.line.side);
        (key, flow, other.filter(|other| other.live == flow.live))
    });
    with_other.filter(|(_, flow, other)| flow.line.side == Side::Client || other.is_none())
}

fn row(key: &FlowKey, flow: &Flow, other: Option<&Flow>, now_ns: i64) -> Row {
    let line = &flow.line;
    let counters = line.counters.unwrap_or_default();
    let (to_server, to_client) = flow.bytes();
    let process = line.process.as_ref().map_or_else(
        || Cell::text(line.process_unknown.as_deref().unwrap_or("?")).toned(Tone::Unknown),
        |process| {
            let here = format::process(process);
            let there = other.and_then(|other| other.line.process.as_ref()).map(format::process);
            Cell::text(there.map_or_else(|| here.clone(), |there| format!("{here} › {there}")))
        },
    );
    let arrow = if line.direction_guessed { "?" } else { "" };
    let server = format!("{arrow}{}", format::server(&line.server, line.protocol, line.icmp));
    let rate = flow.rate.filter(|_| flow.live).map_or(0.0, |(to_server, to_client)| to_server + to_client);
    let rtt = counters.srtt_us.filter(|us| *us > 0);
    let retransmits = Cell::count(counters.retransmits.unwrap_or(0)).toned(Tone::Unknown);
    let age = match line.duration_ns.filter(|_| !flow.live) {
        Some(duration_ns) => Cell::age(0, duration_ns.min(i64::MAX as u64) as i64),
        None => Cell::age(line.opened, now_ns),
    };
    let sni = line.tls.as_ref().map(|tls| tls.sni.as_deref().unwrap_or("(no name)"));
    let tls = match sni {
        None if line.plaintext => Cell::text("plaintext").toned(Tone::Bad),
        sni => Cell::text(sni.unwrap_or_default()),
    };
    let (state, tone) = condition(flow);
    Row {
        id: RowId::Flow(key.clone()),
        cells: vec![
            Cell::text(format::end(&line.client)),
            Cell::text(server),
            process,
            Cell::text(protocol(line.protocol)),
            Cell::text(&line.verdict.outcome).toned(of_outcome(&line.verdict.outcome)),
            Cell::bytes(to_server),
            Cell::bytes(to_client),
            Cell::number(if rate > 0.0 { format::rate(rate) } else { String::new() }, rate),
            Cell::number(rtt.map(format::micros).unwrap_or_default(), rtt.unwrap_or(0) as f64),
            retransmits,
            age,
            Cell::text(state).toned(tone),
            tls,
        ],
        hidden: other.map(hidden).into_iter().chain([hidden(flow)]).collect(),
        is_dim: tone == Tone::Dim,
        tie: (flow.live, line.opened),
    }
}

/// As narrow as the column.
fn protocol(protocol: Protocol) -> String {
    match protocol {
        Protocol::Icmpv6 => "ICMP6".to_owned(),
        other => other.to_string(),
    }
}

/// Whether it goes on, or how it ended.
pub(super) fn condition(flow: &Flow) -> (String, Tone) {
    let line = &flow.line;
    let reason = line.close_reason.as_deref();
    if flow.unsure_since.is_some() {
        return ("unsure".to_owned(), Tone::Unknown);
    }
    if flow.live {
        return ("live".to_owned(), Tone::Good);
    }
    match (line.stage.as_str(), reason) {
        ("failed", reason) => (reason.unwrap_or("failed").to_owned(), Tone::Bad),
        ("dropped", _) => ("dropped".to_owned(), Tone::Bad),
        (_, Some(reason)) => (reason.to_owned(), Tone::Dim),
        (stage, None) => (stage.to_owned(), Tone::Dim),
    }
}

/// What a filter finds of a flow beside its columns.
fn hidden(flow: &Flow) -> String {
    let line = &flow.line;
    let binary = line.process.as_ref().map_or("(not known)", |process| process.binary.as_str());
    let drop = line.drop.as_ref().map_or("", |drop| drop.reason.as_str());
    let [client, server] = [&line.client, &line.server]
        .map(|end| format!("{} {} {}", end.address, format::end(end), format::note(end)));
    let server_port = format::server(&line.server, line.protocol, line.icmp);
    format!("{client} {server} {server_port} {binary} {drop} {} {}", line.because, line.community_id)
}
