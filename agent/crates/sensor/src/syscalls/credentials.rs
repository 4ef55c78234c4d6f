//! Calls that change users, groups and capabilities. The 32-bit interface has most of them twice: for ids of 16 bits too.

use agent_common::{HANDLER_CREDENTIALS, Operation, Syscall};

use super::{ABSENT, Row, entry};

pub(super) fn rows() -> Vec<Row> {
    let row =
        |operation, native, compat| Row { native, compat, entry: entry(operation, HANDLER_CREDENTIALS) };
    // Their result is the id before.
    let id = |operation, native, compat| {
        let Row { native, compat, entry } = row(operation, native, compat);
        Row { native, compat, entry: Syscall { how: 1, ..entry } }
    };
    vec![
        row(Operation::SETUID, libc::SYS_setuid, 213),
        row(Operation::SETUID, ABSENT, 23),
        row(Operation::SETUID, libc::SYS_setreuid, 203),
        row(Operation::SETUID, ABSENT, 70),
        row(Operation::SETUID, libc::SYS_setresuid, 208),
        row(Operation::SETUID, ABSENT, 164),
        id(Operation::SETUID, libc::SYS_setfsuid, 215),
        id(Operation::SETUID, ABSENT, 138),
        row(Operation::SETGID, libc::SYS_setgid, 214),
        row(Operation::SETGID, ABSENT, 46),
        row(Operation::SETGID, libc::SYS_setregid, 204),
        row(Operation::SETGID, ABSENT, 71),
        row(Operation::SETGID, libc::SYS_setresgid, 210),
        row(Operation::SETGID, ABSENT, 170),
        id(Operation::SETGID, libc::SYS_setfsgid, 216),
        id(Operation::SETGID, ABSENT, 139),
        row(Operation::SETGROUPS, libc::SYS_setgroups, 206),
        row(Operation::SETGROUPS, ABSENT, 81),
        row(Operation::CAPSET, libc::SYS_capset, 185),
    ]
}
