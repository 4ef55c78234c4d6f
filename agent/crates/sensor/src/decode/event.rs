//! What security records of all kinds begin with.

use agent_common as wire;
use agent_common::{
    EVENT_COMPAT, EVENT_IO_URING, EVENT_RESULT_KNOWN, EVENT_TRUNCATED, EVENT_UNREADABLE, EventHead,
};
use watchfire_model::{Detail, Event, Interface, Operation, RecordKind};

use super::wire::fixed;
use super::{DecodeError, actor, credentials, endpoint, file, kernel, memory, namespace, namespaces, signal};

/// A security record; `kind` is one of theirs.
pub(super) fn event(kind: RecordKind, bytes: &[u8], boot: u32) -> Result<Event, DecodeError> {
    let EventHead { header, operation: code, flags, result } = fixed(bytes)?.0;
    let refused = DecodeError::Operation { kind: header.kind.0, operation: code.0 };
    let operation = operation(code).filter(|operation| operation.kind() == kind).ok_or(refused)?;
    let (operation, detail) = match kind {
        RecordKind::Credentials => (operation, Detail::Credentials(credentials::credentials(bytes)?)),
        RecordKind::Capability => (operation, Detail::Capability(credentials::capability(bytes)?)),
        RecordKind::File => (operation, Detail::File(file::file(operation, bytes)?)),
        RecordKind::Namespace => (operation, Detail::Namespace(namespace::namespace(operation, bytes)?)),
        RecordKind::Kernel => {
            let event = kernel::kernel(bytes)?;
            (kernel::operation_of_command(operation, event.command), Detail::Kernel(event))
        }
        RecordKind::Memory => (operation, Detail::Memory(memory::memory(operation, bytes, boot)?)),
        RecordKind::Socket => (operation, Detail::Socket(endpoint::socket(bytes)?)),
        RecordKind::Signal => (operation, Detail::Signal(signal::signal(bytes, boot)?)),
        RecordKind::Stdio => (operation, Detail::Stdio(endpoint::stdio(bytes)?)),
        RecordKind::ProcessFork
        | RecordKind::ProcessExec
        | RecordKind::ProcessExit
        | RecordKind::TcpOpen
        | RecordKind::TcpClose
        | RecordKind::TcpFail
        | RecordKind::Cgroup
        | RecordKind::Datagram
        | RecordKind::Payload
        | RecordKind::Drop => return Err(refused),
    };
    let flag = |flag: u16| flags & flag != 0;
    Ok(Event {
        process: actor(&header, boot),
        uid: header.uid,
        euid: header.euid,
        gid: header.gid,
        cgroup_id: header.cgroup_id,
        namespaces: namespaces(&header),
        operation,
        // There a signal's outcome stands in the record's own field.
        result: (flag(EVENT_RESULT_KNOWN) && kind != RecordKind::Signal).then_some(result),
        interface: if flag(EVENT_IO_URING) {
            Some(Interface::IoUring)
        } else if flag(EVENT_COMPAT) {
            Some(Interface::Compat)
        } else {
            None
        },
        truncated: flag(EVENT_TRUNCATED),
        unreadable: flag(EVENT_UNREADABLE),
        detail,
    })
}

fn operation(code: wire::Operation) -> Option<Operation> {
    use wire::Operation as Code;
    Some(match code {
        Code::OPEN => Operation::Open,
        Code::UNLINK => Operation::Unlink,
        Code::RMDIR => Operation::Rmdir,
        Code::RENAME => Operation::Rename,
        Code::LINK => Operation::Link,
        Code::SYMLINK => Operation::Symlink,
        Code::CHMOD => Operation::Chmod,
        Code::CHOWN => Operation::Chown,
        Code::SETXATTR => Operation::Setxattr,
        Code::TRUNCATE => Operation::Truncate,
        Code::MMAP_EXEC => Operation::MmapExec,
        Code::MKDIR => Operation::Mkdir,
        Code::SETUID => Operation::Setuid,
        Code::SETGID => Operation::Setgid,
        Code::SETGROUPS => Operation::Setgroups,
        Code::CAPSET => Operation::Capset,
        Code::COMMIT => Operation::Commit,
        Code::CAPABLE => Operation::Capable,
        Code::UNSHARE => Operation::Unshare,
        Code::SETNS => Operation::Setns,
        Code::MOUNT => Operation::Mount,
        Code::UMOUNT => Operation::Umount,
        Code::PIVOT_ROOT => Operation::PivotRoot,
        Code::CHROOT => Operation::Chroot,
        Code::MOVE_MOUNT => Operation::MoveMount,
        Code::INIT_MODULE => Operation::InitModule,
        Code::FINIT_MODULE => Operation::FinitModule,
        Code::DELETE_MODULE => Operation::DeleteModule,
        Code::BPF_PROG_LOAD => Operation::BpfProgLoad,
        Code::BPF_MAP_CREATE => Operation::BpfMapCreate,
        Code::BPF_DETACH => Operation::BpfDetach,
        Code::BPF => Operation::Bpf,
        Code::PERF_EVENT_OPEN => Operation::PerfEventOpen,
        Code::KEXEC_LOAD => Operation::KexecLoad,
        Code::KEXEC_FILE_LOAD => Operation::KexecFileLoad,
        Code::PTRACE => Operation::Ptrace,
        Code::VM_WRITEV => Operation::VmWritev,
        Code::MEM_OPEN => Operation::MemOpen,
        Code::MEMFD_CREATE => Operation::MemfdCreate,
        Code::MPROTECT => Operation::Mprotect,
        Code::USERFAULTFD => Operation::Userfaultfd,
        Code::SOCKET => Operation::Socket,
        Code::BIND => Operation::Bind,
        Code::LISTEN => Operation::Listen,
        Code::CONNECT => Operation::Connect,
        Code::SIGNAL => Operation::Signal,
        Code::DUP => Operation::Dup,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_the_wire_has_its_namesake() {
        for &(code, name) in wire::Operation::ALL {
            let known = operation(code).unwrap_or_else(|| panic!("{name} is not known"));
            assert_eq!(known.as_str(), name.to_ascii_lowercase().replace('_', "-"));
        }
        assert_eq!(wire::Operation::ALL.len(), Operation::ALL.len());
        assert_eq!(operation(wire::Operation(0)), None);
    }
}
