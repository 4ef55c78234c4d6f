//! Records of code that enters the kernel.

use agent_common::{KERNEL_NAME_IS_PATH, KernelRecord};
use watchfire_model::{KernelEvent, Operation};

use super::DecodeError;
use super::text::{path, text, until_nul};
use super::wire::fixed;

pub(super) fn kernel(bytes: &[u8]) -> Result<KernelEvent, DecodeError> {
    let (KernelRecord { value, command, target_pid, cpu, flags, name_bytes, .. }, mut tail) = fixed(bytes)?;
    let name = tail.take(name_bytes)?;
    let is_path = flags & KERNEL_NAME_IS_PATH != 0 && !name.is_empty();
    let name = if is_path { path(name) } else { text(until_nul(name)) };
    Ok(KernelEvent { name, value, command, target_pid, cpu })
}

/// A record may leave it to the bpf(2) command (`enum bpf_cmd` of include/uapi/linux/bpf.h) which operation it is.
pub(super) const fn operation_of_command(operation: Operation, command: u32) -> Operation {
    const MAP_CREATE: u32 = 0;
    const PROG_LOAD: u32 = 5;
    const PROG_DETACH: u32 = 9;
    const LINK_UPDATE: u32 = 29;
    const LINK_DETACH: u32 = 34;
    match (operation, command) {
        (Operation::Bpf, MAP_CREATE) => Operation::BpfMapCreate,
        (Operation::Bpf, PROG_LOAD) => Operation::BpfProgLoad,
        (Operation::Bpf, PROG_DETACH | LINK_UPDATE | LINK_DETACH) => Operation::BpfDetach,
        _ => operation,
    }
}
