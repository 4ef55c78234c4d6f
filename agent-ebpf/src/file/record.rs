//! Putting a file record together.

use agent_common::{
    EVENT_TRUNCATED, EVENT_UNREADABLE, FILE_BY_INODE, FILE_LENGTH_UNKNOWN, FILE_OTHER_TEXT,
    FILE_PATH_IN_FILESYSTEM, FILE_PATH_TEXT, FileRecord, Kind, Operation, TEXT_BYTES_MAX,
};
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user_str};

use crate::account::{Count, lose};
use crate::event::{Outcome, write_head};
use crate::limit;
use crate::maps::{SCRATCH_BYTES, Scratch, scratch};
use crate::path::{self, Location, bounded, read};
use crate::ring::output;
use crate::settings::offset;
use crate::task::{self, Task};

/// Most bytes of one list of components: two of them and two texts fit into the lower half of the scratch buffer.
const COMPONENTS_BYTES_MAX: usize = 1400;

/// What is told besides the paths.
#[derive(Clone, Copy)]
pub(super) struct Details {
    pub(super) operation: Operation,
    pub(super) outcome: Outcome,
    pub(super) inode: u64,
    pub(super) length: u64,
    pub(super) device: u32,
    pub(super) mode: u32,
    pub(super) flags: u32,
    pub(super) value: u32,
    pub(super) group: u32,
    pub(super) by_inode: bool,
    /// The mount is not known.
    pub(super) in_filesystem: bool,
    /// Name of an extended attribute.
    pub(super) name: Text,
}

impl Details {
    #[inline(always)]
    pub(super) const fn new(operation: Operation, outcome: Outcome) -> Self {
        Self {
            operation,
            outcome,
            inode: 0,
            length: FILE_LENGTH_UNKNOWN,
            device: 0,
            mode: 0,
            flags: 0,
            value: 0,
            group: 0,
            by_inode: false,
            in_filesystem: false,
            name: Text::NONE,
        }
    }

    /// Fills in what the inode says, if there is one.
    #[inline(always)]
    pub(super) fn take_inode(&mut self, inode: *const u8) {
        if inode.is_null() {
            return;
        }
        let superblock: *const u8 = read(inode, offset!(inode_sb));
        self.inode = read(inode, offset!(inode_number));
        self.mode = u32::from(read::<u16>(inode, offset!(inode_mode)));
        self.device = read(superblock, offset!(sb_device));
    }
}

/// A string in the caller's or in the kernel's memory.
#[derive(Clone, Copy)]
pub(super) struct Text {
    pub(super) at: u64,
    pub(super) in_kernel: bool,
}

impl Text {
    pub(super) const NONE: Self = Self { at: 0, in_kernel: true };

    /// Reads it to a place with room for [`TEXT_BYTES_MAX`]; the number of bytes read with the closing NUL, or an error.
    #[inline(always)]
    pub(super) fn read(self, into: *mut u8) -> i64 {
        let size = TEXT_BYTES_MAX as u32;
        // SAFETY: the caller's room; a bad address is an error.
        unsafe {
            if self.in_kernel {
                bpf_probe_read_kernel_str(into.cast(), size, self.at as *const _)
            } else {
                bpf_probe_read_user_str(into.cast(), size, self.at as *const _)
            }
        }
    }
}

/// Where a path comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// From a place in the tree of mounts.
    Resolved(Location),
    /// From a text, relative to a place.
    Text(Text, Location),
}

/// Makes the record of what passed the filter, unless its cgroup has told too much already.
#[inline(always)]
pub(super) fn tell(which: Scratch, task: Task, details: &Details, path: Source, other: Source) {
    let cgroup_id = task::cgroup_id(task);
    if !limit::admits(Kind::FILE, task, cgroup_id) {
        return;
    }
    let Some(buffer) = scratch(which) else { return lose(Kind::FILE, cgroup_id, Count::Dropped) };
    let mut outcome = details.outcome;
    let at_path = size_of::<FileRecord>();
    let (at_base, at_other) = append(which, buffer, at_path, path, &mut outcome);
    let (at_other_base, at_name) = append(which, buffer, at_other, other, &mut outcome);
    let end =
        if details.name.at == 0 { at_name } else { append_text(buffer, at_name, details.name, &mut outcome) };
    let flag = |set, flag| if set { flag } else { 0 };
    let record = buffer.cast::<FileRecord>();
    // SAFETY: the scratch buffer is larger than a FileRecord.
    unsafe {
        let head = &raw mut (*record).head;
        write_head(head, Kind::FILE, details.operation, outcome, end as u32, task, cgroup_id);
        (*record).inode = details.inode;
        (*record).length = details.length;
        (*record).device = details.device;
        (*record).mode = details.mode;
        (*record).flags = details.flags;
        (*record).value = details.value;
        (*record).group = details.group;
        (*record).path_flags = flag(matches!(path, Source::Text(..)), FILE_PATH_TEXT)
            | flag(matches!(other, Source::Text(..)), FILE_OTHER_TEXT)
            | flag(details.by_inode, FILE_BY_INODE)
            | flag(details.in_filesystem, FILE_PATH_IN_FILESYSTEM);
        (*record).path_bytes = (at_base - at_path) as u16;
        (*record).base_bytes = (at_other - at_base) as u16;
        (*record).other_bytes = (at_other_base - at_other) as u16;
        (*record).other_base_bytes = (at_name - at_other_base) as u16;
        (*record).name_bytes = (end - at_name) as u16;
    }
    output(Kind::FILE, cgroup_id, buffer, bounded::<SCRATCH_BYTES>(end) as u64);
}

/// Appends a path, then its base; answers where the base begins and where it ends.
#[inline(always)]
fn append(
    which: Scratch,
    buffer: *mut u8,
    at: usize,
    source: Source,
    outcome: &mut Outcome,
) -> (usize, usize) {
    let components = |at, location: Location| {
        if location.dentry.is_null() {
            return at;
        }
        path::append_to(which, at, location, COMPONENTS_BYTES_MAX)
    };
    match source {
        Source::Resolved(location) => {
            let end = components(at, location);
            (end, end)
        }
        Source::Text(text, base) => {
            let at_base = append_text(buffer, at, text, outcome);
            (at_base, components(at_base, base))
        }
    }
}

/// Appends a text without its closing NUL, and notes what was wrong with it.
#[inline(always)]
fn append_text(buffer: *mut u8, at: usize, text: Text, outcome: &mut Outcome) -> usize {
    let at = bounded::<SCRATCH_BYTES>(at);
    let written = text.read(buffer.wrapping_add(at));
    if written < 0 {
        outcome.flags |= EVENT_UNREADABLE;
        return at;
    }
    if written as usize >= TEXT_BYTES_MAX {
        outcome.flags |= EVENT_TRUNCATED;
    }
    bounded::<SCRATCH_BYTES>(at + written as usize - usize::from(written > 0))
}
