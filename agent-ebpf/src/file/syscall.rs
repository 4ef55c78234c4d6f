//! The last rung: file operations as system calls that have ended.
//!
//! A descriptor that the call used or returned leads to the file itself. Otherwise the path is what the caller wrote,
//! read again after the call, with the folder that it starts from; links in it are not followed.

use agent_common::{FILTER_READ, FILTER_WRITE, HANDLER_FILE_TEXT, Kind, NO_ARGUMENT, Operation, Syscall};
use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use super::record::{Details, Source, Text, tell};
use super::{O_ACCMODE, O_TRUNC, OpenFile, PROT_EXEC, Starts, mapped, opened, touched};
use crate::account::{Count, count};
use crate::event::Outcome;
use crate::fd;
use crate::filter;
use crate::maps::{SCRATCH_BYTES, Scratch, scratch};
use crate::path::Location;
use crate::settings::load;
use crate::syscall::{Call, hand_over, handed_over};
use crate::task;

/// `AT_REMOVEDIR` of the UAPI.
const AT_REMOVEDIR: u32 = 0x200;
/// `O_CREAT` of the UAPI: one value on every architecture that Linux runs eBPF on, but alpha, parisc and sparc.
const O_CREAT: u32 = 0o100;

/// What creat(2) stands for: `O_WRONLY | O_CREAT | O_TRUNC`.
const CREAT_FLAGS: u32 = 1 | O_CREAT | O_TRUNC;

/// What the arguments say besides paths.
#[inline(always)]
fn details(call: &Call, entry: &Syscall) -> Details {
    let mut details = Details::new(entry.operation, Outcome::of(call));
    details.flags = call.argument_at(entry.flags) as u32;
    if entry.how == 1 {
        let mut flags = 0u64;
        // SAFETY: a bad address is an error, and leaves the zero.
        unsafe { bpf_probe_read_user((&raw mut flags).cast(), 8, call.argument_at(entry.flags) as *const _) };
        details.flags = flags as u32;
    }
    details.length = call.argument_at(entry.value);
    details.value = details.length as u32;
    details.group = call.argument_at(entry.group) as u32;
    if entry.operation == Operation::UNLINK && details.flags & AT_REMOVEDIR != 0 {
        details.operation = Operation::RMDIR;
    }
    if entry.name != NO_ARGUMENT {
        details.name = Text { at: call.argument_at(entry.name), in_kernel: false };
    }
    details
}

/// Calls with a descriptor of the file; the others go on to [`file_syscall_text`].
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn file_syscall(ctx: BtfTracePointContext) -> i32 {
    let Some((call, entry)) = handed_over(&ctx) else { return 0 };
    let task = task::current();
    let descriptor = if entry.operation == Operation::OPEN {
        call.result as i32
    } else if entry.file == NO_ARGUMENT {
        -1
    } else {
        call.argument_at(entry.file) as i32
    };
    if entry.operation == Operation::MMAP_EXEC {
        let protection = call.argument_at(entry.flags) as u32;
        // An address is no error, though its upper half may look like one.
        let failed = call.result < 0 && call.result > -4096;
        if protection & PROT_EXEC != 0 && descriptor >= 0 && !failed {
            let outcome = Outcome { result: 0, ..Outcome::of(&call) };
            let file = OpenFile::probed(fd::file(task, descriptor));
            mapped(&file, protection, Scratch::FileSyscall, outcome);
        }
        return 0;
    }
    if descriptor < 0 {
        hand_over(ctx.as_ptr(), HANDLER_FILE_TEXT);
        return 0;
    }
    let file = fd::file(task, descriptor);
    if file.is_null() {
        // Closed again by another thread: what was asked for is still known.
        hand_over(ctx.as_ptr(), HANDLER_FILE_TEXT);
        return 0;
    }
    let file = &mut OpenFile::probed(file);
    if entry.operation == Operation::OPEN {
        // The kernel forgets the flags that were for the opening only.
        file.flags |= if entry.flags == NO_ARGUMENT { CREAT_FLAGS } else { details(&call, entry).flags };
        opened(file, Scratch::FileSyscall, Outcome::of(&call));
    } else {
        touched(file, Scratch::FileSyscall, details(&call, entry), FILTER_WRITE);
    }
    0
}

/// Calls that name the file by a path.
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn file_syscall_text(ctx: BtfTracePointContext) -> i32 {
    let Some((call, entry)) = handed_over(&ctx) else { return 0 };
    count(Kind::FILE, Count::Seen);
    let details = details(&call, entry);
    let access =
        if entry.operation == Operation::OPEN { access_of_text(details.flags) } else { FILTER_WRITE };
    let folder = |folder: u8| if folder == NO_ARGUMENT { -100 } else { call.argument_at(folder) as i32 };
    let user = |argument| Text { at: call.argument_at(argument), in_kernel: false };
    let mut other = Text::NONE;
    if entry.other != NO_ARGUMENT {
        other = user(entry.other);
    }
    // The first string of symlink(2) is no path of a file, but what is written into the link.
    let is_link_text = entry.operation == Operation::SYMLINK;
    let paths = Paths {
        text: user(entry.path),
        folder: folder(entry.folder),
        other,
        other_folder: folder(entry.other_folder),
        other_is_path: !is_link_text,
    };
    named(&details, &paths, access, Scratch::FileSyscallText);
    0
}

/// What an open asks for that is known by its flags alone: one that may make the file counts as writing.
#[inline(always)]
pub(super) const fn access_of_text(flags: u32) -> u32 {
    if flags & (O_ACCMODE | O_TRUNC | O_CREAT) == 0 { FILTER_READ } else { FILTER_READ | FILTER_WRITE }
}

/// The paths of a call as its caller wrote them.
pub(super) struct Paths {
    pub(super) text: Text,
    pub(super) folder: i32,
    pub(super) other: Text,
    pub(super) other_folder: i32,
    pub(super) other_is_path: bool,
}

/// Tells of an operation on files that are known by texts only, where one of them is watched.
#[inline(always)]
pub(super) fn named(details: &Details, paths: &Paths, access: u32, which: Scratch) {
    let Some(buffer) = scratch(which) else { return count(Kind::FILE, Count::Filtered) };
    let task = task::current();
    let starts = Starts::of(task);
    let (base, mut wanted) = place(buffer, starts, paths.text, paths.folder, access, which);
    let mut other = Source::Resolved(Location::NONE);
    if paths.other.at != 0 {
        let mut other_base = Location::NONE;
        if paths.other_is_path {
            let (place_base, is_wanted) =
                place(buffer, starts, paths.other, paths.other_folder, access, which);
            other_base = place_base;
            wanted |= is_wanted;
        }
        other = Source::Text(paths.other, other_base);
    }
    if !wanted {
        return count(Kind::FILE, Count::Filtered);
    }
    tell(which, task, details, Source::Text(paths.text, base), other);
}

/// The folder that a text starts from, and whether what it leads to is watched.
#[inline(always)]
fn place(
    buffer: *mut u8,
    starts: Starts,
    text: Text,
    folder: i32,
    access: u32,
    which: Scratch,
) -> (Location, bool) {
    // The upper half is free until the record is put together.
    let room = buffer.wrapping_add(SCRATCH_BYTES / 2);
    let read = text.read(room);
    let absolute = read > 0 && load::<u8>(room, 0) == b'/';
    let base = starts.of_path(folder, absolute);
    let from = filter::place(which, base);
    // What cannot be read cannot have led to a file.
    let wanted = if read < 0 { from } else { filter::follow(which, from) };
    (base, wanted.tells(access))
}
