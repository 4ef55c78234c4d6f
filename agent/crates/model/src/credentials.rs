//! Changes of users, groups and capability sets, other than by exec.

use std::borrow::Cow;

use serde::Serialize;

use crate::capability_names;

/// Users, groups and capability sets of a process; a set has bit n for capability n.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[expect(missing_docs, reason = "named as struct cred of the kernel names them")]
pub struct CredentialSet {
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
    pub suid: u32,
    pub sgid: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

/// A process changed its credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CredentialsEvent {
    /// Before, where known.
    pub old: Option<CredentialSet>,
    /// After.
    pub new: CredentialSet,
    /// User namespace after the change, inode number.
    pub user_ns: u32,
}

/// A change of credentials as records show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CredentialsView {
    /// Before, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<CredentialSetView>,
    /// After.
    pub new: CredentialSetView,
    /// Capabilities that are permitted now and were not before, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gained: Option<Vec<Cow<'static, str>>>,
    /// User namespace after the change, inode number.
    pub user_ns: u32,
}

/// Credentials with their capabilities by name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[expect(missing_docs, reason = "as in CredentialSet")]
pub struct CredentialSetView {
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
    pub suid: u32,
    pub sgid: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    pub effective: Vec<Cow<'static, str>>,
    pub permitted: Vec<Cow<'static, str>>,
    pub inheritable: Vec<Cow<'static, str>>,
    pub ambient: Vec<Cow<'static, str>>,
}

impl From<CredentialsEvent> for CredentialsView {
    fn from(event: CredentialsEvent) -> Self {
        let CredentialsEvent { old, new, user_ns } = event;
        Self {
            old: old.map(CredentialSetView::from),
            new: new.into(),
            gained: old.map(|old| capability_names(new.permitted & !old.permitted)),
            user_ns,
        }
    }
}

impl From<CredentialSet> for CredentialSetView {
    fn from(set: CredentialSet) -> Self {
        let CredentialSet {
            uid,
            gid,
            euid,
            egid,
            suid,
            sgid,
            fsuid,
            fsgid,
            effective,
            permitted,
            inheritable,
            ambient,
        } = set;
        Self {
            uid,
            gid,
            euid,
            egid,
            suid,
            sgid,
            fsuid,
            fsgid,
            effective: capability_names(effective),
            permitted: capability_names(permitted),
            inheritable: capability_names(inheritable),
            ambient: capability_names(ambient),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_gained_is_told_where_the_old_set_is_known() {
        let old = CredentialSet { permitted: 1, ..CredentialSet::default() };
        let new = CredentialSet { permitted: 1 | 1 << 21, ..old };
        let view = CredentialsView::from(CredentialsEvent { old: Some(old), new, user_ns: 1 });
        assert_eq!(view.gained.unwrap(), ["CAP_SYS_ADMIN"]);
        let view = CredentialsView::from(CredentialsEvent { old: None, new, user_ns: 1 });
        assert_eq!((view.old, view.gained), (None, None));
    }
}
