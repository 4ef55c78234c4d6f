//! Code and control that enter other processes, and memory that becomes executable.

use std::borrow::Cow;

use serde::Serialize;

use crate::flags::{FlagTable, access_names, flag_names, protection_names};
use crate::{ExecId, Operation, TargetView};

/// Code or control went into a process.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MemoryEvent {
    /// The process it went into, where the kernel names it.
    pub target: Option<ExecId>,
    /// That process as the caller named it, in its own pid namespace; 0 where the call has none.
    pub target_ns_pid: u32,
    /// Address in the target or of the memory; where it is known what the memory was before, of the mapping that holds it.
    pub address: u64,
    /// Bytes.
    pub length: u64,
    /// ptrace(2) request, protection of mprotect(2), flags of memfd_create(2), userfaultfd(2) or open(2).
    pub request: u32,
    /// Whether the memory was writable until now, where known.
    pub was_writable: Option<bool>,
    /// Name of the memfd, or path of the /proc file; empty where there is none.
    pub name: String,
}

/// Code or control that went into a process as records show it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct MemoryView {
    /// The process it went into, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetView>,
    /// That process as the caller named it, in its own pid namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ns_pid: Option<u32>,
    /// Address in the target or of the memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// ptrace(2) request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Cow<'static, str>>,
    /// Protection that the memory gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<Vec<Cow<'static, str>>>,
    /// Whether it was writable until now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was_writable: Option<bool>,
    /// Name of the memfd, or path of the /proc file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Flags of the call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Cow<'static, str>>,
}

impl MemoryView {
    /// The view of an event; which of its numbers mean something depends on the operation.
    #[must_use]
    pub fn new(operation: Operation, event: MemoryEvent, target: Option<TargetView>) -> Self {
        let MemoryEvent { target: _, target_ns_pid, address, length, request, was_writable, name } = event;
        let flags = match operation {
            Operation::MemfdCreate => flag_names(MEMFD_FLAGS, request.into()),
            Operation::Userfaultfd => flag_names(USERFAULTFD_FLAGS, request.into()),
            Operation::MemOpen => access_names(request).into_iter().map(Cow::Borrowed).collect(),
            _ => Vec::new(),
        };
        Self {
            target,
            target_ns_pid: (target_ns_pid != 0).then_some(target_ns_pid),
            address: (address != 0).then(|| format!("{address:#x}")),
            length: (length != 0).then_some(length),
            request: (operation == Operation::Ptrace).then(|| ptrace_request_name(request)),
            protection: (operation == Operation::Mprotect).then(|| protection_names(request)),
            was_writable: was_writable.filter(|_| operation == Operation::Mprotect),
            name,
            flags,
        }
    }
}

/// include/uapi/linux/memfd.h
const MEMFD_FLAGS: &FlagTable = &[
    (0x1, "MFD_CLOEXEC"),
    (0x2, "MFD_ALLOW_SEALING"),
    (0x4, "MFD_HUGETLB"),
    (0x8, "MFD_NOEXEC_SEAL"),
    (0x10, "MFD_EXEC"),
];

/// include/uapi/linux/userfaultfd.h
const USERFAULTFD_FLAGS: &FlagTable =
    &[(0x1, "UFFD_USER_MODE_ONLY"), (0o4000, "O_NONBLOCK"), (0o200_0000, "O_CLOEXEC")];

/// include/uapi/linux/ptrace.h, and of arch/x86/include/uapi/asm/ptrace-abi.h what older requests are.
fn ptrace_request_name(request: u32) -> Cow<'static, str> {
    Cow::Borrowed(match request {
        0 => "PTRACE_TRACEME",
        1 => "PTRACE_PEEKTEXT",
        2 => "PTRACE_PEEKDATA",
        3 => "PTRACE_PEEKUSR",
        4 => "PTRACE_POKETEXT",
        5 => "PTRACE_POKEDATA",
        6 => "PTRACE_POKEUSR",
        7 => "PTRACE_CONT",
        8 => "PTRACE_KILL",
        9 => "PTRACE_SINGLESTEP",
        12 => "PTRACE_GETREGS",
        13 => "PTRACE_SETREGS",
        14 => "PTRACE_GETFPREGS",
        15 => "PTRACE_SETFPREGS",
        16 => "PTRACE_ATTACH",
        17 => "PTRACE_DETACH",
        18 => "PTRACE_GETFPXREGS",
        19 => "PTRACE_SETFPXREGS",
        24 => "PTRACE_SYSCALL",
        25 => "PTRACE_GET_THREAD_AREA",
        26 => "PTRACE_SET_THREAD_AREA",
        30 => "PTRACE_ARCH_PRCTL",
        31 => "PTRACE_SYSEMU",
        32 => "PTRACE_SYSEMU_SINGLESTEP",
        33 => "PTRACE_SINGLEBLOCK",
        0x4200 => "PTRACE_SETOPTIONS",
        0x4201 => "PTRACE_GETEVENTMSG",
        0x4202 => "PTRACE_GETSIGINFO",
        0x4203 => "PTRACE_SETSIGINFO",
        0x4204 => "PTRACE_GETREGSET",
        0x4205 => "PTRACE_SETREGSET",
        0x4206 => "PTRACE_SEIZE",
        0x4207 => "PTRACE_INTERRUPT",
        0x4208 => "PTRACE_LISTEN",
        0x4209 => "PTRACE_PEEKSIGINFO",
        0x420a => "PTRACE_GETSIGMASK",
        0x420b => "PTRACE_SETSIGMASK",
        0x420c => "PTRACE_SECCOMP_GET_FILTER",
        0x420d => "PTRACE_SECCOMP_GET_METADATA",
        0x420e => "PTRACE_GET_SYSCALL_INFO",
        0x420f => "PTRACE_GET_RSEQ_CONFIGURATION",
        0x4210 => "PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG",
        0x4211 => "PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG",
        0x4212 => "PTRACE_SET_SYSCALL_INFO",
        other => return Cow::Owned(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_tells_what_the_request_is() {
        let view = |operation, request| {
            let event =
                MemoryEvent { request, was_writable: Some(true), address: 0x1000, ..MemoryEvent::default() };
            MemoryView::new(operation, event, None)
        };
        assert_eq!(view(Operation::Ptrace, 16).request.unwrap(), "PTRACE_ATTACH");
        assert_eq!(view(Operation::Ptrace, 999).request.unwrap(), "999");
        assert_eq!(view(Operation::Mprotect, 5).protection.unwrap(), ["read", "exec"]);
        assert_eq!(view(Operation::MemfdCreate, 3).flags, ["MFD_CLOEXEC", "MFD_ALLOW_SEALING"]);
        assert_eq!(view(Operation::MemOpen, 2).flags, ["read", "write"]);
        assert_eq!(view(Operation::Ptrace, 16).was_writable, None);
        assert_eq!(view(Operation::Mprotect, 5).address.as_deref(), Some("0x1000"));
    }
}
