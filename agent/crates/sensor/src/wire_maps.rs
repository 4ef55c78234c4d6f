//! The wire's plain types as keys and values of the kernel's maps.

use agent_common::{
    DatagramState, DropKey, DropState, FilterKey, FilterNode, FilterRoot, FlowKey, InodeKey, KIND_COUNT,
    KindCount, Ledger, Loss, LossKey, Syscall,
};

macro_rules! pods {
    ($($(#[$doc:meta])* $name:ident($inner:ty),)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub(crate) struct $name(pub(crate) $inner);

        // SAFETY: integers only, without padding: each type's size is asserted where it is defined.
        unsafe impl aya::Pod for $name {}
    )+ };
}

pods! {
    /// Counts of every kind on one CPU.
    Counts([KindCount; KIND_COUNT]),
    /// Whose loss.
    LossKeyPod(LossKey),
    /// What was lost.
    LossPod(Loss),
    /// The reader's part of the account.
    LedgerPod(Ledger),
    /// A named child in the tree of watched paths.
    FilterKeyPod(FilterKey),
    /// A node of that tree.
    FilterNodePod(FilterNode),
    /// Where it begins.
    FilterRootPod(FilterRoot),
    /// A file watched by identity.
    InodeKeyPod(InodeKey),
    /// A flow without connection.
    FlowKeyPod(FlowKey),
    /// What is counted of it.
    DatagramStatePod(DatagramState),
    /// What was dropped.
    DropKeyPod(DropKey),
    /// What is counted of it.
    DropStatePod(DropState),
    /// What a system call does.
    SyscallPod(Syscall),
}
