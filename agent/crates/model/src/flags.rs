//! Names of the bits in a number.

use std::borrow::Cow;

/// Bits with their names.
pub(crate) type FlagTable = [(u64, &'static str)];

/// The names of the bits that are set; those without a name together as one hexadecimal number.
pub(crate) fn flag_names(table: &FlagTable, value: u64) -> Vec<Cow<'static, str>> {
    let mut names = Vec::new();
    let mut rest = value;
    for &(bit, name) in table {
        if value & bit != 0 {
            names.push(Cow::Borrowed(name));
            rest &= !bit;
        }
    }
    if rest != 0 {
        names.push(Cow::Owned(format!("{rest:#x}")));
    }
    names
}

/// `CLONE_*` of include/uapi/linux/sched.h, for clone(2), unshare(2) and setns(2).
pub(crate) const CLONE_FLAGS: &FlagTable = &[
    (0x80, "CLONE_NEWTIME"),
    (0x100, "CLONE_VM"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x800, "CLONE_SIGHAND"),
    (0x1000, "CLONE_PIDFD"),
    (0x2000, "CLONE_PTRACE"),
    (0x4000, "CLONE_VFORK"),
    (0x8000, "CLONE_PARENT"),
    (0x1_0000, "CLONE_THREAD"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x8_0000, "CLONE_SETTLS"),
    (0x10_0000, "CLONE_PARENT_SETTID"),
    (0x20_0000, "CLONE_CHILD_CLEARTID"),
    (0x40_0000, "CLONE_DETACHED"),
    (0x80_0000, "CLONE_UNTRACED"),
    (0x100_0000, "CLONE_CHILD_SETTID"),
    (0x200_0000, "CLONE_NEWCGROUP"),
    (0x400_0000, "CLONE_NEWUTS"),
    (0x800_0000, "CLONE_NEWIPC"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x8000_0000, "CLONE_IO"),
    (0x1_0000_0000, "CLONE_CLEAR_SIGHAND"),
    (0x2_0000_0000, "CLONE_INTO_CGROUP"),
];

/// The exit signal that clone(2) carries in the low byte of its flags; its top bit is `CLONE_NEWTIME` elsewhere.
const EXIT_SIGNAL_BITS: u64 = 0x7f;

/// Names of the flags that a process was forked with.
#[must_use]
pub fn clone_flag_names(flags: u64) -> Vec<Cow<'static, str>> {
    flag_names(CLONE_FLAGS, flags & !EXIT_SIGNAL_BITS)
}

/// `PROT_*` of mmap(2) and mprotect(2) as records name them.
const PROTECTION: &FlagTable = &[(1, "read"), (2, "write"), (4, "exec")];

pub(crate) fn protection_names(protection: u32) -> Vec<Cow<'static, str>> {
    flag_names(PROTECTION, protection.into())
}

const O_ACCMODE: u32 = 0o3;
const O_PATH: u32 = 0o1000_0000;

/// Flags of open(2) as records name them (include/uapi/asm-generic/fcntl.h); those that say nothing of access are left
/// out. With `O_PATH` the file is named and not accessed.
pub(crate) fn access_names(flags: u32) -> Vec<&'static str> {
    if flags & O_PATH != 0 {
        return vec!["path"];
    }
    let mode = match flags & O_ACCMODE {
        0 => &["read"][..],
        1 => &["write"],
        2 => &["read", "write"],
        _ => &[],
    };
    let others = [(0o100, "create"), (0o200, "exclusive"), (0o1000, "truncate"), (0o2000, "append")];
    let others = others.into_iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| name);
    mode.iter().copied().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bits_have_names_and_others_stay_numbers() {
        assert_eq!(clone_flag_names(0x1000_0000 | 0x2_0000 | 17), ["CLONE_NEWNS", "CLONE_NEWUSER"]);
        assert_eq!(clone_flag_names(1 << 40), ["0x10000000000"]);
        assert_eq!(protection_names(7), ["read", "write", "exec"]);
        assert!(clone_flag_names(0).is_empty());
    }

    #[test]
    fn open_flags() {
        for (flags, expected) in [
            (0, &["read"][..]),
            (0o1101, &["write", "create", "truncate"]),
            (0o2002, &["read", "write", "append"]),
            (0o1000_0002, &["path"]),
            (0o303, &["create", "exclusive"]),
        ] {
            assert_eq!(access_names(flags), expected, "{flags:o}");
        }
    }
}
