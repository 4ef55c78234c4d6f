//! Credential and capability records.

use agent_common as wire;
use agent_common::{CREDENTIALS_OLD_KNOWN, CapabilityRecord, CredentialsRecord};
use watchfire_model::{CapabilityEvent, CredentialSet, CredentialsEvent};

use super::DecodeError;
use super::wire::fixed;

pub(super) fn credentials(bytes: &[u8]) -> Result<CredentialsEvent, DecodeError> {
    let CredentialsRecord { head: _, old, new, user_ns, known } = fixed(bytes)?.0;
    let old = (known & CREDENTIALS_OLD_KNOWN != 0).then(|| set(old));
    Ok(CredentialsEvent { old, new: set(new), user_ns })
}

pub(super) fn capability(bytes: &[u8]) -> Result<CapabilityEvent, DecodeError> {
    let CapabilityRecord { head: _, capability, user_ns } = fixed(bytes)?.0;
    Ok(CapabilityEvent { capability, user_ns })
}

fn set(set: wire::CredentialSet) -> CredentialSet {
    let wire::CredentialSet {
        effective,
        permitted,
        inheritable,
        ambient,
        uid,
        gid,
        suid,
        sgid,
        euid,
        egid,
        fsuid,
        fsgid,
    } = set;
    CredentialSet {
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
    }
}
