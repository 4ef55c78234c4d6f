//! Wire bytes to observations. Total: whatever the bytes are, the answer is an observation or a reason.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use agent_common::{
    CGROUP_PATH_BYTES_MAX, CGROUP_REMOVED, CgroupRecord, EXEC_ARGS_TRUNCATED, ExecRecord, ExitRecord,
    FLAG_CLIENT, FLAG_FIN_ACKED, FLAG_FIN_RECEIVED, ForkRecord, Header, Kind, TCP_NO_ERROR_KNOWN, TcpRecord,
    WIRE_VERSION,
};
use watchfire_model::{
    Body, CloseReason, Exec, ExecId, Exit, ExitStatus, Flow, FlowCounters, FlowEnd, Fork, Namespaces,
    Observation, Origin, Owner, OwnerUnknown, Protocol, RecordKind, Side,
};

/// Why a record was refused.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DecodeError {
    /// Shorter than its own header or fixed part.
    #[error("record of {0} bytes is shorter than its fixed part")]
    Short(usize),
    /// The header's size is not the record's.
    #[error("record says {said} bytes, has {has}")]
    Size {
        /// What the header says.
        said: u32,
        /// What there is.
        has: usize,
    },
    /// Another wire version.
    #[error("wire version {0}, expected {WIRE_VERSION}")]
    Version(u16),
    /// No such kind.
    #[error("unknown record kind {0}")]
    Kind(u16),
    /// The lengths of the strings exceed the record.
    #[error("strings exceed the record")]
    Strings,
}

/// Types whose every bit pattern is valid, so that they can be read from any bytes.
///
/// # Safety
/// `repr(C)`, integers only, no padding.
unsafe trait Plain: Copy {}
// SAFETY: integers only; each type's size assertion leaves no room for padding.
unsafe impl Plain for Header {}
// SAFETY: as above.
unsafe impl Plain for ForkRecord {}
// SAFETY: as above.
unsafe impl Plain for ExecRecord {}
// SAFETY: as above.
unsafe impl Plain for ExitRecord {}
// SAFETY: as above.
unsafe impl Plain for TcpRecord {}
// SAFETY: as above.
unsafe impl Plain for CgroupRecord {}

fn fixed<T: Plain>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() < size_of::<T>() {
        return Err(DecodeError::Short(bytes.len()));
    }
    // SAFETY: long enough, and any bytes are a valid `T`; the read need not be aligned.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The kind of a wire code.
pub(crate) fn record_kind(kind: Kind) -> Option<RecordKind> {
    RecordKind::ALL.get(usize::from(kind.0)).copied()
}

/// What a record does not say of itself.
#[derive(Clone, Copy)]
pub(crate) struct Context {
    /// First 32 bits of the boot id.
    pub(crate) boot: u32,
    /// Whether owners are written onto sockets at all.
    pub(crate) owners_probed: bool,
}

/// Decodes one record.
pub(crate) fn decode(bytes: &[u8], context: Context) -> Result<(RecordKind, Observation), DecodeError> {
    let header: Header = fixed(bytes)?;
    if header.version != WIRE_VERSION {
        return Err(DecodeError::Version(header.version));
    }
    if header.size as usize != bytes.len() {
        return Err(DecodeError::Size { said: header.size, has: bytes.len() });
    }
    let kind = record_kind(header.kind).ok_or(DecodeError::Kind(header.kind.0))?;
    let boot = context.boot;
    let body = match kind {
        RecordKind::ProcessFork => Body::Fork(fork(&fixed(bytes)?, boot)),
        RecordKind::ProcessExec => Body::Exec(Box::new(exec(&fixed(bytes)?, bytes, boot)?)),
        RecordKind::ProcessExit => Body::Exit(exit(&fixed(bytes)?, boot)),
        RecordKind::TcpOpen => Body::FlowOpen(flow(&fixed(bytes)?, context)),
        RecordKind::Cgroup => cgroup(&fixed(bytes)?, bytes)?,
        RecordKind::TcpClose | RecordKind::TcpFail => {
            let record: TcpRecord = fixed(bytes)?;
            Body::FlowClose(flow(&record, context), flow_end(&record, kind == RecordKind::TcpClose))
        }
    };
    Ok((kind, Observation { boot_ns: header.boot_ns, body }))
}

fn actor(header: &Header, boot: u32) -> ExecId {
    ExecId::from_ns(boot, header.pid, header.start_ns)
}

fn namespaces(header: &Header) -> Namespaces {
    Namespaces { net: header.net_ns, mnt: header.mnt_ns, pid: header.pid_ns, user: header.user_ns }
}

fn fork(record: &ForkRecord, boot: u32) -> Fork {
    let header = &record.header;
    Fork {
        child: actor(header, boot),
        parent: ExecId::from_ns(boot, record.parent_pid, record.parent_start_ns),
        uid: header.uid,
        euid: header.euid,
        gid: header.gid,
        cgroup_id: header.cgroup_id,
        namespaces: namespaces(header),
    }
}

fn exec(record: &ExecRecord, bytes: &[u8], boot: u32) -> Result<Exec, DecodeError> {
    let header = &record.header;
    let tail = &bytes[size_of::<ExecRecord>()..];
    let (args, tail) = tail.split_at_checked(record.args_bytes.into()).ok_or(DecodeError::Strings)?;
    let (binary, tail) = tail.split_at_checked(record.binary_bytes.into()).ok_or(DecodeError::Strings)?;
    let (cwd, _) = tail.split_at_checked(record.cwd_bytes.into()).ok_or(DecodeError::Strings)?;
    Ok(Exec {
        process: actor(header, boot),
        parent: (record.parent_pid != 0)
            .then(|| ExecId::from_ns(boot, record.parent_pid, record.parent_start_ns)),
        binary: path(binary),
        args: strings(args).collect(),
        args_truncated: record.flags & EXEC_ARGS_TRUNCATED != 0,
        cwd: path(cwd),
        uid: header.uid,
        euid: header.euid,
        gid: header.gid,
        cgroup_id: header.cgroup_id,
        namespaces: namespaces(header),
        before_start: false,
    })
}

fn exit(record: &ExitRecord, boot: u32) -> Exit {
    let header = &record.header;
    Exit {
        process: actor(header, boot),
        status: ExitStatus::from_wait_status(record.wait_status),
        uid: header.uid,
        euid: header.euid,
        gid: header.gid,
        cgroup_id: header.cgroup_id,
    }
}

fn cgroup(record: &CgroupRecord, bytes: &[u8]) -> Result<Body, DecodeError> {
    let id = record.id;
    if record.flags & CGROUP_REMOVED != 0 {
        return Ok(Body::CgroupRemoved { id });
    }
    let tail = &bytes[size_of::<CgroupRecord>()..];
    let path = tail.get(..record.path_bytes as usize).ok_or(DecodeError::Strings)?;
    // A path that fills its room may have been cut: as good as none.
    let is_whole = path.len() + 1 < CGROUP_PATH_BYTES_MAX;
    Ok(Body::CgroupMade {
        id,
        path: if is_whole { String::from_utf8_lossy(path).into_owned() } else { String::new() },
    })
}

/// Strings that are each closed by NUL; a last one that was cut counts as well.
pub(crate) fn strings(bytes: &[u8]) -> impl Iterator<Item = String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let list = (!bytes.is_empty()).then(|| bytes.split(|&byte| byte == 0));
    list.into_iter().flatten().map(|text| String::from_utf8_lossy(text).into_owned())
}

/// A path whose components come from the file upwards.
fn path(bytes: &[u8]) -> String {
    let components: Vec<String> = strings(bytes).collect();
    components.iter().rev().fold(String::new(), |path, name| path + "/" + name)
        + if components.is_empty() { "/" } else { "" }
}

fn socket_address(address: [u8; 16], port: u16) -> SocketAddr {
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
        direction_guessed: false,
        owner,
        cgroup_id: header.cgroup_id,
        netns: header.net_ns,
        opened_boot_ns: if record.opened_ns == 0 { header.boot_ns } else { record.opened_ns },
        origin: Origin::Observed,
    }
}

fn flow_end(record: &TcpRecord, established: bool) -> FlowEnd {
    let flag = |flag: u32| u64::from(record.flags & flag != 0);
    let handshake = u64::from(established) * flag(FLAG_CLIENT);
    FlowEnd {
        reason: close_reason(record.error, record.old_state, established),
        established,
        duration_ns: (record.opened_ns != 0).then(|| record.header.boot_ns.saturating_sub(record.opened_ns)),
        counters: FlowCounters {
            // The socket counts SYN and FIN as a byte each, in the direction that sent them and once acknowledged.
            // An accepted socket starts counting after its own SYN (tcp_create_openreq_child()).
            bytes_sent: record.bytes_acked.saturating_sub(handshake + flag(FLAG_FIN_ACKED)),
            bytes_received: record.bytes_received.saturating_sub(flag(FLAG_FIN_RECEIVED)),
            segments_sent: record.segments_out,
            segments_received: record.segments_in,
            retransmits: record.retransmits,
            srtt_us: record.srtt_us_8 / 8,
            min_rtt_us: if record.min_rtt_us == u32::MAX { 0 } else { record.min_rtt_us },
        },
    }
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
        libc::EHOSTUNREACH | libc::ENETUNREACH => CloseReason::Unreachable,
        _ if error == TCP_NO_ERROR_KNOWN && established && finished => CloseReason::Fin,
        _ => CloseReason::Error,
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
