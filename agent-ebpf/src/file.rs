//! Files: who opens, changes, moves and removes what is watched.

mod record;
mod ring;
mod security;
mod syscall;

use agent_common::{FILTER_READ, FILTER_WRITE, Kind, Operation};

use crate::account::{Count, count};
use crate::event::Outcome;
use crate::fd;
use crate::filter;
use crate::maps::Scratch;
use crate::memory;
use crate::path::{Location, read};
use crate::settings::{WITH_FILES, WITH_MEMORY, field, offset};
use crate::task::{self, Task};

use record::{Details, Source, Text, tell};

/// Flags of open(2), of the UAPI; those that differ between architectures do not matter here.
const O_ACCMODE: u32 = 3;
const O_TRUNC: u32 = 0o1000;
/// `FMODE_CREATED` of include/linux/fs.h: this open made the file.
const FMODE_CREATED: u32 = 0x10_0000;
/// `FMODE_WRITE` of include/linux/fs.h.
const FMODE_WRITE: u32 = 2;
/// `PROT_EXEC` of the UAPI.
const PROT_EXEC: u32 = 4;

/// What an open asks for, in the terms of the filter.
#[inline(always)]
const fn access_of(flags: u32, mode: u32) -> u32 {
    match flags & O_ACCMODE {
        0 if flags & O_TRUNC == 0 && mode & FMODE_CREATED == 0 => FILTER_READ,
        1 => FILTER_WRITE,
        _ => FILTER_READ | FILTER_WRITE,
    }
}

/// What is needed of a `struct file`.
struct OpenFile {
    flags: u32,
    mode: u32,
    at: Location,
    file: *const u8,
}

impl OpenFile {
    /// Of a pointer whose type the verifier knows.
    #[inline(always)]
    fn typed(file: *const u8) -> Self {
        Self {
            flags: field!(file, file_flags as u32),
            mode: field!(file, file_mode as u32),
            at: Location::of_path(file.wrapping_add(offset!(file_path))),
            file,
        }
    }

    /// Of any pointer.
    #[inline(always)]
    fn probed(file: *const u8) -> Self {
        Self {
            flags: read(file, offset!(file_flags)),
            mode: read(file, offset!(file_mode)),
            at: Location::of_path(file.wrapping_add(offset!(file_path))),
            file,
        }
    }

    /// Its inode, which is read when something asks for it: most files are not told of.
    #[inline(always)]
    fn inode(&self) -> *const u8 {
        read(self.file, offset!(file_inode))
    }
}

/// A file was opened, or is about to be.
#[inline(always)]
fn opened(file: &OpenFile, which: Scratch, outcome: Outcome) {
    if WITH_MEMORY.load() == 1 && file.mode & FMODE_WRITE != 0 {
        memory::opened(file.inode(), file.at, file.flags, outcome);
    }
    let details = Details { flags: file.flags, ..Details::new(Operation::OPEN, outcome) };
    touched(file, which, details, access_of(file.flags, file.mode));
}

/// Something was done to an open file: told where the file is watched for `access`.
#[inline(always)]
fn touched(file: &OpenFile, which: Scratch, details: Details, access: u32) {
    resolved(|| file.inode(), file.at, Location::NONE, which, details, access);
}

/// Something is done to a file whose place is known, with a second place for renames and links.
#[inline(always)]
fn resolved(
    inode: impl Fn() -> *const u8,
    at: Location,
    other: Location,
    which: Scratch,
    details: Details,
    access: u32,
) {
    if WITH_FILES.load() == 0 {
        return;
    }
    count(Kind::FILE, Count::Seen);
    let mut details = details;
    let watches_inodes = filter::watches_inodes();
    if watches_inodes {
        details.take_inode(inode());
    }
    if details.inode != 0 && filter::is_watched_inode(details.inode, details.device) {
        details.by_inode = true;
    } else {
        let mut wanted = filter::place(which, at).tells(access);
        if !wanted && !other.dentry.is_null() {
            wanted = filter::place(which, other).tells(access);
        }
        if !wanted {
            return count(Kind::FILE, Count::Filtered);
        }
    }
    // Most files are not told of, and theirs is not read.
    if !watches_inodes {
        details.take_inode(inode());
    }
    tell(which, task::current(), &details, Source::Resolved(at), Source::Resolved(other));
}

/// A symbolic link is made at a place: its target is a text and no path of a file.
#[inline(always)]
fn linked(at: Location, target: Text) {
    count(Kind::FILE, Count::Seen);
    let details = Details::new(Operation::SYMLINK, Outcome::UNKNOWN);
    if filter::place(Scratch::FileSymlink, at).tells(FILTER_WRITE) {
        let target = Source::Text(target, Location::NONE);
        tell(Scratch::FileSymlink, task::current(), &details, Source::Resolved(at), target);
    } else {
        count(Kind::FILE, Count::Filtered);
    }
}

/// A file was mapped: told where that makes it executable while it can be written to.
#[inline(always)]
fn mapped(file: &OpenFile, protection: u32, which: Scratch, outcome: Outcome) {
    let details = Details { flags: protection, ..Details::new(Operation::MMAP_EXEC, outcome) };
    if protection & PROT_EXEC == 0 || file.mode & FMODE_WRITE == 0 {
        return;
    }
    if WITH_FILES.load() == 0 {
        return;
    }
    count(Kind::FILE, Count::Seen);
    let mut details = details;
    details.take_inode(file.inode());
    tell(which, task::current(), &details, Source::Resolved(file.at), Source::Resolved(Location::NONE));
}

/// Where the paths of a process start.
#[derive(Clone, Copy)]
pub(crate) struct Starts {
    fs: *const u8,
    files: *const u8,
}

impl Starts {
    /// Read before anything branches: the verifier pays for it once ([`task::write_header`]).
    #[inline(always)]
    pub(crate) fn of(task: Task) -> Self {
        Self { fs: field!(task, task_fs as *const u8), files: fd::files(task) }
    }

    /// The folder that a relative path starts from, or the root of the process.
    #[inline(always)]
    pub(crate) fn of_path(self, folder: i32, absolute: bool) -> Location {
        /// `AT_FDCWD` of the UAPI.
        const AT_FDCWD: i32 = -100;
        if absolute {
            Location::of_path(self.fs.wrapping_add(offset!(fs_root)))
        } else if folder == AT_FDCWD {
            Location::of_path(self.fs.wrapping_add(offset!(fs_pwd)))
        } else {
            let file = fd::file_of(self.files, folder);
            Location::of_path(file.wrapping_add(offset!(file_path)))
        }
    }
}
