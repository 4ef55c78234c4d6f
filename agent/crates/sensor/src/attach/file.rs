//! Files.

use agent_common::{HANDLER_FILE, HANDLER_FILE_TEXT, Operation};

use super::{Hook, Probe, Rung, SYS_EXIT_HOOK};
use crate::options::Options;

const FILES: fn(&Options) -> bool = |options| options.families.file;
/// What is asked for through io_uring is no system call, so the last rung has a program of its own for it.
const RING: (&str, Hook) = ("file_ring", Hook::ExtraTpBtf("io_uring_submit_req"));

pub(super) const PROBES: [Probe; 7] = [
    Probe {
        name: "file-open",
        purpose: "files that are opened",
        wanted: |options| options.families.file || options.families.memory,
        structs: &[],
        rungs: &[
            Rung { hook: "lsm/file_open", programs: &[("file_open_lsm", Hook::Lsm("file_open"))] },
            Rung {
                hook: "fentry/security_file_open",
                programs: &[("file_open_fentry", Hook::FEntry("security_file_open"))],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[
                    ("file_syscall", Hook::SysExit(HANDLER_FILE, &[Operation::OPEN])),
                    ("file_syscall_text", Hook::SysExit(HANDLER_FILE_TEXT, &[Operation::OPEN])),
                    RING,
                ],
            },
        ],
    },
    Probe {
        name: "file-name",
        purpose: "files that are made, renamed, linked and removed",
        wanted: FILES,
        structs: &[],
        rungs: &[
            Rung {
                hook: "lsm/{path_unlink,path_rmdir,path_mkdir,path_rename,path_link,path_symlink}",
                programs: &[
                    ("file_unlink_lsm", Hook::Lsm("path_unlink")),
                    ("file_rmdir_lsm", Hook::Lsm("path_rmdir")),
                    ("file_mkdir_lsm", Hook::Lsm("path_mkdir")),
                    ("file_rename_lsm", Hook::Lsm("path_rename")),
                    ("file_link_lsm", Hook::Lsm("path_link")),
                    ("file_symlink_lsm", Hook::Lsm("path_symlink")),
                ],
            },
            Rung {
                hook: "fentry/{security_path_unlink,security_path_rmdir,security_path_mkdir,security_path_rename,security_path_link,security_path_symlink}",
                programs: &[
                    ("file_unlink_fentry", Hook::FEntry("security_path_unlink")),
                    ("file_rmdir_fentry", Hook::FEntry("security_path_rmdir")),
                    ("file_mkdir_fentry", Hook::FEntry("security_path_mkdir")),
                    ("file_rename_fentry", Hook::FEntry("security_path_rename")),
                    ("file_link_fentry", Hook::FEntry("security_path_link")),
                    ("file_symlink_fentry", Hook::FEntry("security_path_symlink")),
                ],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[
                    (
                        "file_syscall",
                        Hook::SysExit(
                            HANDLER_FILE,
                            &[
                                Operation::UNLINK,
                                Operation::RMDIR,
                                Operation::MKDIR,
                                Operation::RENAME,
                                Operation::LINK,
                                Operation::SYMLINK,
                            ],
                        ),
                    ),
                    (
                        "file_syscall_text",
                        Hook::SysExit(
                            HANDLER_FILE_TEXT,
                            &[
                                Operation::UNLINK,
                                Operation::RMDIR,
                                Operation::MKDIR,
                                Operation::RENAME,
                                Operation::LINK,
                                Operation::SYMLINK,
                            ],
                        ),
                    ),
                    RING,
                ],
            },
        ],
    },
    Probe {
        name: "file-mode",
        purpose: "modes of files",
        wanted: FILES,
        structs: &[],
        rungs: &[
            Rung { hook: "lsm/path_chmod", programs: &[("file_chmod_lsm", Hook::Lsm("path_chmod"))] },
            Rung {
                hook: "fentry/security_path_chmod",
                programs: &[("file_chmod_fentry", Hook::FEntry("security_path_chmod"))],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[
                    ("file_syscall", Hook::SysExit(HANDLER_FILE, &[Operation::CHMOD])),
                    ("file_syscall_text", Hook::SysExit(HANDLER_FILE_TEXT, &[Operation::CHMOD])),
                    RING,
                ],
            },
        ],
    },
    Probe {
        name: "file-owner",
        purpose: "owners of files",
        wanted: FILES,
        structs: &[],
        rungs: &[
            Rung { hook: "lsm/path_chown", programs: &[("file_chown_lsm", Hook::Lsm("path_chown"))] },
            Rung {
                hook: "fentry/security_path_chown",
                programs: &[("file_chown_fentry", Hook::FEntry("security_path_chown"))],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[
                    ("file_syscall", Hook::SysExit(HANDLER_FILE, &[Operation::CHOWN])),
                    ("file_syscall_text", Hook::SysExit(HANDLER_FILE_TEXT, &[Operation::CHOWN])),
                    RING,
                ],
            },
        ],
    },
    Probe {
        name: "file-attribute",
        purpose: "extended attributes of files",
        wanted: FILES,
        structs: &[],
        rungs: &[
            Rung {
                hook: "lsm/inode_setxattr",
                programs: &[("file_setxattr_lsm", Hook::Lsm("inode_setxattr"))],
            },
            Rung {
                hook: "fentry/security_inode_setxattr",
                programs: &[("file_setxattr_fentry", Hook::FEntry("security_inode_setxattr"))],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[
                    ("file_syscall", Hook::SysExit(HANDLER_FILE, &[Operation::SETXATTR])),
                    ("file_syscall_text", Hook::SysExit(HANDLER_FILE_TEXT, &[Operation::SETXATTR])),
                    RING,
                ],
            },
        ],
    },
    Probe {
        name: "file-length",
        purpose: "files that are cut",
        wanted: FILES,
        structs: &[],
        rungs: &[
            Rung {
                hook: "lsm/{path_truncate,file_truncate}",
                programs: &[
                    ("file_truncate_lsm", Hook::Lsm("path_truncate")),
                    ("file_ftruncate_lsm", Hook::NewLsm("file_truncate")),
                ],
            },
            Rung {
                hook: "fentry/{security_path_truncate,security_file_truncate}",
                programs: &[
                    ("file_truncate_fentry", Hook::FEntry("security_path_truncate")),
                    ("file_ftruncate_fentry", Hook::NewFEntry("security_file_truncate")),
                ],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[
                    ("file_syscall", Hook::SysExit(HANDLER_FILE, &[Operation::TRUNCATE])),
                    ("file_syscall_text", Hook::SysExit(HANDLER_FILE_TEXT, &[Operation::TRUNCATE])),
                    RING,
                ],
            },
        ],
    },
    Probe {
        name: "file-map",
        purpose: "writable files that are mapped for execution",
        wanted: FILES,
        structs: &[],
        rungs: &[
            Rung { hook: "lsm/mmap_file", programs: &[("file_mmap_lsm", Hook::Lsm("mmap_file"))] },
            Rung {
                hook: "fentry/security_mmap_file",
                programs: &[("file_mmap_fentry", Hook::FEntry("security_mmap_file"))],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[
                    ("file_syscall", Hook::SysExit(HANDLER_FILE, &[Operation::MMAP_EXEC])),
                    ("file_syscall_text", Hook::SysExit(HANDLER_FILE_TEXT, &[Operation::MMAP_EXEC])),
                    RING,
                ],
            },
        ],
    },
];
