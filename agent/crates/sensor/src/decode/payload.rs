//! First bytes of flows.

use agent_common::{
    DATAGRAM_CLIENT, PAYLOAD_CLIENT_HELLO, PAYLOAD_CLIENT_HELLO_MORE, PAYLOAD_DNS, PayloadRecord, SocketState,
};
use watchfire_model::{Payload, PayloadKind};

use super::flow_note::datagram_flow;
use super::wire::fixed;
use super::{Context, DecodeError};

pub(super) fn payload(bytes: &[u8], context: Context) -> Result<Payload, DecodeError> {
    let (record, tail): (PayloadRecord, _) = fixed(bytes)?;
    let sent = record.sent != 0;
    let kind = match record.kind {
        PAYLOAD_DNS => PayloadKind::Dns,
        PAYLOAD_CLIENT_HELLO => PayloadKind::ClientHello,
        PAYLOAD_CLIENT_HELLO_MORE => PayloadKind::ClientHelloMore,
        other => return Err(DecodeError::Payload(other)),
    };
    // Whoever opens TLS is the client; messages of name servers are copied at the one who asks.
    let is_client = sent || kind == PayloadKind::Dns;
    let header = &record.header;
    let owner = SocketState {
        start_ns: header.start_ns,
        cgroup_id: header.cgroup_id,
        pid: header.pid,
        net_ns: header.net_ns,
        ..SocketState::default()
    };
    let flags = if is_client { DATAGRAM_CLIENT } else { 0 };
    Ok(Payload {
        flow: datagram_flow(&record.key, &owner, flags, header.boot_ns, context),
        kind,
        sent,
        bytes: tail.rest().to_vec(),
        whole_bytes: record.whole_bytes,
        sequence: record.sequence,
    })
}
