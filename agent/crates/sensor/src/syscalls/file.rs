//! File operations.

use agent_common::{HANDLER_FILE, HANDLER_FILE_TEXT, Operation, Syscall};

use super::{ABSENT, Row, entry};

/// System calls that only the older architectures have.
#[cfg(target_arch = "x86_64")]
mod old {
    pub(super) const OPEN: i64 = libc::SYS_open;
    pub(super) const CREAT: i64 = libc::SYS_creat;
    pub(super) const UNLINK: i64 = libc::SYS_unlink;
    pub(super) const RMDIR: i64 = libc::SYS_rmdir;
    pub(super) const MKDIR: i64 = libc::SYS_mkdir;
    pub(super) const RENAME: i64 = libc::SYS_rename;
    pub(super) const RENAMEAT: i64 = libc::SYS_renameat;
    pub(super) const LINK: i64 = libc::SYS_link;
    pub(super) const SYMLINK: i64 = libc::SYS_symlink;
    pub(super) const CHMOD: i64 = libc::SYS_chmod;
    pub(super) const CHOWN: i64 = libc::SYS_chown;
    pub(super) const LCHOWN: i64 = libc::SYS_lchown;
}
#[cfg(not(target_arch = "x86_64"))]
mod old {
    use super::ABSENT;
    pub(super) const OPEN: i64 = ABSENT;
    pub(super) const CREAT: i64 = ABSENT;
    pub(super) const UNLINK: i64 = ABSENT;
    pub(super) const RMDIR: i64 = ABSENT;
    pub(super) const MKDIR: i64 = ABSENT;
    pub(super) const RENAME: i64 = ABSENT;
    /// Numbered in the generic table (include/uapi/asm-generic/unistd.h).
    pub(super) const RENAMEAT: i64 = 38;
    pub(super) const LINK: i64 = ABSENT;
    pub(super) const SYMLINK: i64 = ABSENT;
    pub(super) const CHMOD: i64 = ABSENT;
    pub(super) const CHOWN: i64 = ABSENT;
    pub(super) const LCHOWN: i64 = ABSENT;
}

/// fchmodat2(2), one number on every architecture, since 6.6.
const FCHMODAT2: i64 = 452;
/// setxattrat(2), since 6.13.
const SETXATTRAT: i64 = 463;

pub(super) fn rows() -> Vec<Row> {
    let text = |operation, native, compat, set: fn(&mut Syscall)| {
        let mut entry = entry(operation, HANDLER_FILE_TEXT);
        set(&mut entry);
        Row { native, compat, entry }
    };
    let file = |operation, native, compat, set: fn(&mut Syscall)| {
        let mut entry = entry(operation, HANDLER_FILE);
        set(&mut entry);
        Row { native, compat, entry }
    };
    vec![
        file(Operation::OPEN, old::OPEN, 5, |call| (call.path, call.flags) = (0, 1)),
        file(Operation::OPEN, old::CREAT, 8, |call| call.path = 0),
        file(Operation::OPEN, libc::SYS_openat, 295, |call| (call.folder, call.path, call.flags) = (0, 1, 2)),
        file(Operation::OPEN, libc::SYS_openat2, 437, |call| {
            (call.folder, call.path, call.flags, call.how) = (0, 1, 2, 1);
        }),
        text(Operation::UNLINK, old::UNLINK, 10, |call| call.path = 0),
        text(Operation::UNLINK, libc::SYS_unlinkat, 301, |call| {
            (call.folder, call.path, call.flags) = (0, 1, 2);
        }),
        text(Operation::RMDIR, old::RMDIR, 40, |call| call.path = 0),
        text(Operation::MKDIR, old::MKDIR, 39, |call| (call.path, call.value) = (0, 1)),
        text(Operation::MKDIR, libc::SYS_mkdirat, 296, |call| {
            (call.folder, call.path, call.value) = (0, 1, 2);
        }),
        text(Operation::RENAME, old::RENAME, 38, |call| (call.path, call.other) = (0, 1)),
        text(Operation::RENAME, old::RENAMEAT, 302, |call| {
            (call.folder, call.path, call.other_folder, call.other) = (0, 1, 2, 3);
        }),
        text(Operation::RENAME, libc::SYS_renameat2, 353, |call| {
            (call.folder, call.path, call.other_folder, call.other, call.flags) = (0, 1, 2, 3, 4);
        }),
        text(Operation::LINK, old::LINK, 9, |call| (call.path, call.other) = (0, 1)),
        text(Operation::LINK, libc::SYS_linkat, 303, |call| {
            (call.folder, call.path, call.other_folder, call.other, call.flags) = (0, 1, 2, 3, 4);
        }),
        // The path is the link; what it leads to is the other text.
        text(Operation::SYMLINK, old::SYMLINK, 83, |call| (call.other, call.path) = (0, 1)),
        text(Operation::SYMLINK, libc::SYS_symlinkat, 304, |call| {
            (call.other, call.folder, call.path) = (0, 1, 2);
        }),
        text(Operation::CHMOD, old::CHMOD, 15, |call| (call.path, call.value) = (0, 1)),
        file(Operation::CHMOD, libc::SYS_fchmod, 94, |call| (call.file, call.value) = (0, 1)),
        text(Operation::CHMOD, libc::SYS_fchmodat, 306, |call| {
            (call.folder, call.path, call.value) = (0, 1, 2);
        }),
        text(Operation::CHMOD, FCHMODAT2, FCHMODAT2, |call| {
            (call.folder, call.path, call.value, call.flags) = (0, 1, 2, 3);
        }),
        text(Operation::CHOWN, old::CHOWN, 212, |call| (call.path, call.value, call.group) = (0, 1, 2)),
        text(Operation::CHOWN, old::LCHOWN, 198, |call| (call.path, call.value, call.group) = (0, 1, 2)),
        text(Operation::CHOWN, ABSENT, 182, |call| (call.path, call.value, call.group) = (0, 1, 2)),
        text(Operation::CHOWN, ABSENT, 16, |call| (call.path, call.value, call.group) = (0, 1, 2)),
        file(Operation::CHOWN, libc::SYS_fchown, 207, |call| (call.file, call.value, call.group) = (0, 1, 2)),
        file(Operation::CHOWN, ABSENT, 95, |call| (call.file, call.value, call.group) = (0, 1, 2)),
        text(Operation::CHOWN, libc::SYS_fchownat, 298, |call| {
            (call.folder, call.path, call.value, call.group, call.flags) = (0, 1, 2, 3, 4);
        }),
        text(Operation::SETXATTR, libc::SYS_setxattr, 226, |call| (call.path, call.name) = (0, 1)),
        text(Operation::SETXATTR, libc::SYS_lsetxattr, 227, |call| (call.path, call.name) = (0, 1)),
        file(Operation::SETXATTR, libc::SYS_fsetxattr, 228, |call| (call.file, call.name) = (0, 1)),
        text(Operation::SETXATTR, SETXATTRAT, SETXATTRAT, |call| {
            (call.folder, call.path, call.name) = (0, 1, 3);
        }),
        text(Operation::TRUNCATE, libc::SYS_truncate, 92, |call| (call.path, call.value) = (0, 1)),
        text(Operation::TRUNCATE, ABSENT, 193, |call| (call.path, call.value) = (0, 1)),
        file(Operation::TRUNCATE, libc::SYS_ftruncate, 93, |call| (call.file, call.value) = (0, 1)),
        file(Operation::TRUNCATE, ABSENT, 194, |call| (call.file, call.value) = (0, 1)),
        file(Operation::MMAP_EXEC, libc::SYS_mmap, 192, |call| (call.file, call.flags) = (4, 2)),
    ]
}
