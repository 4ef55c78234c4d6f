//! Records of sockets other than of TCP connections.

use agent_common::{SocketRecord, StdioRecord};
use watchfire_model::{SocketEvent, StdioEvent};

use super::DecodeError;
use super::tcp::socket_address;
use super::text::{text, until_nul};
use super::wire::fixed;

pub(super) fn socket(bytes: &[u8]) -> Result<SocketEvent, DecodeError> {
    let (record, mut tail) = fixed::<SocketRecord>(bytes)?;
    let path = tail.take(record.path_bytes)?;
    Ok(SocketEvent {
        family: record.family,
        socket_type: record.socket_type,
        protocol: record.protocol,
        address: socket_address(record.address, record.port),
        backlog: record.backlog,
        path: unix_name(path),
    })
}

/// A path, or an abstract name with `@` for the NUL that it begins with (unix(7)).
fn unix_name(address: &[u8]) -> String {
    match address {
        [0] | [] => String::new(),
        [0, name @ ..] => format!("@{}", text(name)),
        path => text(until_nul(path)),
    }
}

pub(super) fn stdio(bytes: &[u8]) -> Result<StdioEvent, DecodeError> {
    let record: StdioRecord = fixed(bytes)?.0;
    Ok(StdioEvent {
        from_fd: record.from_fd,
        to_fd: record.to_fd,
        family: record.family,
        socket_type: record.socket_type,
        local: socket_address(record.local, record.local_port),
        remote: socket_address(record.remote, record.remote_port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_unix_sockets() {
        for (bytes, expected) in
            [(&b"/run/x\0\0"[..], "/run/x"), (b"\0abc", "@abc"), (b"\0a\0b", "@a\0b"), (b"\0", ""), (b"", "")]
        {
            assert_eq!(unix_name(bytes), expected);
        }
    }
}
