//! What flags and environment variables set. clap takes the flag where both are given.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::api::Audiences;
use super::ledger::{FsyncWhen, ShipUrl};
use super::values::NoneOr;
use super::{
    AbsolutePath, AutoOr, Config, ConntrackOf, DialectChoice, DrainSeconds, LogFormat, Output, Place,
    RingBytes, Url, WaitMilliseconds,
};

/// Flags over the keys of the configuration file.
#[derive(clap::Args, Default, Debug)]
pub(crate) struct ConfigFlags {
    /// Name of this node in records [default: the host name]
    #[arg(long, env = "WATCHFIRE_NODE_NAME", value_name = "NAME")]
    node_name: Option<String>,
    /// Inventory file: pods, nodes, namespaces and services
    #[arg(long, env = "WATCHFIRE_INVENTORY", value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Folder of Kubernetes manifests, in place of a cluster
    #[arg(long, env = "WATCHFIRE_MANIFESTS", value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// The Kubernetes API: that of the pod that the agent runs in, none, or by a kubeconfig file
    #[arg(long, env = "WATCHFIRE_KUBERNETES", value_name = "auto|none|KUBECONFIG")]
    kubernetes: Option<AutoOr<Place>>,
    /// The node's kubelet, which tells the node's pods while the API does not
    #[arg(long, env = "WATCHFIRE_KUBELET", value_name = "auto|none|URL")]
    kubelet: Option<AutoOr<Url>>,
    /// Whether to take any certificate for the kubelet's
    #[arg(long, env = "WATCHFIRE_KUBELET_INSECURE_TLS", value_name = "BOOL")]
    kubelet_insecure_tls: Option<bool>,
    /// Socket of the container runtime (CRI)
    #[arg(long, env = "WATCHFIRE_CONTAINER_RUNTIME", value_name = "auto|none|SOCKET")]
    container_runtime: Option<AutoOr<Place>>,
    /// Name of the cluster in records and metrics
    #[arg(long, env = "WATCHFIRE_CLUSTER_NAME", value_name = "NAME")]
    cluster_name: Option<String>,
    /// How long a record waits at most until it is known who it is about
    #[arg(long, env = "WATCHFIRE_ENRICHMENT_WAIT", value_name = "MILLISECONDS")]
    enrichment_wait: Option<WaitMilliseconds>,
    /// Directory with policy files (*.yaml, *.yml, *.json)
    #[arg(long, env = "WATCHFIRE_POLICIES", value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Directory with policies that are judged beside those in force
    #[arg(long, env = "WATCHFIRE_CANDIDATES", value_name = "DIR")]
    candidates: Option<PathBuf>,
    /// Whose reading of policies is followed
    #[arg(long, env = "WATCHFIRE_DIALECT", value_name = "auto|k8s|cilium")]
    dialect: Option<DialectChoice>,
    /// Network namespace whose connection tracking tells the backends of services
    #[arg(long, env = "WATCHFIRE_CONNTRACK", value_name = "host|none|PATH")]
    conntrack: Option<ConntrackOf>,
    /// Whether to replace what looks like a secret in process arguments
    #[arg(long, env = "WATCHFIRE_REDACT_ARGS", value_name = "BOOL")]
    redact_args: Option<bool>,
    /// Longest time to drain at the end
    #[arg(long, env = "WATCHFIRE_DRAIN_TIMEOUT", value_name = "SECONDS")]
    drain_timeout: Option<DrainSeconds>,
    /// Where the event log goes: - (stdout), none, or a file that is rotated
    #[arg(long, env = "WATCHFIRE_OUTPUT", value_name = "-|none|FILE")]
    output: Option<Output>,
    /// Size at which the event log file is rotated
    #[arg(long, env = "WATCHFIRE_OUTPUT_FILE_BYTES_MAX", value_name = "BYTES")]
    output_file_bytes_max: Option<u64>,
    /// Event log files that are kept, the one being written included
    #[arg(long, env = "WATCHFIRE_OUTPUT_FILES_MAX", value_name = "COUNT")]
    output_files_max: Option<u32>,
    /// Directory of the ledger, in which everything that is told is recorded
    #[arg(long, env = "WATCHFIRE_LEDGER", value_name = "DIR|none")]
    ledger: Option<NoneOr<AbsolutePath>>,
    /// When the ledger is synced to its disk: within a second, or with each frame
    #[arg(long, env = "WATCHFIRE_LEDGER_FSYNC", value_name = "within|always")]
    ledger_fsync: Option<FsyncWhen>,
    /// Object store that sealed parts of the ledger are shipped to: s3://BUCKET[/PREFIX] or file:///DIR
    #[arg(long, env = "WATCHFIRE_LEDGER_SHIP", value_name = "URL|none")]
    ledger_ship: Option<NoneOr<ShipUrl>>,
    /// Address for /metrics, /healthz and /readyz
    #[arg(long, env = "WATCHFIRE_METRICS_LISTEN", value_name = "ADDRESS|none")]
    metrics_listen: Option<NoneOr<SocketAddr>>,
    /// Socket for `watchfire observe`
    #[arg(long, env = "WATCHFIRE_SOCKET", value_name = "PATH|none")]
    socket: Option<NoneOr<PathBuf>>,
    /// Socket of the HTTP API [default: api.sock beside the socket for `watchfire observe`]
    #[arg(long, env = "WATCHFIRE_API_SOCKET", value_name = "auto|none|PATH")]
    api_socket: Option<AutoOr<Place>>,
    /// Address for the HTTP API over TCP; it wants a certificate, its key and a way to know tokens
    #[arg(long, env = "WATCHFIRE_API_LISTEN", value_name = "ADDRESS|none")]
    api_listen: Option<NoneOr<SocketAddr>>,
    /// Certificate of the HTTP API over TCP (PEM)
    #[arg(long, env = "WATCHFIRE_API_CERTIFICATE", value_name = "FILE")]
    api_certificate: Option<AbsolutePath>,
    /// Key of that certificate (PEM)
    #[arg(long, env = "WATCHFIRE_API_KEY", value_name = "FILE")]
    api_key: Option<AbsolutePath>,
    /// Hashed tokens of those who may ask the HTTP API over TCP
    #[arg(long, env = "WATCHFIRE_API_TOKENS", value_name = "FILE|none")]
    api_tokens: Option<NoneOr<AbsolutePath>>,
    /// Whether the Kubernetes API is asked about tokens that no file has
    #[arg(long, env = "WATCHFIRE_API_TOKEN_REVIEW", value_name = "BOOL")]
    api_token_review: Option<bool>,
    /// Audiences that such a token has to be for one of, with commas between [default: that of the Kubernetes API]
    #[arg(long, env = "WATCHFIRE_API_TOKEN_AUDIENCES", value_name = "AUDIENCES")]
    api_token_audiences: Option<Audiences>,
    /// Size of each ring for the bulk of events, a power of two
    #[arg(long, env = "WATCHFIRE_RING_BYTES", value_name = "BYTES")]
    ring_bytes: Option<RingBytes>,
    /// Size of the ring for process life, credentials, namespaces and kernel code, a power of two
    #[arg(long, env = "WATCHFIRE_PRIORITY_RING_BYTES", value_name = "BYTES")]
    priority_ring_bytes: Option<RingBytes>,
    /// Folder of a BPF filesystem that keeps programs and maps while no agent runs
    #[arg(long, env = "WATCHFIRE_PIN", value_name = "PATH|none")]
    pin: Option<NoneOr<AbsolutePath>>,
    /// Whether the kernel counts runs and run time of the programs
    #[arg(long, env = "WATCHFIRE_PROGRAM_STATISTICS", value_name = "BOOL")]
    program_statistics: Option<bool>,
    /// Whether to compare what the kernel programs tell of a child process with /proc at start
    #[arg(long, env = "WATCHFIRE_SELF_TEST", value_name = "BOOL")]
    self_test: Option<bool>,
    /// What to log, e.g. info or info,watchfire_sensor=debug
    #[arg(long, env = "WATCHFIRE_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// Form of log lines
    #[arg(long, env = "WATCHFIRE_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

impl ConfigFlags {
    /// Puts what is set over what `config` has.
    pub(super) fn apply(&self, config: &mut Config) {
        // Exhaustive, so that no new flag is forgotten here.
        let Self {
            node_name,
            inventory,
            manifests,
            kubernetes,
            kubelet,
            kubelet_insecure_tls,
            container_runtime,
            cluster_name,
            enrichment_wait,
            policies,
            candidates,
            dialect,
            conntrack,
            redact_args,
            drain_timeout,
            output,
            output_file_bytes_max,
            output_files_max,
            ledger,
            ledger_fsync,
            ledger_ship,
            metrics_listen,
            socket,
            api_socket,
            api_listen,
            api_certificate,
            api_key,
            api_tokens,
            api_token_review,
            api_token_audiences,
            ring_bytes,
            priority_ring_bytes,
            pin,
            program_statistics,
            self_test,
            log,
            log_format,
        } = self;
        set_some(&mut config.node_name, node_name);
        set_some(&mut config.inventory, inventory);
        set_some(&mut config.manifests, manifests);
        set(&mut config.kubernetes.api, kubernetes);
        set(&mut config.kubernetes.kubelet, kubelet);
        set(&mut config.kubernetes.kubelet_insecure_tls, kubelet_insecure_tls);
        set(&mut config.container_runtime, container_runtime);
        set_some(&mut config.cluster_name, cluster_name);
        set(&mut config.enrichment.wait_milliseconds, enrichment_wait);
        set_some(&mut config.policies, policies);
        set_some(&mut config.policy.candidates, candidates);
        set(&mut config.policy.dialect, dialect);
        set(&mut config.conntrack, conntrack);
        set(&mut config.redact_args, redact_args);
        set(&mut config.drain_timeout_seconds, drain_timeout);
        set(&mut config.output.to, output);
        set(&mut config.output.file_bytes_max, output_file_bytes_max);
        set(&mut config.output.files_max, output_files_max);
        set(&mut config.ledger.dir, &ledger.clone().map(|NoneOr(dir)| dir));
        set(&mut config.ledger.fsync, ledger_fsync);
        set(&mut config.ledger.ship.url, &ledger_ship.clone().map(|NoneOr(url)| url));
        set(&mut config.metrics.listen, &metrics_listen.clone().map(|NoneOr(listen)| listen));
        set(&mut config.observe.socket, &socket.clone().map(|NoneOr(socket)| socket));
        set(&mut config.api.socket, api_socket);
        set(&mut config.api.listen, &api_listen.clone().map(|NoneOr(listen)| listen));
        set_some(&mut config.api.certificate, api_certificate);
        set_some(&mut config.api.key, api_key);
        set(&mut config.api.tokens, &api_tokens.clone().map(|NoneOr(tokens)| tokens));
        set(&mut config.api.token_review, api_token_review);
        set(&mut config.api.token_audiences, api_token_audiences);
        set(&mut config.sensor.ring_bytes, ring_bytes);
        set(&mut config.sensor.priority_ring_bytes, priority_ring_bytes);
        set(&mut config.sensor.pin, &pin.clone().map(|NoneOr(pin)| pin));
        set(&mut config.sensor.program_statistics, program_statistics);
        set(&mut config.sensor.self_test, self_test);
        set(&mut config.log.filter, log);
        set(&mut config.log.format, log_format);
    }
}

fn set<T: Clone>(value: &mut T, flag: &Option<T>) {
    if let Some(flag) = flag {
        *value = flag.clone();
    }
}

fn set_some<T: Clone>(value: &mut Option<T>, flag: &Option<T>) {
    if flag.is_some() {
        value.clone_from(flag);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        flags: ConfigFlags,
    }

    #[test]
    fn flags_stand_over_the_file() {
        let mut config =
            Config { node_name: Some("file".to_owned()), redact_args: false, ..Config::default() };
        let flags = [
            "x",
            "--node-name",
            "flag",
            "--output",
            "none",
            "--ring-bytes",
            "65536",
            "--pin",
            "/sys/fs/bpf/watchfire",
            "--conntrack",
            "none",
            "--metrics-listen",
            "none",
        ];
        Command::parse_from(flags).flags.apply(&mut config);
        assert_eq!(config.node_name.as_deref(), Some("flag"));
        assert_eq!((config.output.to, config.sensor.ring_bytes.get()), (Output::Nowhere, 65536));
        assert_eq!(config.metrics.listen, None);
        assert!(config.sensor.pin.is_some());
        assert_eq!(config.conntrack.namespace(), None);
        assert!(!config.redact_args, "not given, so the file's");
    }

    #[test]
    fn the_api_needs_no_file_to_be_had_over_tcp() {
        let mut config = Config::default();
        let flags = [
            ["--api-listen", "0.0.0.0:9465"],
            ["--api-certificate", "/a/tls.crt"],
            ["--api-key", "/a/tls.key"],
            ["--api-token-review", "true"],
            ["--api-token-audiences", "watchfire,https://api"],
        ];
        let flags = ["x"].iter().chain(flags.iter().flatten());
        Command::parse_from(flags).flags.apply(&mut config);
        let (_, files) = config.api.tcp().unwrap().unwrap();
        assert_eq!(files.tokens, None);
        let (_, audiences) = config.api.token_review(&config.kubernetes).unwrap().unwrap();
        assert_eq!(audiences, ["watchfire", "https://api"]);
        assert!(Command::try_parse_from(["x", "--api-token-audiences", "a,,b"]).is_err());
    }

    #[test]
    fn wrong_values_are_refused() {
        for flags in
            [["x", "--ring-bytes", "1000"], ["x", "--metrics-listen", "9464"], ["x", "--log-format", "xml"]]
        {
            assert!(Command::try_parse_from(flags).is_err(), "{flags:?}");
        }
    }
}
