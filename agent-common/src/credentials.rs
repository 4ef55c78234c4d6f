//! Credential records.

use crate::EventHead;

/// [`CredentialsRecord::known`]: `old` is filled.
pub const CREDENTIALS_OLD_KNOWN: u32 = 1;

/// Users, groups and capability sets of a task (`struct cred`); a set has bit n for capability n.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct CredentialSet {
    /// Effective capabilities.
    pub effective: u64,
    /// Permitted capabilities.
    pub permitted: u64,
    /// Inheritable capabilities.
    pub inheritable: u64,
    /// Ambient capabilities.
    pub ambient: u64,
    /// Real user.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
    /// Saved user.
    pub suid: u32,
    /// Saved group.
    pub sgid: u32,
    /// Effective user.
    pub euid: u32,
    /// Effective group.
    pub egid: u32,
    /// User for file access.
    pub fsuid: u32,
    /// Group for file access.
    pub fsgid: u32,
}

/// A process changed its credentials, other than by exec.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CredentialsRecord {
    /// Who and how.
    pub head: EventHead,
    /// Before.
    pub old: CredentialSet,
    /// After.
    pub new: CredentialSet,
    /// User namespace after the change, inode number.
    pub user_ns: u32,
    /// `CREDENTIALS_*` flags.
    pub known: u32,
}

const _: () = assert!(size_of::<CredentialsRecord>() == 72 + 2 * 64 + 8);

/// A process was asked for a capability of the watched set. Told once for each process image and capability.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CapabilityRecord {
    /// Who; the result is 0 or a negated errno.
    pub head: EventHead,
    /// Number of the capability (include/uapi/linux/capability.h).
    pub capability: u32,
    /// User namespace in which it was needed, inode number.
    pub user_ns: u32,
}

const _: () = assert!(size_of::<CapabilityRecord>() == 80);
