//! What attaching needs from the host, and what the host offers.

use std::fs::{self, File};

use agent_common::KernelField;
use aya::Btf;

use super::Hook;
use super::program::compat_wrapper;
use crate::btf;
use crate::cgroup_root::{CgroupRoot, NoCgroupRoot};
use crate::late::LOOK_INTERVAL_MS;
use crate::syscalls;

/// Where the kernel lists its active security modules, in order.
pub(crate) const ACTIVE_LSMS: &str = "/sys/kernel/security/lsm";

/// Where the kernel lists its functions.
const SYMBOLS: &str = "/proc/kallsyms";

/// Structs that only some probes read; a kernel without them loses those probes alone.
const OWN_STRUCTS: &[&str] = &[
    "ovl_inode",
    "io_kiocb",
    "io_open",
    "io_unlink",
    "io_rename",
    "io_link",
    "io_mkdir",
    "io_xattr",
    "io_ftrunc",
    "io_socket",
    "io_bind",
    "io_listen",
    "io_connect",
    "io_async_msghdr",
    "filename",
    "sock",
    "tcp_sock",
    "inet_sock",
    "socket",
    "proc_inode",
    "vm_area_struct",
    "kernel_siginfo",
    "sk_buff",
    "net_device",
];

/// What attaching needs from the host.
pub(crate) struct Site<'a> {
    /// The kernel's types; none where it has no BTF.
    pub(crate) btf: Option<&'a Btf>,
    /// The same, as this crate reads them.
    pub(crate) types: Option<&'a btf::Btf>,
    /// Root of the cgroup v2 hierarchy, or why it is out of reach.
    pub(crate) cgroup: Result<File, String>,
    /// What [`ACTIVE_LSMS`] says; none where it cannot be read.
    pub(crate) lsms: Option<String>,
    /// Kernel fields that this kernel lacks.
    pub(crate) missing_fields: Vec<KernelField>,
}

impl<'a> Site<'a> {
    pub(crate) fn new(
        btf: Option<&'a Btf>,
        types: Option<&'a btf::Btf>,
        cgroup_root: &Result<CgroupRoot, NoCgroupRoot>,
        missing_fields: Vec<KernelField>,
    ) -> Self {
        let open = |root: &CgroupRoot| {
            File::open(root.path()).map_err(|error| format!("{}: {error}", root.path().display()))
        };
        let waits = |error: &NoCgroupRoot| {
            format!(
                "waits for a cgroup v2 mount, the agent looks every {} s: {error}",
                LOOK_INTERVAL_MS / 1000
            )
        };
        let cgroup = cgroup_root.as_ref().map_err(waits).and_then(open);
        Self { btf, types, cgroup, lsms: fs::read_to_string(ACTIVE_LSMS).ok(), missing_fields }
    }
}

impl Site<'_> {
    /// Whether what a program reads is there: what every program reads, and what its probe reads besides.
    pub(super) fn has_types(&self, own: &[&str]) -> Result<&Btf, String> {
        let btf = self.btf.ok_or_else(|| "this kernel has no BTF".to_owned())?;
        let lacking: Vec<String> = (self.missing_fields.iter())
            .filter(|field| own.contains(&field.of) || !OWN_STRUCTS.contains(&field.of))
            .map(|field| format!("{}.{}", field.of, field.path))
            .collect();
        if lacking.is_empty() {
            Ok(btf)
        } else {
            Err(format!("this kernel's BTF lacks {}", lacking.join(", ")))
        }
    }

    pub(super) fn has_function(&self, name: &str) -> bool {
        self.types.is_some_and(|types| types.has_function(name))
    }

    /// Whether a program on a BPF LSM hook would ever be called: the kernel takes it even where it would not.
    pub(super) fn calls_lsm(&self) -> Result<(), String> {
        match &self.lsms {
            Some(lsms) if lsms.trim().split(',').any(|lsm| lsm == "bpf") => Ok(()),
            Some(lsms) => Err(format!("bpf is not among the active LSMs ({})", lsms.trim())),
            None => Err(format!("whether the bpf LSM is active is not known: cannot read {ACTIVE_LSMS}")),
        }
    }
}

impl Site<'_> {
    /// Whether an iterator can be read on this kernel without harm to it.
    ///
    /// The one over the storage of sockets finds a socket's and then asks it for the socket. Since 7.0 a socket that is closed
    /// between the two takes that from its storage (kernel/bpf/bpf_local_storage.c, `bpf_selem_unlink_nofail()`), and the
    /// kernel stops at the null pointer (net/core/bpf_sk_storage.c, `__bpf_sk_storage_map_seq_show()`): seen on 7.2.13.
    pub(super) fn iterates_safely(&self, name: &str) -> Result<(), String> {
        let takes_away = |types: &btf::Btf| {
            types.has_function("bpf_selem_unlink_nofail")
                || types.field_offset("bpf_local_storage", "owner_refcnt").is_some()
        };
        if name == "bpf_sk_storage_map" && self.types.is_some_and(takes_away) {
            return Err(
                "this kernel would crash where a socket is closed while its storage is visited".to_owned()
            );
        }
        Ok(())
    }

    /// Whether this kernel has a hook that a rung can do without.
    pub(super) fn offers(&self, hook: Hook) -> bool {
        match hook {
            Hook::ExtraTpBtf(name) => self.types.is_some_and(|types| types.has_tracepoint(name)),
            Hook::NewLsm(name) => self.has_function(&format!("bpf_lsm_{name}")),
            Hook::NewFEntry(name) => self.has_function(name),
            Hook::NewSyscall(name) => self.has_symbol(&syscalls::wrapper(name)),
            Hook::CompatSyscall(name) => self.has_symbol(&compat_wrapper(name)),
            _ => true,
        }
    }

    /// Whether the kernel has a function, though its BTF may not say so: then it cannot be attached to, and is not lost
    /// unsaid.
    pub(super) fn has_symbol(&self, name: &str) -> bool {
        let is_it = |line: &str| line.split(' ').nth(2) == Some(name);
        self.has_function(name) || fs::read_to_string(SYMBOLS).is_ok_and(|symbols| symbols.lines().any(is_it))
    }
}
