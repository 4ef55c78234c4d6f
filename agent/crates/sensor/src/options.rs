//! What the sensor can be told to do.

use std::path::PathBuf;

/// Size of each ring unless set otherwise, bytes.
pub const RING_BYTES_DEFAULT: u32 = 4 * 1024 * 1024;
/// Smallest and largest ring, bytes.
pub const RING_BYTES_RANGE: (u32, u32) = (4096, 1 << 30);
/// Events a second of one cgroup, and how many at once above that, unless set otherwise.
pub const RATE_DEFAULT: Rate = Rate { events_per_second: 2000, burst: 8000 };
/// Most paths in one list of [`FileFilter`].
pub const FILTER_PATHS_MAX: usize = 256;
/// Seconds between two updates of a connection that goes on, unless set otherwise.
pub const UPDATE_INTERVAL_SECONDS_DEFAULT: u32 = 60;
/// Longest component of a path in [`FileFilter`], bytes.
pub const FILTER_COMPONENT_BYTES_MAX: usize = 58;
/// Most files watched by identity.
pub const FILTER_INODES_MAX: usize = 1024;

/// Settings of the sensor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Size of each bulk ring, bytes: a power of two of at least a page.
    pub ring_bytes: u32,
    /// Size of the ring for process life, credentials, namespaces and kernel code, bytes.
    pub priority_ring_bytes: u32,
    /// Executable that the self-test starts with [`crate::SELF_TEST_ARGUMENT`]; none leaves the self-test out.
    pub self_test: Option<PathBuf>,
    /// The event families that are watched; the programs of the others are not loaded.
    pub families: Families,
    /// What is told of flows besides TCP connections.
    pub flows: Flows,
    /// The files that are told of.
    pub files: FileFilter,
    /// Capabilities whose use is told of: bit n for capability n.
    pub capabilities: u64,
    /// Whether the environment of new programs is carried.
    pub environment: bool,
    /// Whether Unix sockets are told of: bind and connect.
    pub unix_sockets: bool,
    /// How much each cgroup may tell; process life, credentials, namespaces and kernel code stand outside.
    pub rate: Rate,
    /// How often connections that go on are told of, seconds; 0 for never.
    pub update_interval_seconds: u32,
    /// Folder of a BPF filesystem that keeps programs and maps while no agent runs.
    pub pin: Option<PathBuf>,
    /// Whether the kernel counts the run time of programs.
    pub program_statistics: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ring_bytes: RING_BYTES_DEFAULT,
            priority_ring_bytes: RING_BYTES_DEFAULT,
            self_test: None,
            families: Families::ALL,
            flows: Flows::ALL,
            files: FileFilter::default(),
            capabilities: 0,
            environment: false,
            unix_sockets: false,
            rate: RATE_DEFAULT,
            update_interval_seconds: UPDATE_INTERVAL_SECONDS_DEFAULT,
            pin: None,
            program_statistics: false,
        }
    }
}

/// Which security event families are watched. Process life and TCP connections always are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is named as its record type is")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Families {
    pub credentials: bool,
    pub capability: bool,
    pub file: bool,
    pub namespace: bool,
    pub kernel: bool,
    pub memory: bool,
    pub socket: bool,
    pub signal: bool,
    pub stdio: bool,
}

impl Families {
    /// Every family.
    pub const ALL: Self = Self {
        credentials: true,
        capability: true,
        file: true,
        namespace: true,
        kernel: true,
        memory: true,
        socket: true,
        signal: true,
        stdio: true,
    };
}

/// What is told of flows besides TCP connections, which always are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flows {
    /// UDP, ICMP, SCTP and others.
    pub datagrams: bool,
    /// What can be read from first bytes: DNS and what opens TLS.
    pub payloads: bool,
    /// Packets that the kernel throws away.
    pub drops: bool,
}

impl Flows {
    /// Everything.
    pub const ALL: Self = Self { datagrams: true, payloads: true, drops: true };
}

/// Token bucket of a cgroup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Tokens that come back each second; 0 for no limit.
    pub events_per_second: u32,
    /// Tokens of a full bucket.
    pub burst: u32,
}

/// The files that are told of. A path is absolute, means the file or folder and everything below it, as the process
/// itself sees it (so in every container), whether or not it exists now; `*` stands for any one component.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FileFilter {
    /// Paths whose reading is told of.
    pub read: Vec<String>,
    /// Paths of which everything else is told: opening for writing, creation, rename, removal, modes, owners, ….
    pub write: Vec<String>,
    /// Files of the host that are watched by identity, under whatever name they are reached, for reading and writing.
    pub inodes: Vec<PathBuf>,
}
