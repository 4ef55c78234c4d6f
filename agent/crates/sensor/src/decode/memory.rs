//! Records of code and control that enter processes.

use agent_common::{MEMORY_WAS_WRITABLE, MEMORY_WRITABLE_UNKNOWN, MemoryRecord};
use watchfire_model::{ExecId, MemoryEvent, Operation};

use super::DecodeError;
use super::text::{path, text, until_nul};
use super::wire::fixed;

pub(super) fn memory(operation: Operation, bytes: &[u8], boot: u32) -> Result<MemoryEvent, DecodeError> {
    let (record, mut tail) = fixed::<MemoryRecord>(bytes)?;
    let name = tail.take(record.name_bytes)?;
    let flag = |flag: u32| record.flags & flag != 0;
    Ok(MemoryEvent {
        target: (record.target_pid != 0)
            .then(|| ExecId::from_ns(boot, record.target_pid, record.target_start_ns)),
        target_ns_pid: record.target_ns_pid,
        address: record.address,
        length: record.length,
        request: record.request,
        was_writable: (!flag(MEMORY_WRITABLE_UNKNOWN)).then(|| flag(MEMORY_WAS_WRITABLE)),
        name: match operation {
            Operation::MemOpen if !name.is_empty() => path(name),
            _ => text(until_nul(name)),
        },
    })
}
