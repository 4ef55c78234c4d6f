//! Reading fixed parts and the strings that follow them.

use agent_common::{
    CapabilityRecord, CgroupRecord, CredentialsRecord, DatagramRecord, DropRecord, EventHead, ExecRecord,
    ExitRecord, FileRecord, ForkRecord, Header, KernelRecord, MemoryRecord, NamespaceRecord, PayloadRecord,
    SignalRecord, SocketRecord, StdioRecord, TcpRecord,
};

use super::DecodeError;

/// Types whose every bit pattern is valid, so that they can be read from any bytes.
///
/// # Safety
/// `repr(C)`, integers only, no padding.
pub(super) unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($name:ty),+ $(,)?) => {$(
        // SAFETY: integers only; each type's size assertion leaves no room for padding.
        unsafe impl Plain for $name {}
    )+};
}

plain!(
    Header,
    ForkRecord,
    ExecRecord,
    ExitRecord,
    TcpRecord,
    CgroupRecord,
    EventHead,
    CredentialsRecord,
    CapabilityRecord,
    FileRecord,
    NamespaceRecord,
    KernelRecord,
    MemoryRecord,
    SocketRecord,
    SignalRecord,
    StdioRecord,
    DatagramRecord,
    DropRecord,
    PayloadRecord,
);

/// The fixed part of a record, and what follows it.
pub(super) fn fixed<T: Plain>(bytes: &[u8]) -> Result<(T, Tail<'_>), DecodeError> {
    let Some((head, tail)) = bytes.split_at_checked(size_of::<T>()) else {
        return Err(DecodeError::Short(bytes.len()));
    };
    // SAFETY: long enough, and any bytes are a valid `T`; the read need not be aligned.
    Ok((unsafe { head.as_ptr().cast::<T>().read_unaligned() }, Tail(tail)))
}

/// The strings of a record that were not taken yet.
pub(super) struct Tail<'a>(&'a [u8]);

impl<'a> Tail<'a> {
    /// All that is left.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next string.
    pub(super) fn take(&mut self, bytes: impl TryInto<usize>) -> Result<&'a [u8], DecodeError> {
        let bytes = bytes.try_into().map_err(|_| DecodeError::Strings)?;
        let (string, rest) = self.0.split_at_checked(bytes).ok_or(DecodeError::Strings)?;
        self.0 = rest;
        Ok(string)
    }
}
