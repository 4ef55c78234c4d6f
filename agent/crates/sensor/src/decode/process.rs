//! Process and cgroup records.

use agent_common::{
    CGROUP_PATH_BYTES_MAX, CGROUP_REMOVED, CgroupRecord, EXEC_ARGS_TRUNCATED, EXEC_ARGS_UNREADABLE,
    EXEC_ENV_TRUNCATED, EXEC_ENV_UNREADABLE, EXEC_OVERLAY, EXEC_SECURE, EXEC_UNLINKED, EXEC_UPPER_LAYER,
    ExecRecord, ExitRecord, ForkRecord,
};
use watchfire_model::{BinaryFile, Body, Device, Exec, ExecId, Exit, ExitStatus, Fork};

use super::text::{absolute, path, strings, text, until_nul};
use super::wire::fixed;
use super::{DecodeError, actor, namespaces};

pub(super) fn fork(bytes: &[u8], boot: u32) -> Result<Fork, DecodeError> {
    let (ForkRecord { header, parent_pid, ns_pid, parent_start_ns, clone_flags }, _) = fixed(bytes)?;
    Ok(Fork {
        child: actor(&header, boot),
        parent: ExecId::from_ns(boot, parent_pid, parent_start_ns),
        ns_pid,
        clone_flags,
        uid: header.uid,
        euid: header.euid,
        gid: header.gid,
        cgroup_id: header.cgroup_id,
        namespaces: namespaces(&header),
    })
}

pub(super) fn exec(bytes: &[u8], boot: u32) -> Result<Exec, DecodeError> {
    let (record, mut tail) = fixed::<ExecRecord>(bytes)?;
    let header = &record.header;
    let args = tail.take(record.args_bytes)?;
    let binary = tail.take(record.binary_bytes)?;
    let cwd = tail.take(record.cwd_bytes)?;
    let env = tail.take(record.env_bytes)?;
    let script = tail.take(record.script_bytes)?;
    let interpreter = tail.take(record.interpreter_bytes)?;
    let flag = |flag: u16| record.flags & flag != 0;
    Ok(Exec {
        process: actor(header, boot),
        parent: (record.parent_pid != 0)
            .then(|| ExecId::from_ns(boot, record.parent_pid, record.parent_start_ns)),
        binary: path(binary),
        args: strings(args).collect(),
        args_truncated: flag(EXEC_ARGS_TRUNCATED),
        args_unreadable: flag(EXEC_ARGS_UNREADABLE),
        env: strings(env).collect(),
        env_truncated: flag(EXEC_ENV_TRUNCATED),
        env_unreadable: flag(EXEC_ENV_UNREADABLE),
        cwd: path(cwd),
        ns_pid: record.ns_pid,
        file: BinaryFile {
            inode: record.inode,
            device: Device(record.device),
            mode: record.mode,
            owner: record.owner,
            group: record.group,
            unlinked: flag(EXEC_UNLINKED),
            drift: flag(EXEC_OVERLAY).then(|| flag(EXEC_UPPER_LAYER)),
        },
        script: (!until_nul(script).is_empty()).then(|| absolute(script, cwd)),
        interpreter: Some(text(until_nul(interpreter))).filter(|name| !name.is_empty()),
        tty: Device(record.tty),
        secure: flag(EXEC_SECURE),
        effective: record.effective,
        permitted: record.permitted,
        uid: header.uid,
        euid: header.euid,
        gid: header.gid,
        egid: record.egid,
        cgroup_id: header.cgroup_id,
        namespaces: namespaces(header),
        before_start: false,
    })
}

pub(super) fn exit(bytes: &[u8], boot: u32) -> Result<Exit, DecodeError> {
    let (ExitRecord { header, wait_status, reserved: _ }, _) = fixed(bytes)?;
    Ok(Exit {
        process: actor(&header, boot),
        status: ExitStatus::from_wait_status(wait_status),
        uid: header.uid,
        euid: header.euid,
        gid: header.gid,
        cgroup_id: header.cgroup_id,
    })
}

pub(super) fn cgroup(bytes: &[u8]) -> Result<Body, DecodeError> {
    let (CgroupRecord { header: _, id, flags, path_bytes }, mut tail) = fixed(bytes)?;
    if flags & CGROUP_REMOVED != 0 {
        return Ok(Body::CgroupRemoved { id });
    }
    let path = tail.take(path_bytes)?;
    // A path that fills its room may have been cut: as good as none.
    let is_whole = path.len() + 1 < CGROUP_PATH_BYTES_MAX;
    Ok(Body::CgroupMade { id, path: if is_whole { text(path) } else { String::new() } })
}
