//! What security events tell of.

use serde::Serialize;

use crate::RecordKind;

macro_rules! operations {
    ($($kind:ident { $($name:ident $text:literal $doc:literal,)+ })+) => {
        /// What was done. Every operation belongs to one kind of record.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Operation {
            $($(#[doc = $doc] $name,)+)+
        }

        impl Operation {
            /// All operations, by kind.
            pub const ALL: &[Self] = &[$($(Self::$name,)+)+];

            /// The name used in records and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$name => $text,)+)+ }
            }

            /// The kind of record that tells of it.
            #[must_use]
            pub const fn kind(self) -> RecordKind {
                match self { $($(Self::$name)|+ => RecordKind::$kind,)+ }
            }
        }
    };
}

operations! {
    Credentials {
        Setuid "setuid" "Users changed, by the setuid family.",
        Setgid "setgid" "Groups changed, by the setgid family.",
        Setgroups "setgroups" "Supplementary groups changed.",
        Capset "capset" "Capability sets changed by capset(2).",
        Commit "commit" "Credentials changed in a way that the hook does not tell.",
    }
    Capability {
        Capable "capable" "A capability of the watched set was asked for.",
    }
    File {
        Open "open" "A file was opened.",
        Unlink "unlink" "A name was removed.",
        Rmdir "rmdir" "A folder was removed.",
        Mkdir "mkdir" "A folder was made.",
        Rename "rename" "A name was changed.",
        Link "link" "A second name was made.",
        Symlink "symlink" "A symbolic link was made.",
        Chmod "chmod" "The mode was changed.",
        Chown "chown" "The owner was changed.",
        Setxattr "setxattr" "An extended attribute was set.",
        Truncate "truncate" "The length was changed.",
        MmapExec "mmap-exec" "A file that is open for writing was mapped for execution.",
    }
    Namespace {
        Unshare "unshare" "unshare(2)",
        Setns "setns" "setns(2)",
        Mount "mount" "mount(2)",
        Umount "umount" "umount2(2)",
        PivotRoot "pivot-root" "pivot_root(2)",
        Chroot "chroot" "chroot(2)",
        MoveMount "move-mount" "move_mount(2)",
    }
    Kernel {
        InitModule "init-module" "init_module(2)",
        FinitModule "finit-module" "finit_module(2)",
        DeleteModule "delete-module" "delete_module(2)",
        BpfProgLoad "bpf-prog-load" "A BPF program was loaded.",
        BpfMapCreate "bpf-map-create" "A BPF map was made.",
        BpfDetach "bpf-detach" "A BPF program of somebody was detached or replaced.",
        Bpf "bpf" "Another bpf(2) command.",
        PerfEventOpen "perf-event-open" "perf_event_open(2) of another task or of a CPU.",
        KexecLoad "kexec-load" "kexec_load(2)",
        KexecFileLoad "kexec-file-load" "kexec_file_load(2)",
    }
    Memory {
        Ptrace "ptrace" "A ptrace(2) request that attaches or writes.",
        VmWritev "vm-writev" "process_vm_writev(2)",
        MemOpen "mem-open" "/proc/PID/mem was opened for writing.",
        MemfdCreate "memfd-create" "memfd_create(2)",
        Mprotect "mprotect" "Memory was made executable.",
        Userfaultfd "userfaultfd" "userfaultfd(2)",
    }
    Socket {
        Socket "socket" "A raw or packet socket was made.",
        Bind "bind" "bind(2)",
        Listen "listen" "listen(2)",
        Connect "connect" "connect(2) to a Unix socket.",
    }
    Signal {
        Signal "signal" "A signal was sent to another container, or to the agent.",
    }
    Stdio {
        Dup "dup" "A socket became standard input, output or error.",
    }
}

impl Serialize for Operation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_family_has_some() {
        let names: BTreeSet<_> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
        assert_eq!(names.len(), Operation::ALL.len());
        let kinds: BTreeSet<_> = Operation::ALL.iter().map(|operation| operation.kind()).collect();
        let families = RecordKind::Credentials..=RecordKind::Stdio;
        assert!(kinds.into_iter().eq(RecordKind::ALL.into_iter().filter(|kind| families.contains(kind))));
    }
}
