//! Signal records.

use agent_common::SignalRecord;
use watchfire_model::{ExecId, SignalEvent};

use super::DecodeError;
use super::wire::fixed;

pub(super) fn signal(bytes: &[u8], boot: u32) -> Result<SignalEvent, DecodeError> {
    let record: SignalRecord = fixed(bytes)?.0;
    Ok(SignalEvent {
        target: ExecId::from_ns(boot, record.target_pid, record.target_start_ns),
        target_cgroup_id: record.target_cgroup_id,
        signal: record.signal,
        outcome: record.outcome,
        code: record.code,
    })
}
