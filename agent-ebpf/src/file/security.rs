//! The first rungs: the security hooks, which see an operation however it was asked for, and before its end.
//!
//! A function has its program's name, with the rung at its end.

use agent_common::{FILTER_WRITE, Operation};
use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{fentry, lsm};
use aya_ebpf::programs::{FEntryContext, LsmContext};

use super::record::{Details, Text};
use super::{OpenFile, mapped, opened, resolved, touched};
use crate::event::Outcome;
use crate::hooks::hooks;
use crate::maps::Scratch;
use crate::path::{Location, read};
use crate::settings::{SETXATTR_DENTRY, offset};

/// An argument as a mere number: one whose type the verifier knows may not be handed to a global function.
#[inline(always)]
fn number(ctx: &impl EbpfContext, position: usize) -> *const u8 {
    read(ctx.as_ptr().cast(), position * size_of::<u64>())
}

/// A name in the folder that a hook gives as `struct path`.
#[inline(always)]
fn in_folder(folder: *const u8, dentry: *const u8) -> Location {
    Location { dentry, vfsmount: read(folder, offset!(path_mnt)) }
}

/// The inode behind a name; null where there is none yet.
#[inline(always)]
fn inode(dentry: *const u8) -> *const u8 {
    read(dentry, offset!(dentry_inode))
}

const fn change(operation: Operation) -> Details {
    Details::new(operation, Outcome::UNKNOWN)
}

hooks! {
    file_open_lsm file_open_fentry ("file_open", "security_file_open") |ctx, 1| {
        opened(&OpenFile::typed(ctx.arg(0)), Scratch::FileOpen, Outcome::UNKNOWN);
    }
    file_unlink_lsm file_unlink_fentry ("path_unlink", "security_path_unlink") |ctx, 2| {
        let dentry = number(&ctx, 1);
        let at = in_folder(ctx.arg(0), dentry);
        resolved(|| inode(dentry), at, Location::NONE, Scratch::FileUnlink, change(Operation::UNLINK), FILTER_WRITE);
    }
    file_rmdir_lsm file_rmdir_fentry ("path_rmdir", "security_path_rmdir") |ctx, 2| {
        let dentry = number(&ctx, 1);
        let at = in_folder(ctx.arg(0), dentry);
        resolved(|| inode(dentry), at, Location::NONE, Scratch::FileRmdir, change(Operation::RMDIR), FILTER_WRITE);
    }
    file_mkdir_lsm file_mkdir_fentry ("path_mkdir", "security_path_mkdir") |ctx, 3| {
        let at = in_folder(ctx.arg(0), number(&ctx, 1));
        let details = Details { value: u32::from(ctx.arg::<u64>(2) as u16), ..change(Operation::MKDIR) };
        resolved(core::ptr::null, at, Location::NONE, Scratch::FileMkdir, details, FILTER_WRITE);
    }
    file_rename_lsm file_rename_fentry ("path_rename", "security_path_rename") |ctx, 5| {
        let dentry = number(&ctx, 1);
        let (at, other) = (in_folder(ctx.arg(0), dentry), in_folder(ctx.arg(2), number(&ctx, 3)));
        let details = Details { flags: ctx.arg::<u64>(4) as u32, ..change(Operation::RENAME) };
        resolved(|| inode(dentry), at, other, Scratch::FileRename, details, FILTER_WRITE);
    }
    file_link_lsm file_link_fentry ("path_link", "security_path_link") |ctx, 3| {
        let dentry = number(&ctx, 0);
        let folder = ctx.arg(1);
        // A link cannot leave its filesystem, and the kernel asks for both names to be in one mount.
        let (at, other) = (in_folder(folder, dentry), in_folder(folder, number(&ctx, 2)));
        resolved(|| inode(dentry), at, other, Scratch::FileLink, change(Operation::LINK), FILTER_WRITE);
    }
    file_symlink_lsm file_symlink_fentry ("path_symlink", "security_path_symlink") |ctx, 3| {
        let at = in_folder(ctx.arg(0), number(&ctx, 1));
        let target = Text { at: ctx.arg::<u64>(2), in_kernel: true };
        super::linked(at, target);
    }
    file_chmod_lsm file_chmod_fentry ("path_chmod", "security_path_chmod") |ctx, 2| {
        let path: *const u8 = ctx.arg(0);
        let at = Location::of_path(path);
        let details = Details { value: u32::from(ctx.arg::<u64>(1) as u16), ..change(Operation::CHMOD) };
        resolved(|| inode(at.dentry), at, Location::NONE, Scratch::FileChmod, details, FILTER_WRITE);
    }
    file_chown_lsm file_chown_fentry ("path_chown", "security_path_chown") |ctx, 3| {
        let path: *const u8 = ctx.arg(0);
        let at = Location::of_path(path);
        let details = Details {
            value: ctx.arg::<u64>(1) as u32,
            group: ctx.arg::<u64>(2) as u32,
            ..change(Operation::CHOWN)
        };
        resolved(|| inode(at.dentry), at, Location::NONE, Scratch::FileChown, details, FILTER_WRITE);
    }
    file_truncate_lsm file_truncate_fentry ("path_truncate", "security_path_truncate") |ctx, 1| {
        let path: *const u8 = ctx.arg(0);
        let at = Location::of_path(path);
        let details = change(Operation::TRUNCATE);
        resolved(|| inode(at.dentry), at, Location::NONE, Scratch::FileTruncate, details, FILTER_WRITE);
    }
    file_ftruncate_lsm file_ftruncate_fentry ("file_truncate", "security_file_truncate") |ctx, 1| {
        touched(&OpenFile::typed(ctx.arg(0)), Scratch::FileTruncateOpen, change(Operation::TRUNCATE), FILTER_WRITE);
    }
}

/// proto: `int mmap_file(struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)`
#[lsm(hook = "mmap_file")]
pub(crate) fn file_mmap_lsm(ctx: LsmContext) -> i32 {
    let file: *const u8 = ctx.arg(0);
    if !file.is_null() {
        mapped(&OpenFile::typed(file), ctx.arg::<u64>(2) as u32, Scratch::FileMmap, Outcome::UNKNOWN);
    }
    ctx.arg::<i32>(4)
}

/// proto: `int security_mmap_file(struct file *file, unsigned long prot, unsigned long flags)`
#[fentry(function = "security_mmap_file")]
pub(crate) fn file_mmap_fentry(ctx: FEntryContext) -> i32 {
    let file: *const u8 = ctx.arg(0);
    if !file.is_null() {
        mapped(&OpenFile::typed(file), ctx.arg::<u64>(1) as u32, Scratch::FileMmap, Outcome::UNKNOWN);
    }
    0
}

/// proto: `int inode_setxattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name, const void *value,
/// size_t size, int flags)`; before 5.12 without `idmap`, and so without the last argument here, for which the kernel
/// then refuses the program
#[lsm(hook = "inode_setxattr")]
pub(crate) fn file_setxattr_lsm(ctx: LsmContext) -> i32 {
    attribute(number(&ctx, 1), number(&ctx, 2) as u64);
    ctx.arg::<i32>(6)
}

/// As [`file_setxattr_lsm`], of every kernel.
#[fentry(function = "security_inode_setxattr")]
pub(crate) fn file_setxattr_fentry(ctx: FEntryContext) -> i32 {
    let dentry = SETXATTR_DENTRY.load() as usize;
    attribute(number(&ctx, dentry), number(&ctx, dentry + 1) as u64);
    0
}

/// The hook has no mount: the path begins at the root of the filesystem.
#[inline(always)]
fn attribute(dentry: *const u8, name: u64) {
    let at = Location { dentry, vfsmount: core::ptr::null() };
    let mut details = change(Operation::SETXATTR);
    details.in_filesystem = true;
    details.name = Text { at: name, in_kernel: true };
    resolved(|| inode(dentry), at, Location::NONE, Scratch::FileSetxattr, details, FILTER_WRITE);
}
