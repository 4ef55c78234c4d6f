//! Credentials: who becomes someone else, and who gains capabilities, other than by exec.

use agent_common::{CREDENTIALS_OLD_KNOWN, CredentialSet, CredentialsRecord, Kind, Operation};
use aya_ebpf::macros::{btf_tracepoint, fentry};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext};

use crate::account::{Count, count};
use crate::event::{Outcome, write_head};
use crate::limit;
use crate::path::read;
use crate::ring::{reserve, submit};
use crate::settings::{IN_EXECVE_BIT, field, offset};
use crate::syscall::handed_over;
use crate::task::{self, Task, capabilities};

/// proto: `int commit_creds(struct cred *new)`, through which every change of a task's own credentials goes
#[fentry(function = "commit_creds")]
pub(crate) fn credentials_commit(ctx: FEntryContext) -> i32 {
    count(Kind::CREDENTIALS, Count::Seen);
    let task = task::current();
    let new: *const u8 = ctx.arg(0);
    let old = field!(task, task_cred as *const u8);
    let (before, after) = (set_of(old), set_of(new));
    let same_ns = field!(old, cred_user_ns as *const u8) == field!(new, cred_user_ns as *const u8);
    let same_set = difference(&before, &after) == 0 && same_ns;
    let same_groups = field!(old, cred_groups as *const u8) == field!(new, cred_groups as *const u8);
    // What exec changes, its own record says.
    if (same_set && same_groups) || is_in_exec(task) {
        count(Kind::CREDENTIALS, Count::Filtered);
        return 0;
    }
    let operation = if same_set { Operation::SETGROUPS } else { Operation::COMMIT };
    tell(task, operation, Outcome::UNKNOWN, Some(&before), new);
    0
}

/// Calls that change credentials, after their end: what was before is not known any more.
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn credentials_syscall(ctx: BtfTracePointContext) -> i32 {
    let Some((call, entry)) = handed_over(&ctx) else { return 0 };
    count(Kind::CREDENTIALS, Count::Seen);
    let mut outcome = Outcome::of(&call);
    if entry.how == 1 {
        // setfsuid(2) and setfsgid(2) return the id before, and no error.
        outcome = outcome.unknown();
    }
    let task = task::current();
    tell(task, entry.operation, outcome, None, field!(task, task_cred as *const u8));
    0
}

#[inline(always)]
fn is_in_exec(task: Task) -> bool {
    let bit = IN_EXECVE_BIT.load();
    if bit == u32::MAX {
        return false;
    }
    let byte: u8 = read(task, bit as usize / 8);
    byte >> (bit % 8) & 1 == 1
}

#[inline(always)]
fn set_of(cred: *const u8) -> CredentialSet {
    CredentialSet {
        effective: capabilities(cred, offset!(cred_effective)),
        permitted: capabilities(cred, offset!(cred_permitted)),
        inheritable: capabilities(cred, offset!(cred_inheritable)),
        ambient: capabilities(cred, offset!(cred_ambient)),
        uid: field!(cred, cred_uid as u32),
        gid: field!(cred, cred_gid as u32),
        suid: field!(cred, cred_suid as u32),
        sgid: field!(cred, cred_sgid as u32),
        euid: field!(cred, cred_euid as u32),
        egid: field!(cred, cred_egid as u32),
        fsuid: field!(cred, cred_fsuid as u32),
        fsgid: field!(cred, cred_fsgid as u32),
    }
}

/// Zero where two sets are equal: without a branch for each field, and without a call of `bcmp`.
#[inline(always)]
const fn difference(a: &CredentialSet, b: &CredentialSet) -> u64 {
    let sets = (a.effective ^ b.effective)
        | (a.permitted ^ b.permitted)
        | (a.inheritable ^ b.inheritable)
        | (a.ambient ^ b.ambient);
    let users = (a.uid ^ b.uid) | (a.suid ^ b.suid) | (a.euid ^ b.euid) | (a.fsuid ^ b.fsuid);
    let groups = (a.gid ^ b.gid) | (a.sgid ^ b.sgid) | (a.egid ^ b.egid) | (a.fsgid ^ b.fsgid);
    sets | (users | groups) as u64
}

#[inline(always)]
fn tell(task: Task, operation: Operation, outcome: Outcome, old: Option<&CredentialSet>, new: *const u8) {
    let cgroup_id = task::cgroup_id(task);
    if !limit::admits(Kind::CREDENTIALS, task, cgroup_id) {
        return;
    }
    let Some(record) = reserve::<CredentialsRecord>(Kind::CREDENTIALS, cgroup_id) else { return };
    let user_ns = field!(new, cred_user_ns as *const u8);
    let size = size_of::<CredentialsRecord>() as u32;
    // SAFETY: `record` is room for a whole CredentialsRecord.
    unsafe {
        write_head(&raw mut (*record).head, Kind::CREDENTIALS, operation, outcome, size, task, cgroup_id);
        (*record).old = old.copied().unwrap_or_default();
        (*record).new = set_of(new);
        (*record).user_ns = field!(user_ns, user_ns_inum as u32);
        (*record).known = if old.is_some() { CREDENTIALS_OLD_KNOWN } else { 0 };
    }
    submit(Kind::CREDENTIALS, record);
}
