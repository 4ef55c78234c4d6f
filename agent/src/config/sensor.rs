//! The keys of the kernel side.

use std::path::PathBuf;

use serde::Deserialize;
use watchfire_inventory::{VARIABLES_MAX, VariableName};
use watchfire_sensor::{
    FILTER_INODES_MAX, FILTER_PATHS_MAX, Families, FileFilter, Options, RATE_DEFAULT, Rate,
};

use super::lists::{AbsolutePath, Capability, Limited, WatchedPath};
use super::{FlowsConfig, RingBytes};

/// Files that hold secrets.
const READ_DEFAULT: [&str; 22] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssl/private",
    "/etc/kubernetes",
    "/var/lib/kubelet/pki",
    "/run/secrets/kubernetes.io",
    "/var/run/secrets/kubernetes.io",
    "/root/.ssh",
    "/home/*/.ssh",
    "/root/.aws",
    "/home/*/.aws",
    "/root/.kube",
    "/home/*/.kube",
    "/root/.docker",
    "/home/*/.docker",
];

/// What runs, what is trusted, and where persistence is put.
const WRITE_DEFAULT: [&str; 24] = [
    "/etc",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/local/lib",
    "/boot",
    "/run/systemd/system",
    "/var/spool/cron",
    "/root/.ssh",
    "/home/*/.ssh",
    "/root/.bashrc",
    "/home/*/.bashrc",
    "/root/.profile",
    "/home/*/.profile",
    "/root/.bash_profile",
    "/home/*/.bash_profile",
];

/// Capabilities that give more than one service needs.
const CAPABILITIES_DEFAULT: [&str; 10] = [
    "CAP_DAC_READ_SEARCH",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_PTRACE",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_MAC_ADMIN",
    "CAP_BPF",
    "CAP_PERFMON",
    "CAP_NET_ADMIN",
];

/// Most entries in the list of capabilities: as many as a set holds.
const CAPABILITIES_MAX: usize = 64;

/// The kernel side.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct SensorConfig {
    pub(crate) ring_bytes: RingBytes,
    pub(crate) priority_ring_bytes: RingBytes,
    pub(crate) self_test: bool,
    pub(crate) families: FamiliesConfig,
    pub(crate) files: FilesConfig,
    pub(crate) capabilities: Limited<Capability, CAPABILITIES_MAX>,
    pub(crate) environment: Limited<VariableName, VARIABLES_MAX>,
    pub(crate) unix_sockets: bool,
    pub(crate) rate: RateConfig,
    pub(crate) pin: Option<AbsolutePath>,
    pub(crate) program_statistics: bool,
}

/// The families of security events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub(crate) struct FamiliesConfig {
    credentials: bool,
    capability: bool,
    file: bool,
    namespace: bool,
    kernel: bool,
    memory: bool,
    socket: bool,
    signal: bool,
    stdio: bool,
}

/// The files that are told of.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct FilesConfig {
    read: Limited<WatchedPath, FILTER_PATHS_MAX>,
    write: Limited<WatchedPath, FILTER_PATHS_MAX>,
    inodes: Limited<AbsolutePath, FILTER_INODES_MAX>,
}

/// How much one cgroup may tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct RateConfig {
    events_per_second: u32,
    burst: u32,
}

impl Default for SensorConfig {
    fn default() -> Self {
        Self {
            ring_bytes: RingBytes::default(),
            priority_ring_bytes: RingBytes::default(),
            self_test: true,
            families: FamiliesConfig::default(),
            files: FilesConfig::default(),
            capabilities: built_in(&CAPABILITIES_DEFAULT),
            environment: Limited::default(),
            unix_sockets: false,
            rate: RateConfig::default(),
            pin: None,
            program_statistics: false,
        }
    }
}

impl Default for FamiliesConfig {
    fn default() -> Self {
        Self {
            credentials: true,
            capability: true,
            file: true,
            namespace: true,
            kernel: true,
            memory: true,
            socket: true,
            signal: true,
            stdio: true,
        }
    }
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self { read: built_in(&READ_DEFAULT), write: built_in(&WRITE_DEFAULT), inodes: Limited::default() }
    }
}

impl Default for RateConfig {
    fn default() -> Self {
        let Rate { events_per_second, burst } = RATE_DEFAULT;
        Self { events_per_second, burst }
    }
}

fn built_in<T, const MAX: usize>(texts: &[&str]) -> Limited<T, MAX>
where
    T: TryFrom<String, Error = String>,
{
    let list: Result<Vec<T>, String> = texts.iter().map(|&text| text.to_owned().try_into()).collect();
    list.and_then(Limited::try_from).expect("the defaults are valid")
}

impl SensorConfig {
    /// The settings of the sensor, with what is told of flows; `self_test` is the executable to test with.
    pub(crate) fn options(&self, flows: &FlowsConfig, self_test: Option<PathBuf>) -> Options {
        // Exhaustive, so that no new key is forgotten here.
        let Self {
            ring_bytes,
            priority_ring_bytes,
            self_test: _,
            families,
            files,
            capabilities,
            environment,
            unix_sockets,
            rate,
            pin,
            program_statistics,
        } = self;
        Options {
            ring_bytes: ring_bytes.get(),
            priority_ring_bytes: priority_ring_bytes.get(),
            self_test,
            families: families.families(),
            flows: flows.flows(),
            files: files.filter(),
            capabilities: capabilities.iter().fold(0, |set, capability| set | capability.bit()),
            environment: !environment.as_slice().is_empty(),
            unix_sockets: *unix_sockets,
            rate: Rate { events_per_second: rate.events_per_second, burst: rate.burst },
            pin: pin.as_ref().map(AbsolutePath::to_path_buf),
            program_statistics: *program_statistics,
            update_interval_seconds: flows.update_interval_seconds(),
        }
    }
}

impl FamiliesConfig {
    const fn families(self) -> Families {
        let Self { credentials, capability, file, namespace, kernel, memory, socket, signal, stdio } = self;
        Families { credentials, capability, file, namespace, kernel, memory, socket, signal, stdio }
    }
}

impl FilesConfig {
    /// As the sensor takes it.
    pub(crate) fn filter(&self) -> FileFilter {
        FileFilter {
            read: self.read.iter().map(ToString::to_string).collect(),
            write: self.write.iter().map(ToString::to_string).collect(),
            inodes: self.inodes.iter().map(AbsolutePath::to_path_buf).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_watch_everything_but_the_environment_and_unix_sockets() {
        let options = SensorConfig::default().options(&FlowsConfig::default(), None);
        assert_eq!(options.families, Families::ALL);
        assert_eq!(options.capabilities & (1 << 21 | 1 << 39), 1 << 21 | 1 << 39);
        assert_eq!((options.capabilities.count_ones(), options.rate), (10, RATE_DEFAULT));
        assert!(!options.environment && !options.unix_sockets && !options.program_statistics);
        assert!(options.files.read.contains(&"/etc/shadow".to_owned()));
        assert!(options.files.write.contains(&"/home/*/.ssh".to_owned()));
        assert!(options.files.inodes.is_empty() && options.pin.is_none());
    }
}
