//! TCP records.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use agent_common::{
    CONNECTION_FOUND, FLAG_CLIENT, FLAG_FIN_ACKED, FLAG_FIN_RECEIVED, FLAG_GUESSED, TCP_NO_ERROR_KNOWN,
    TcpRecord,
};
use watchfire_model::{
    Body, CloseReason, Flow, FlowCounters, FlowEnd, Observation, Origin, Owner, OwnerUnknown, Packets,
    Protocol, Side,
};

use super::wire::fixed;
use super::{Context, DecodeError, actor};

pub(super) fn open(bytes: &[u8], context: Context) -> Result<Body, DecodeError> {
    Ok(Body::FlowOpen(flow(&fixed(bytes)?.0, context)))
}

/// The end of a connection, or of an attempt at one.
pub(super) fn close(bytes: &[u8], context: Context, established: bool) -> Result<Body, DecodeError> {
    let record: TcpRecord = fixed(bytes)?.0;
    Ok(Body::FlowClose(flow(&record, context), flow_end(&record, established)))
}

/// How a connection goes that does not end: one of the records that the sweep makes.
pub(crate) fn update(bytes: &[u8], context: Context) -> Result<Observation, DecodeError> {
    Ok(updated(&fixed(bytes)?.0, context))
}

/// As [`update`].
pub(crate) fn updated(record: &TcpRecord, context: Context) -> Observation {
    let body = Body::FlowUpdate(flow(record, context), counters(record, true));
    Observation { boot_ns: record.header.boot_ns, body }
}

/// A connection that was open when the agent started.
pub(crate) fn found(record: &TcpRecord, boot_ns: u64, context: Context) -> Observation {
    let flow = Flow { origin: Origin::BeforeStart, ..flow(record, context) };
    Observation { boot_ns, body: Body::FlowOpen(flow) }
}

/// An address of the wire, IPv4 in v4-mapped form.
pub(super) fn socket_address(address: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(address)).to_canonical(), port)
}

fn flow(record: &TcpRecord, context: Context) -> Flow {
    let header = &record.header;
    let local = socket_address(record.local, record.local_port);
    let remote = socket_address(record.remote, record.remote_port);
    let is_client = record.flags & FLAG_CLIENT != 0;
    let owner = match (header.pid, record.opened_ns) {
        (0, _) if !context.owners_probed => Owner::Unknown(OwnerUnknown::NoProbe),
        (0, 0) => Owner::Unknown(OwnerUnknown::NoStorage),
        (0, _) => Owner::Unknown(OwnerUnknown::BeforeStart),
        _ => Owner::Known(actor(header, context.boot)),
    };
    Flow {
        cookie: record.cookie,
        protocol: Protocol::Tcp,
        client: if is_client { local } else { remote },
        server: if is_client { remote } else { local },
        side: if is_client { Side::Client } else { Side::Server },
        direction_guessed: record.flags & FLAG_GUESSED != 0,
        owner,
        cgroup_id: header.cgroup_id,
        netns: header.net_ns,
        opened_boot_ns: if record.opened_ns == 0 { header.boot_ns } else { record.opened_ns },
        origin: if is_found(record) { Origin::BeforeStart } else { Origin::Observed },
        handshake_ns: (record.handshake_ns != 0).then_some(record.handshake_ns),
        icmp: None,
    }
}

fn flow_end(record: &TcpRecord, established: bool) -> FlowEnd {
    let is_timed = record.opened_ns != 0 && !is_found(record);
    FlowEnd {
        reason: close_reason(record.error, record.old_state, established),
        established,
        duration_ns: is_timed.then(|| record.header.boot_ns.saturating_sub(record.opened_ns)),
        counters: counters(record, established),
    }
}

fn counters(record: &TcpRecord, established: bool) -> FlowCounters {
    let flag = |flag: u32| u64::from(record.flags & flag != 0);
    let handshake = u64::from(established) * flag(FLAG_CLIENT);
    FlowCounters {
        // The socket counts SYN and FIN as a byte each, in the direction that sent them and once acknowledged.
        // An accepted socket starts counting after its own SYN (tcp_create_openreq_child()).
        bytes_sent: record.bytes_acked.saturating_sub(handshake + flag(FLAG_FIN_ACKED)),
        bytes_received: record.bytes_received.saturating_sub(flag(FLAG_FIN_RECEIVED)),
        packets: Packets::Segments {
            segments_sent: record.segments_out,
            segments_received: record.segments_in,
            retransmits: record.retransmits,
            srtt_us: record.srtt_us_8 / 8,
            min_rtt_us: if record.min_rtt_us == u32::MAX { 0 } else { record.min_rtt_us },
        },
    }
}

/// Whether the connection is older than the agent.
const fn is_found(record: &TcpRecord) -> bool {
    record.owner_flags & CONNECTION_FOUND != 0
}

/// Reads `sk_err` and the state that was left (include/net/tcp_states.h).
fn close_reason(error: u32, old_state: u32, established: bool) -> CloseReason {
    const ESTABLISHED: u32 = 1;
    const FIN_WAIT1: u32 = 4;
    const CLOSE_WAIT: u32 = 8;
    let finished = !matches!(old_state, ESTABLISHED | FIN_WAIT1 | CLOSE_WAIT);
    match error.cast_signed() {
        0 if established && finished => CloseReason::Fin,
        0 | libc::ECONNABORTED => CloseReason::AbortedLocally,
        libc::ECONNREFUSED => CloseReason::Refused,
        libc::ECONNRESET | libc::EPIPE => CloseReason::ResetByPeer,
        libc::ETIMEDOUT => CloseReason::TimedOut,
        // What the kernel makes of an ICMP message (net/ipv4/icmp.c, icmp_err_convert; net/ipv6/icmp.c, tab_unreach): also of
        // one that says that something on the way does not let it pass.
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EHOSTDOWN
        | libc::ENONET
        | libc::ENOPROTOOPT
        | libc::EOPNOTSUPP
        | libc::EPROTO
        | libc::EACCES => CloseReason::Unreachable,
        _ if error == TCP_NO_ERROR_KNOWN && established && finished => CloseReason::Fin,
        _ => CloseReason::Error,
    }
}
