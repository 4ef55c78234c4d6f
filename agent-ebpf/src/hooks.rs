//! Security hooks as programs.

/// Each hook as two programs: for BPF LSM, and for the entry of the function that calls the LSMs. An LSM program answers
/// what the programs before it did: watching only.
macro_rules! hooks {
    ($($lsm:ident $fentry:ident ($hook:literal, $function:literal) |$ctx:ident, $arguments:literal| $body:block)+) => { $(
        #[aya_ebpf::macros::lsm(hook = $hook)]
        pub(crate) fn $lsm($ctx: aya_ebpf::programs::LsmContext) -> i32 {
            $body;
            $ctx.arg::<i32>($arguments)
        }

        #[aya_ebpf::macros::fentry(function = $function)]
        pub(crate) fn $fentry($ctx: aya_ebpf::programs::FEntryContext) -> i32 {
            $body;
            0
        }
    )+ };
}

pub(crate) use hooks;
