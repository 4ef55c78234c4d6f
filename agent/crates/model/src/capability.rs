//! Capabilities: their names, and the use of one.

use std::borrow::Cow;

use serde::Serialize;

/// Names by number (include/uapi/linux/capability.h).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Bits of every capability with a name.
const ALL: u64 = (1 << NAMES.len()) - 1;

/// The name of a capability; a newer one is named by its number, `CAP_41`.
#[must_use]
pub fn capability_name(number: u32) -> Cow<'static, str> {
    match NAMES.get(number as usize) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("CAP_{number}")),
    }
}

/// The number of the capability with that name.
#[must_use]
pub fn capability_number(name: &str) -> Option<u32> {
    NAMES.iter().position(|known| *known == name).map(|number| number as u32)
}

/// The names of a set, bit n for capability n; `ALL` for every one that has a name.
#[must_use]
pub fn capability_names(set: u64) -> Vec<Cow<'static, str>> {
    if set & ALL == ALL {
        return vec![Cow::Borrowed("ALL")];
    }
    (0..u64::BITS).filter(|number| set & (1 << number) != 0).map(capability_name).collect()
}

/// A process was asked for a capability of the watched set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CapabilityEvent {
    /// Number of the capability.
    pub capability: u32,
    /// User namespace in which it was needed, inode number.
    pub user_ns: u32,
}

/// The use of a capability as records show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CapabilityView {
    /// Name.
    pub capability: Cow<'static, str>,
    /// User namespace in which it was needed, inode number.
    pub user_ns: u32,
}

impl From<CapabilityEvent> for CapabilityView {
    fn from(event: CapabilityEvent) -> Self {
        let CapabilityEvent { capability, user_ns } = event;
        Self { capability: capability_name(capability), user_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for (number, name) in [(0, "CAP_CHOWN"), (21, "CAP_SYS_ADMIN"), (40, "CAP_CHECKPOINT_RESTORE")] {
            assert_eq!(capability_name(number), name);
            assert_eq!(capability_number(name), Some(number));
        }
        assert_eq!(capability_name(41), "CAP_41");
        assert_eq!(capability_number("CAP_NONE"), None);
    }

    #[test]
    fn sets_are_lists_of_names() {
        assert_eq!(capability_names(1 << 21 | 1), ["CAP_CHOWN", "CAP_SYS_ADMIN"]);
        assert_eq!(capability_names(ALL), ["ALL"]);
        assert_eq!(capability_names(u64::MAX), ["ALL"]);
        assert_eq!(capability_names(ALL >> 1).len(), 40);
        assert!(capability_names(0).is_empty());
    }
}
