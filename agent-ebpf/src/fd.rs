//! File descriptors of the current process.

use crate::path::read;
use crate::settings::{field, offset};
use crate::task::Task;

/// The descriptors of a task.
#[inline(always)]
pub(crate) fn files(task: Task) -> *const u8 {
    field!(task, task_files as *const u8)
}

/// The `struct file` of a descriptor; null where there is none.
#[inline(always)]
pub(crate) fn file(task: Task, fd: i32) -> *const u8 {
    file_of(files(task), fd)
}

/// The same, of descriptors.
#[inline(always)]
pub(crate) fn file_of(files: *const u8, fd: i32) -> *const u8 {
    if files.is_null() || fd < 0 {
        return core::ptr::null();
    }
    let table = field!(files, files_fdt as *const u8);
    if fd as u32 >= field!(table, fdt_max as u32) {
        return core::ptr::null();
    }
    let slots: *const u8 = read(table, offset!(fdt_fd));
    read(slots, fd as usize * size_of::<*const u8>())
}
