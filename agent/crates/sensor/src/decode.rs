//! Wire bytes to observations. Total: whatever the bytes are, the answer is an observation or a reason.

mod credentials;
mod endpoint;
mod event;
mod file;
mod flow_note;
mod kernel;
mod memory;
mod namespace;
mod payload;
mod process;
mod signal;
mod tcp;
#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
mod text;
mod wire;

use agent_common::{Header, Kind, WIRE_VERSION};
use watchfire_model::{Body, ExecId, Namespaces, Observation, RecordKind};

pub(crate) use flow_note::{FlowNote, datagram_counters, datagram_flow, drop_flow, flow_note};
pub(crate) use tcp::{found, update, updated};
pub(crate) use text::{strings, text};

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
    /// No such operation, or none of this kind.
    #[error("operation {operation} is none of a record of kind {kind}")]
    Operation {
        /// The record's kind.
        kind: u16,
        /// The code.
        operation: u16,
    },
    /// No such payload.
    #[error("unknown payload {0}")]
    Payload(u32),
    /// The lengths of the strings exceed the record.
    #[error("strings exceed the record")]
    Strings,
}

/// The kind of a wire code.
pub(crate) fn record_kind(kind: Kind) -> Option<RecordKind> {
    RecordKind::ALL.get(usize::from(kind.0)).copied()
}

/// What a record does not say of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// First 32 bits of the boot id.
    pub(crate) boot: u32,
    /// Whether owners are written onto sockets at all.
    pub(crate) owners_probed: bool,
}

/// Decodes one record.
pub(crate) fn decode(bytes: &[u8], context: Context) -> Result<(RecordKind, Observation), DecodeError> {
    let header: Header = wire::fixed(bytes)?.0;
    if header.version != WIRE_VERSION {
        return Err(DecodeError::Version(header.version));
    }
    if header.size as usize != bytes.len() {
        return Err(DecodeError::Size { said: header.size, has: bytes.len() });
    }
    let kind = record_kind(header.kind).ok_or(DecodeError::Kind(header.kind.0))?;
    let boot = context.boot;
    let body = match kind {
        RecordKind::ProcessFork => Body::Fork(process::fork(bytes, boot)?),
        RecordKind::ProcessExec => Body::Exec(Box::new(process::exec(bytes, boot)?)),
        RecordKind::ProcessExit => Body::Exit(process::exit(bytes, boot)?),
        RecordKind::TcpOpen => tcp::open(bytes, context)?,
        RecordKind::TcpClose => tcp::close(bytes, context, true)?,
        RecordKind::TcpFail => tcp::close(bytes, context, false)?,
        RecordKind::Cgroup => process::cgroup(bytes)?,
        RecordKind::Payload => Body::Payload(Box::new(payload::payload(bytes, context)?)),
        // What they say is of use together with the maps alone: see `flow_note`.
        RecordKind::Datagram | RecordKind::Drop => return Err(DecodeError::Kind(header.kind.0)),
        RecordKind::Credentials
        | RecordKind::Capability
        | RecordKind::File
        | RecordKind::Namespace
        | RecordKind::Kernel
        | RecordKind::Memory
        | RecordKind::Socket
        | RecordKind::Signal
        | RecordKind::Stdio => Body::Event(Box::new(event::event(kind, bytes, boot)?)),
    };
    Ok((kind, Observation { boot_ns: header.boot_ns, body }))
}

fn actor(header: &Header, boot: u32) -> ExecId {
    ExecId::from_ns(boot, header.pid, header.start_ns)
}

fn namespaces(header: &Header) -> Namespaces {
    Namespaces { net: header.net_ns, mnt: header.mnt_ns, pid: header.pid_ns, user: header.user_ns }
}
