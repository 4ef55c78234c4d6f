//! The last rung, beside system calls: file operations that are asked for through io_uring.
//!
//! The request is told when it is submitted, with the names that the kernel has already copied; its result is not
//! waited for.

use agent_common::{EVENT_IO_URING, FILTER_WRITE, Kind, Operation};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use super::record::{Details, Text};
use super::syscall::{Paths, access_of_text, named};
use super::{OpenFile, touched};
use crate::account::{Count, count};
use crate::event::Outcome;
use crate::fd;
use crate::maps::Scratch;
use crate::path::read;
use crate::settings::offset;
use crate::task;

/// Opcodes of include/uapi/linux/io_uring.h.
const OPENAT: u8 = 18;
const OPENAT2: u8 = 28;
const RENAMEAT: u8 = 35;
const UNLINKAT: u8 = 36;
const MKDIRAT: u8 = 37;
const SYMLINKAT: u8 = 38;
const LINKAT: u8 = 39;
const FSETXATTR: u8 = 41;
const SETXATTR: u8 = 42;
const FTRUNCATE: u8 = 55;
/// `AT_REMOVEDIR` of the UAPI.
const AT_REMOVEDIR: u32 = 0x200;
/// `AT_FDCWD` of the UAPI.
const AT_FDCWD: i32 = -100;

const SUBMITTED: Outcome = Outcome { flags: EVENT_IO_URING, result: 0 };

/// proto: `void io_uring_submit_req(struct io_kiocb *req)`
#[btf_tracepoint(function = "io_uring_submit_req")]
pub(crate) fn file_ring(ctx: BtfTracePointContext) -> i32 {
    let request: *const u8 = ctx.arg(0);
    let opcode: u8 = read(request, offset!(io_opcode));
    match opcode {
        FSETXATTR | FTRUNCATE => by_descriptor(request, opcode),
        OPENAT | OPENAT2 | RENAMEAT | UNLINKAT | MKDIRAT | SYMLINKAT | LINKAT | SETXATTR => {
            by_name(request, opcode);
        }
        _ => {}
    }
    0
}

/// A `struct filename` that the request points to, as a text.
#[inline(always)]
fn text(request: *const u8, offset: usize) -> Text {
    let name: *const u8 = read(request, offset);
    Text { at: read(name, offset!(filename_text)), in_kernel: true }
}

#[inline(always)]
fn by_descriptor(request: *const u8, opcode: u8) {
    let file = fd::file(task::current(), read(request, offset!(io_fd)));
    if file.is_null() {
        // One of the ring's own table of files.
        return;
    }
    let mut details = Details::new(Operation::TRUNCATE, SUBMITTED);
    if opcode == FSETXATTR {
        details.operation = Operation::SETXATTR;
        details.name = Text { at: read(request, offset!(io_xattr_key)), in_kernel: true };
    } else {
        details.length = read(request, offset!(io_truncate_length));
    }
    touched(&OpenFile::probed(file), Scratch::FileRing, details, FILTER_WRITE);
}

#[inline(always)]
fn by_name(request: *const u8, opcode: u8) {
    count(Kind::FILE, Count::Seen);
    let mut details = Details::new(Operation::OPEN, SUBMITTED);
    let mut paths = Paths {
        text: Text::NONE,
        folder: AT_FDCWD,
        other: Text::NONE,
        other_folder: AT_FDCWD,
        other_is_path: true,
    };
    let mut access = FILTER_WRITE;
    match opcode {
        OPENAT | OPENAT2 => {
            details.flags = read::<u64>(request, offset!(io_open_flags)) as u32;
            (paths.text, paths.folder) =
                (text(request, offset!(io_open_name)), read(request, offset!(io_open_folder)));
            access = access_of_text(details.flags);
        }
        UNLINKAT => {
            let flags: u32 = read(request, offset!(io_unlink_flags));
            details.operation = if flags & AT_REMOVEDIR == 0 { Operation::UNLINK } else { Operation::RMDIR };
            (paths.text, paths.folder) =
                (text(request, offset!(io_unlink_name)), read(request, offset!(io_unlink_folder)));
        }
        RENAMEAT => {
            details.operation = Operation::RENAME;
            details.flags = read(request, offset!(io_rename_flags));
            (paths.text, paths.folder) =
                (text(request, offset!(io_rename_name)), read(request, offset!(io_rename_folder)));
            (paths.other, paths.other_folder) =
                (text(request, offset!(io_rename_new_name)), read(request, offset!(io_rename_new_folder)));
        }
        LINKAT => {
            details.operation = Operation::LINK;
            (paths.text, paths.folder) =
                (text(request, offset!(io_link_name)), read(request, offset!(io_link_folder)));
            (paths.other, paths.other_folder) =
                (text(request, offset!(io_link_new_name)), read(request, offset!(io_link_new_folder)));
        }
        SYMLINKAT => {
            // What is written into the link comes first, as in the system call.
            details.operation = Operation::SYMLINK;
            (paths.text, paths.folder) =
                (text(request, offset!(io_link_new_name)), read(request, offset!(io_link_new_folder)));
            paths.other = text(request, offset!(io_link_name));
            paths.other_is_path = false;
        }
        MKDIRAT => {
            details.operation = Operation::MKDIR;
            details.value = u32::from(read::<u16>(request, offset!(io_mkdir_mode)));
            (paths.text, paths.folder) =
                (text(request, offset!(io_mkdir_name)), read(request, offset!(io_mkdir_folder)));
        }
        _ => {
            details.operation = Operation::SETXATTR;
            details.name = Text { at: read(request, offset!(io_xattr_key)), in_kernel: true };
            paths.text = text(request, offset!(io_xattr_name));
        }
    }
    named(&details, &paths, access, Scratch::FileRing);
}
