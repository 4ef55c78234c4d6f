//! Flows that the kernel side counts in maps: records say that they began, the maps how they go.

use std::net::SocketAddr;

use agent_common::{
    DATAGRAM_CLIENT, DATAGRAM_GUESSED, DATAGRAM_RELEASED, DatagramRecord, DatagramState, DropKey, DropRecord,
    FlowKey, Header, SocketState, TCP_FLAG_ACK, TCP_FLAG_SYN, WIRE_VERSION,
};
use watchfire_model::{
    ExecId, Flow, FlowCounters, Icmp, Origin, Owner, OwnerUnknown, Packets, Protocol, RecordKind, Side,
};

use super::tcp::socket_address;
use super::wire::fixed;
use super::{Context, DecodeError, record_kind};

/// What a record says of such a flow.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum FlowNote {
    /// It began.
    Begun(FlowKey, Flow),
    /// The socket with this cookie is closed.
    Released(u64),
    /// The kernel threw a packet away.
    Dropped(DropKey, Flow),
}

/// Reads a record of a flow that is counted in a map; none where it is another record.
pub(crate) fn flow_note(
    bytes: &[u8],
    context: Context,
) -> Option<Result<(RecordKind, u64, FlowNote), DecodeError>> {
    let header: Header = fixed(bytes).ok()?.0;
    let kind = record_kind(header.kind)?;
    if header.version != WIRE_VERSION || header.size as usize != bytes.len() {
        return None;
    }
    let note = match kind {
        RecordKind::Datagram => fixed::<DatagramRecord>(bytes).map(|(record, _)| datagram(&record, context)),
        RecordKind::Drop => fixed::<DropRecord>(bytes).map(|(record, _)| {
            let owner = owner_of(&record.header);
            FlowNote::Dropped(record.key, drop_flow(&record.key, &owner, header.boot_ns, context))
        }),
        _ => return None,
    };
    Some(note.map(|note| (kind, header.boot_ns, note)))
}

fn datagram(record: &DatagramRecord, context: Context) -> FlowNote {
    if record.flags & DATAGRAM_RELEASED != 0 {
        return FlowNote::Released(record.key.cookie);
    }
    let owner = owner_of(&record.header);
    FlowNote::Begun(
        record.key,
        datagram_flow(&record.key, &owner, record.flags, record.header.boot_ns, context),
    )
}

/// What a header says of a socket's owner.
fn owner_of(header: &Header) -> SocketState {
    SocketState {
        start_ns: header.start_ns,
        cgroup_id: header.cgroup_id,
        pid: header.pid,
        net_ns: header.net_ns,
        ..SocketState::default()
    }
}

/// The two ends of a key, and what an ICMP flow asks for.
pub(crate) fn ends(key: &FlowKey) -> (SocketAddr, SocketAddr, Option<Icmp>) {
    let protocol = Protocol::from(key.protocol);
    if matches!(protocol, Protocol::Icmp | Protocol::Icmpv6) {
        let [icmp_type, code] = key.remote_port.to_be_bytes();
        let icmp = Icmp { icmp_type, code, id: key.local_port };
        return (socket_address(key.local, 0), socket_address(key.remote, 0), Some(icmp));
    }
    (socket_address(key.local, key.local_port), socket_address(key.remote, key.remote_port), None)
}

/// A flow of the map of datagrams.
pub(crate) fn datagram_flow(
    key: &FlowKey,
    owner: &SocketState,
    flags: u32,
    opened_boot_ns: u64,
    context: Context,
) -> Flow {
    let (local, remote, icmp) = ends(key);
    let is_client = flags & DATAGRAM_CLIENT != 0;
    let unknown = if icmp.is_some() { OwnerUnknown::Kernel } else { OwnerUnknown::BeforeStart };
    Flow {
        cookie: key.cookie,
        protocol: Protocol::from(key.protocol),
        client: if is_client { local } else { remote },
        server: if is_client { remote } else { local },
        side: if is_client { Side::Client } else { Side::Server },
        direction_guessed: flags & DATAGRAM_GUESSED != 0,
        owner: whose(owner, unknown, context),
        cgroup_id: owner.cgroup_id,
        netns: owner.net_ns,
        opened_boot_ns,
        origin: Origin::Observed,
        handshake_ns: None,
        icmp,
    }
}

fn whose(owner: &SocketState, unknown: OwnerUnknown, context: Context) -> Owner {
    match owner.pid {
        0 if !context.owners_probed => Owner::Unknown(OwnerUnknown::NoProbe),
        0 => Owner::Unknown(unknown),
        pid => Owner::Known(ExecId::from_ns(context.boot, pid, owner.start_ns)),
    }
}

/// What the map has counted.
pub(crate) fn datagram_counters(state: &DatagramState) -> FlowCounters {
    FlowCounters {
        bytes_sent: state.bytes_sent,
        bytes_received: state.bytes_received,
        packets: Packets::Datagrams {
            datagrams_sent: state.datagrams_sent,
            datagrams_received: state.datagrams_received,
        },
    }
}

/// The flow that a dropped packet belongs to. A TCP packet that opens says who the client is; of others the end with the
/// higher port is taken for it.
pub(crate) fn drop_flow(key: &DropKey, owner: &SocketState, boot_ns: u64, context: Context) -> Flow {
    let protocol = Protocol::from(key.protocol);
    let icmp = matches!(protocol, Protocol::Icmp | Protocol::Icmpv6).then(|| {
        let [icmp_type, code] = key.destination_port.to_be_bytes();
        Icmp { icmp_type, code, id: key.source_port }
    });
    let port = |port| if icmp.is_some() { 0 } else { port };
    let source = socket_address(key.source, port(key.source_port));
    let destination = socket_address(key.destination, port(key.destination_port));
    let opens = protocol == Protocol::Tcp && key.tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK) == TCP_FLAG_SYN;
    let source_is_client = opens || icmp.is_some() || key.source_port >= key.destination_port;
    // A packet that has a socket was sent by it; one that came has none yet.
    let is_sent = key.cookie != 0;
    Flow {
        cookie: key.cookie,
        protocol,
        client: if source_is_client { source } else { destination },
        server: if source_is_client { destination } else { source },
        side: if is_sent == source_is_client { Side::Client } else { Side::Server },
        direction_guessed: !opens,
        owner: if is_sent {
            whose(owner, OwnerUnknown::BeforeStart, context)
        } else {
            Owner::Unknown(OwnerUnknown::NoSocket)
        },
        cgroup_id: owner.cgroup_id,
        netns: key.net_ns,
        opened_boot_ns: boot_ns,
        origin: Origin::Observed,
        handshake_ns: None,
        icmp,
    }
}
