//! What will be loaded: everything that shapes the kernel programs and their maps.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use agent_common::WIRE_VERSION;
use aya::EbpfLoader;

use crate::attach::Site;
use crate::btf::Btf;
use crate::drop_reasons::DropReasons;
use crate::frozen::Frozen;
use crate::host::Host;
use crate::kernel::{RINGS, with_source};
use crate::offsets::{self, Resolved};
use crate::options::{Options, Rate};
use crate::syscalls;

/// The object with the kernel programs.
pub(crate) const OBJECT: &[u8] = aya::include_bytes_aligned!(env!("WATCHFIRE_BPF_OBJECT"));

/// CPUs that share one bulk ring before there is another.
const CPUS_A_BULK_RING: usize = 4;
/// Smallest ring, for those that are not used.
const UNUSED_RING_BYTES: u32 = 4096;

/// The kernel's types, and what follows from them and the options.
pub(crate) struct Plan {
    types: Option<Btf>,
    btf: Option<aya::Btf>,
    /// Why the kernel's types are not known, where they are not.
    pub(crate) btf_problem: Option<String>,
    resolved: Resolved,
    frozen: Frozen,
    /// Calls that reserve memory, native and of the 32-bit interface.
    reserving: [[u64; 8]; 2],
    /// [`Frozen::drop_reasons`] as the programs take them.
    drop_reasons: [u64; 8],
    bulk_rings: usize,
}

impl Plan {
    pub(crate) fn new(options: &Options) -> Self {
        let (types, btf_problem) = match Btf::of_running_kernel() {
            Ok(btf) => (Some(btf), None),
            Err(error) => (None, Some(with_source(&error))),
        };
        let bulk_rings = bulk_rings();
        let frozen = Frozen::new(options, types.as_ref(), bulk_rings);
        Self {
            resolved: types.as_ref().map_or(Resolved::NOTHING, offsets::resolve),
            drop_reasons: frozen.drop_reasons.bits(),
            frozen,
            btf: types.as_ref().and_then(|_| aya::Btf::from_sys_fs().ok()),
            types,
            btf_problem,
            reserving: [syscalls::reserving(), syscalls::reserving_compat()],
            bulk_rings,
        }
    }

    /// A loader that makes the maps in the sizes, and gives the programs the constants, that are asked for.
    pub(crate) fn loader(&self, options: &Options) -> EbpfLoader<'_> {
        let mut loader = EbpfLoader::new();
        let [reserving, reserving_compat] = &self.reserving;
        loader
            .btf(self.btf.as_ref())
            .override_global("OFFSETS", &self.resolved.values, true)
            .override_global("ARGUMENTS", &self.frozen.registers.arguments, true)
            .override_global("COMPAT_ARGUMENTS", &self.frozen.registers.compat_arguments, true)
            .override_global("DROP_REASONS", &self.drop_reasons, true)
            .override_global("RESERVING_CALLS", reserving, true)
            .override_global("RESERVING_COMPAT_CALLS", reserving_compat, true)
            .map_max_entries(RINGS[0], options.priority_ring_bytes);
        for (name, value) in &self.frozen.words {
            loader.override_global(name, value, true);
        }
        for (name, value) in &self.frozen.longs {
            loader.override_global(name, value, true);
        }
        for (index, ring) in RINGS[1..].iter().enumerate() {
            let bytes = if index < self.bulk_rings { options.ring_bytes } else { UNUSED_RING_BYTES };
            loader.map_max_entries(ring, bytes);
        }
        loader
    }

    /// Why this kernel drops packets, as far as it is told.
    pub(crate) fn drop_reasons(&self) -> DropReasons {
        self.frozen.drop_reasons.clone()
    }

    /// What attaching needs from the host.
    pub(crate) fn site(&self, host: &Host) -> Site<'_> {
        Site::new(self.btf.as_ref(), self.types.as_ref(), &host.cgroup_root, self.resolved.missing.clone())
    }

    /// How many of [`RINGS`] are in use.
    pub(crate) const fn rings(&self) -> usize {
        1 + self.bulk_rings
    }

    /// Two plans of one boot with the same fingerprint load the same. It begins with the version of the records.
    pub(crate) fn fingerprint(&self, options: &Options, host: &Host) -> String {
        // Exhaustive, so that no new option is forgotten. The files are installed anew at each start.
        let Options {
            ring_bytes,
            priority_ring_bytes,
            self_test: _,
            families,
            flows,
            files: _,
            capabilities,
            environment,
            unix_sockets,
            rate: Rate { events_per_second, burst },
            update_interval_seconds,
            pin: _,
            program_statistics: _,
        } = options;
        let Frozen { words, longs, registers, drop_reasons: _ } = &self.frozen;
        let mut hasher = DefaultHasher::new();
        OBJECT.hash(&mut hasher);
        (ring_bytes, priority_ring_bytes, events_per_second, burst).hash(&mut hasher);
        (capabilities, environment, unix_sockets, update_interval_seconds, self.bulk_rings).hash(&mut hasher);
        format!("{families:?} {flows:?}").hash(&mut hasher);
        (words, longs, &self.drop_reasons, &self.reserving, self.resolved.values).hash(&mut hasher);
        (registers.arguments, registers.compat_arguments).hash(&mut hasher);
        host.cgroup_root.is_ok().hash(&mut hasher);
        format!("{WIRE_VERSION}-{:016x}", hasher.finish())
    }
}

/// The version of the records in the rings of what has this fingerprint.
pub(crate) fn wire_version(fingerprint: &str) -> Option<u16> {
    fingerprint.split('-').next()?.parse().ok()
}

/// One bulk ring for every few CPUs: a power of two, because the kernel side takes the CPU's number by a mask.
fn bulk_rings() -> usize {
    let cpus = aya::util::nr_cpus().unwrap_or(1);
    cpus.div_ceil(CPUS_A_BULK_RING).next_power_of_two().min(RINGS.len() - 1)
}

#[cfg(test)]
mod tests {
    use watchfire_model::Timebase;

    use super::*;
    use crate::cgroup_root::CgroupRoot;
    use crate::options::Families;

    #[test]
    fn a_fingerprint_changes_with_what_is_loaded_and_with_nothing_else() {
        let host = Host {
            boot: 0,
            cgroup_root: Ok(CgroupRoot::at("/sys/fs/cgroup")),
            kernel_release: String::new(),
            timebase: Timebase { boot_epoch_ns: 0 },
        };
        let of = |options: &Options| Plan::new(options).fingerprint(options, &host);
        let options = Options::default();
        let plain = of(&options);
        assert_eq!(wire_version(&plain), Some(WIRE_VERSION));
        assert_eq!(of(&options), plain);
        for same in [
            Options { self_test: Some("/proc/self/exe".into()), ..options.clone() },
            Options { pin: Some("/sys/fs/bpf/a".into()), program_statistics: true, ..options.clone() },
        ] {
            assert_eq!(of(&same), plain);
        }
        for other in [
            Options { ring_bytes: 8192, ..options.clone() },
            Options { families: Families { file: false, ..Families::ALL }, ..options.clone() },
            Options { capabilities: 1, ..options.clone() },
            Options { rate: Rate { burst: 1, ..options.rate }, ..options.clone() },
            Options { update_interval_seconds: 0, ..options.clone() },
        ] {
            assert_ne!(of(&other), plain, "{other:?}");
        }
    }
}
