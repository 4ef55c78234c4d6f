//! Every package that setup may fetch, by name and version: the one place to change.

/// The Debian release whose compiler, libraries and tools are used, whatever release the machine runs.
pub(crate) const TOOLS_SUITE: &str = "bookworm";

/// LLVM's major version. It must not be older than the LLVM in the compiler that emits the bitcode.
pub(crate) const LLVM_MAJOR: u32 = 22;

/// The linker of kernel programs, which cargo builds.
pub(crate) const BPF_LINKER_VERSION: &str = "0.13.0";

/// A compiler with the sources of its own `core` (Rust's BPF target has no prebuilt one), and the LLVM to match.
pub(crate) fn bpf_toolchain() -> Vec<String> {
    let llvm = LLVM_MAJOR;
    let mut names =
        ["rustc-web", "libstd-rust-web-dev", "rust-web-src", "rust-web-clippy", "libz3-4", "libz3-dev"]
            .map(str::to_owned)
            .to_vec();
    names.extend([
        format!("libllvm{llvm}"),
        format!("llvm-{llvm}"),
        format!("llvm-{llvm}-dev"),
        format!("llvm-{llvm}-linker-tools"),
        format!("llvm-{llvm}-tools"),
    ]);
    names
}

/// A program that tests or the lab start.
pub(crate) struct Tool {
    /// Its name in `PATH`.
    pub(crate) program: &'static str,
    /// The Debian package that has it.
    pub(crate) package: &'static str,
    /// Where the package puts it.
    pub(crate) path: &'static str,
    /// Arguments that tell it where its files are when it is not installed; `$root` is the unpacked package.
    pub(crate) arguments: &'static str,
    /// Whether the machine's own program of this name will do.
    pub(crate) may_be_hosts: bool,
}

/// Configures network namespaces, bridges and links.
pub(crate) const IP: Tool =
    Tool { program: "ip", package: "iproute2", path: "sbin/ip", arguments: "", may_be_hosts: true };

/// Configures packet filtering.
pub(crate) const NFT: Tool = hosts("nft", "nftables", "usr/sbin/nft");

/// A static busybox, which also runs in VMs; a machine's own is usually linked dynamically.
pub(crate) const BUSYBOX: Tool = Tool {
    program: "busybox",
    package: "busybox-static",
    path: "bin/busybox",
    arguments: "",
    may_be_hosts: false,
};

/// Makes keys and certificates.
pub(crate) const OPENSSL: Tool = hosts("openssl", "openssl", "usr/bin/openssl");

/// What runs containers. Not the machine's own: the configuration is for this version of it.
pub(crate) const CONTAINERD: Tool = cluster_part("containerd", "containerd", "usr/bin/containerd");
pub(crate) const CONTAINERD_SHIM: Tool =
    cluster_part("containerd-shim-runc-v2", "containerd", "usr/bin/containerd-shim-runc-v2");
pub(crate) const CTR: Tool = cluster_part("ctr", "containerd", "usr/bin/ctr");
pub(crate) const RUNC: Tool = cluster_part("runc", "runc", "usr/sbin/runc");
/// One of the plugins that connect pods; the others lie beside it.
pub(crate) const CNI_BRIDGE: Tool =
    cluster_part("bridge", "containernetworking-plugins", "usr/lib/cni/bridge");

/// The Kubernetes that `cluster` builds from its Go module and runs.
pub(crate) const KUBERNETES_VERSION: &str = "1.35.4";

/// Its programs, by their Go packages, after which they are named.
pub(crate) const KUBERNETES_PACKAGES: [&str; 6] = [
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kube-scheduler",
    "k8s.io/kubernetes/cmd/kubelet",
    "k8s.io/kubernetes/cmd/kube-proxy",
    "k8s.io/kubernetes/cmd/kubectl",
];

/// What loads the HTTP API; a Go module.
pub(crate) const K6_VERSION: &str = "1.8.1";

/// Etcd in the version that this Kubernetes is tested with: Debian's is older than what lists by watching need.
pub(crate) const ETCD_PACKAGE: &str = "go.etcd.io/etcd/server/v3";

/// What checks manifests against schemas; a Go module.
pub(crate) const KUBECONFORM_VERSION: &str = "0.8.0";

/// Definitions of custom resources in a Go module.
pub(crate) struct Definitions {
    /// What those call themselves whose resources they are.
    pub(crate) name: &'static str,
    pub(crate) module: &'static str,
    pub(crate) version: &'static str,
    /// Where in the module they lie, and in which files.
    pub(crate) folder: &'static str,
    pub(crate) files: &'static [&'static str],
}

/// Those that deploy/ has objects of. The newest versions whose modules ask for no newer Go than Kubernetes' own does.
pub(crate) const DEFINITIONS: [Definitions; 7] = [
    Definitions {
        name: "argo-cd",
        module: "github.com/argoproj/argo-cd/v3",
        version: "v3.5.7",
        folder: "manifests/crds",
        files: &["application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml"],
    },
    Definitions {
        name: "cert-manager",
        module: "github.com/cert-manager/cert-manager",
        version: "v1.21.2",
        folder: "deploy/crds",
        files: &["cert-manager.io_certificates.yaml", "cert-manager.io_issuers.yaml"],
    },
    Definitions {
        name: "cilium",
        module: "github.com/cilium/cilium",
        version: "v1.20.2",
        folder: "pkg/k8s/apis/cilium.io/client/crds/v2",
        files: &["ciliumnetworkpolicies.yaml"],
    },
    Definitions {
        name: "flux-kustomize",
        module: "github.com/fluxcd/kustomize-controller",
        version: "v1.9.6",
        folder: "config/crd/bases",
        files: &["kustomize.toolkit.fluxcd.io_kustomizations.yaml"],
    },
    Definitions {
        name: "flux-source",
        module: "github.com/fluxcd/source-controller",
        version: "v1.9.6",
        folder: "config/crd/bases",
        files: &["source.toolkit.fluxcd.io_gitrepositories.yaml"],
    },
    Definitions {
        name: "prometheus-operator",
        module: "github.com/prometheus-operator/prometheus-operator",
        version: "v0.85.0",
        folder: "example/prometheus-operator-crd",
        files: &[
            "monitoring.coreos.com_podmonitors.yaml",
            "monitoring.coreos.com_prometheusrules.yaml",
            "monitoring.coreos.com_servicemonitors.yaml",
        ],
    },
    Definitions {
        name: "victoria-metrics",
        module: "github.com/VictoriaMetrics/operator",
        version: "v0.65.0",
        folder: "config/crd/overlay",
        files: &["crd.yaml"],
    },
];
/// A server that speaks S3 and keeps objects as files: a Go package and its version.
pub(crate) const S3_SERVER_PACKAGE: &str = "github.com/versity/versitygw/cmd/versitygw";
pub(crate) const S3_SERVER_VERSION: &str = "1.8.0";

/// A reader of Parquet that is not ours: a Python package and its version.
pub(crate) const DUCKDB_PACKAGE: &str = "duckdb";
pub(crate) const DUCKDB_VERSION: &str = "1.4.1";

/// What the privileged tests start besides what every Debian has: real servers and clients, and those who count
/// independently. A test that lacks one is skipped by name.
pub(crate) const TEST_TOOLS: [Tool; 17] = [
    IP,
    // Queueing disciplines, and what a socket says of itself.
    hosts("tc", "iproute2", "sbin/tc"),
    hosts("ss", "iproute2", "bin/ss"),
    NFT,
    hosts("tcpdump", "tcpdump", "usr/bin/tcpdump"),
    hosts("tshark", "tshark", "usr/bin/tshark"),
    hosts("ping", "iputils-ping", "bin/ping"),
    hosts("hping3", "hping3", "usr/sbin/hping3"),
    hosts("dnsmasq", "dnsmasq-base", "usr/sbin/dnsmasq"),
    hosts("dig", "bind9-dnsutils", "usr/bin/dig"),
    OPENSSL,
    hosts("nginx", "nginx-light", "usr/sbin/nginx"),
    // Who scrapes the agent, judges its alerts and sends them on.
    PROMETHEUS,
    hosts("promtool", "prometheus", "usr/bin/promtool"),
    hosts("prometheus-alertmanager", "prometheus-alertmanager", "usr/bin/prometheus-alertmanager"),
    hosts("victoria-metrics", "victoria-metrics", "usr/bin/victoria-metrics"),
    hosts("vmalert", "victoria-metrics", "usr/bin/vmalert"),
];

/// Who scrapes the agent.
pub(crate) const PROMETHEUS: Tool = hosts("prometheus", "prometheus", "usr/bin/prometheus");

/// A tool for which the machine's own program will do.
const fn hosts(program: &'static str, package: &'static str, path: &'static str) -> Tool {
    Tool { program, package, path, arguments: "", may_be_hosts: true }
}

/// A tool of which the machine's own may be of another version.
const fn cluster_part(program: &'static str, package: &'static str, path: &'static str) -> Tool {
    Tool { program, package, path, arguments: "", may_be_hosts: false }
}

/// The Debian release that peers are of, whatever release the machine runs: the newest of each that is packaged.
pub(crate) const PEERS_SUITE: &str = "sid";

/// Programs by others that the agent is measured beside: what the benchmark calls them, and their packages.
pub(crate) const PEERS: [(&str, &str); 5] = [
    ("bpftrace", "bpftrace"),
    ("bcc", "libbpf-tools"),
    ("auditd", "auditd"),
    ("tcpdump", "tcpdump"),
    ("softflowd", "softflowd"),
];

/// The lab's database.
pub(crate) const REDIS_SERVER: Tool = Tool {
    program: "redis-server",
    package: "redis-server",
    path: "usr/bin/redis-server",
    arguments: "",
    may_be_hosts: true,
};

/// The lab's database client.
pub(crate) const REDIS_CLI: Tool = Tool {
    program: "redis-cli",
    package: "redis-tools",
    path: "usr/bin/redis-cli",
    arguments: "",
    may_be_hosts: true,
};

/// The machine emulator for this architecture.
pub(crate) const QEMU: Tool = if cfg!(target_arch = "aarch64") {
    Tool {
        program: "qemu-system-aarch64",
        package: "qemu-system-arm",
        path: "usr/bin/qemu-system-aarch64",
        arguments: "-L \"$root/usr/share/qemu\"",
        may_be_hosts: true,
    }
} else {
    Tool {
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
        path: "usr/bin/qemu-system-x86_64",
        arguments: "-L \"$root/usr/share/qemu\" -L \"$root/usr/share/seabios\"",
        may_be_hosts: true,
    }
};

/// A kernel to boot in a VM.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// What the command line calls it.
    pub(crate) name: &'static str,
    /// The Debian release that it is the kernel of.
    pub(crate) suite: &'static str,
    /// What is added to its own command line.
    pub(crate) parameters: &'static str,
    /// Whether the privileged tests have to pass on it.
    pub(crate) is_supported: bool,
    /// Tests that the tier does not repeat on it: parts of their names.
    pub(crate) left_out: &'static [&'static str],
}

const fn kernel(name: &'static str, suite: &'static str) -> Kernel {
    Kernel { name, suite, parameters: "", is_supported: true, left_out: &[] }
}

/// Tests of hooks that are no LSM's: the same kernel has run them with its LSM.
const SAME_HOOKS_WITHOUT_LSM: [&str; 40] = [
    "capability_",
    "copies_of",
    "credentials_",
    "datagrams_",
    "drops_",
    "exec_",
    "families_",
    "file_filter_by",
    "file_filter_for_a",
    "file_filter_l",
    "file_filter_with",
    "flows_",
    "kernel_c",
    "memory_calls",
    "memory_file",
    "names_",
    "namespace",
    "packets_of",
    "process_",
    "reverse_shell",
    "same_ends",
    "segments_",
    "services_",
    "signals_",
    "sigterm",
    "sockets_as_standard",
    "tcp_attempt",
    "tcp_bytes",
    "tcp_connection",
    "tcp_ipv6",
    "tcp_long",
    "tcp_older",
    "tcp_on_a_slow",
    "tcp_re",
    "tcp_sockets",
    "tcp_un",
    "tcp_updates",
    "verdicts_",
    "without_",
    "by_32_bit",
];

/// Tests of what is the same program on the same hook as on the kernels before and after it: of each family one test shows
/// that the kernel admits it and tells what it does.
const SAME_AS_ITS_NEIGHBOURS: [&str; 40] = [
    "process_ended",
    "process_threads",
    "process_from",
    "process_long",
    "process_secrets",
    "tcp_ipv6",
    "tcp_reset",
    "tcp_refused",
    "tcp_attempt",
    "tcp_accepted",
    "tcp_unreachable",
    "tcp_on_a_slow",
    "tcp_connection",
    "tcp_older_connection_that",
    "datagrams_of_one",
    "datagrams_that",
    "exec_of_a_s",
    "exec_with",
    "exec_notes",
    "exec_from",
    "fork_with",
    "process_1_of",
    "by_32_bit",
    "capability_set",
    "file_names",
    "file_filter",
    "file_operations_on",
    "file_operations_that",
    "namespace_operations",
    "kernel_calls",
    "memory_calls",
    "sockets_that",
    "signals_within",
    "signals_to",
    "copies_of",
    "families_switched",
    "sigterm",
    "without_a_cgroup",
    "same_ends",
    "names_",
];

/// The kernels of the matrix, oldest first.
pub(crate) const KERNELS: [Kernel; 5] = [
    // Has no bpf_get_current_task_btf for socket programs: connections are seen without their processes.
    Kernel { is_supported: false, ..kernel("5.10", "bullseye") },
    kernel("6.1", "bookworm"),
    // As distributions other than Debian build it: the fentry rung where Debian's own takes the LSM rung.
    Kernel {
        parameters: "lsm=lockdown,capability,yama",
        left_out: &SAME_HOOKS_WITHOUT_LSM,
        ..kernel("6.1-no-bpf-lsm", "bookworm")
    },
    Kernel { left_out: &SAME_AS_ITS_NEIGHBOURS, ..kernel("6.12", "trixie") },
    Kernel { left_out: &SAME_AS_ITS_NEIGHBOURS, ..kernel("newest", "sid") },
];

/// Modules that tests need and that Debian does not build in, in the order in which they load.
pub(crate) const KERNEL_MODULES: [&str; 14] = [
    "llc",
    "stp",
    "bridge",
    "veth",
    "sch_ingress",
    "sch_netem",
    "cls_bpf",
    "overlay",
    "inet_diag",
    "tcp_diag",
    "libcrc32c",
    "udp_tunnel",
    "ip6_udp_tunnel",
    "sctp",
];
