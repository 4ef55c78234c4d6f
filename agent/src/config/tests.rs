use watchfire_inventory::parse_yaml;
use watchfire_kubernetes::Access;

use super::*;

const EXAMPLE: &str = include_str!("../../config.example.yaml");

fn parse(text: &str) -> Result<Config, String> {
    parse_yaml(Path::new("config.yaml"), text).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_exactly_the_defaults() {
    assert_eq!(parse(EXAMPLE).unwrap(), Config::default());
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn what_is_deployed_can_be_read_and_keeps_a_ledger() {
    for (name, text) in [
        ("base", include_str!("../../../deploy/base/config.yaml")),
        ("dev", include_str!("../../../deploy/overlays/dev/config.yaml")),
        ("staging", include_str!("../../../deploy/overlays/staging/config.yaml")),
        ("production", include_str!("../../../deploy/overlays/production/config.yaml")),
    ] {
        let config = parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(config.ledger.config("node", "0").is_some(), "{name}");
        assert_eq!(config.cluster_name.as_deref(), (name != "base").then_some(name));
    }
}

#[test]
fn the_example_names_every_key() {
    // The unknown key makes serde list the known ones of each map.
    for map in [
        "",
        "kubernetes",
        "enrichment",
        "policy",
        "policy.cilium",
        "redaction",
        "output",
        "ledger",
        "metrics",
        "observe",
        "api",
        "sensor",
        "sensor.families",
        "sensor.files",
        "sensor.rate",
        "flows",
        "findings",
        "log",
    ] {
        let maps = map.rsplit('.').filter(|map| !map.is_empty());
        let text = maps.fold("{no-such-key: 1}".to_owned(), |inner, map| format!("{{{map}: {inner}}}"));
        let error = parse(&text).unwrap_err();
        let (_, keys) = error.rsplit_once("expected one of ").unwrap_or_else(|| error.split_at(error.len()));
        for key in keys.split(", ").filter(|key| !key.is_empty()) {
            assert!(EXAMPLE.contains(&format!("{key}:")), "{map}.{key} is not in config.example.yaml");
        }
    }
}

#[test]
fn mistakes_are_named() {
    for (text, expected) in [
        ("nodeName: [a]", "config.yaml:1:11: nodeName: expected a text"),
        (
            "metrics:\n  listen: localhost\n",
            "config.yaml:2:11: metrics.listen: invalid socket address syntax",
        ),
        (
            "conntrack: self",
            "config.yaml:1:12: conntrack: found `self`, expected host, none or an absolute path",
        ),
        (
            "kubernetes: {api: kubeconfig}",
            "config.yaml:1:19: kubernetes.api: found `kubeconfig`, expected auto, none or an absolute path",
        ),
        (
            "kubernetes: {kubelet: 10.0.0.1}",
            "config.yaml:1:23: kubernetes.kubelet: found `10.0.0.1`, expected auto, none or a URL that begins with https:// or http://",
        ),
        (
            "policy: {dialect: calico}",
            "config.yaml:1:19: policy.dialect: unknown variant `calico`, expected one of auto, k8s, cilium",
        ),
        (
            "policy: {cilium: {enable-policy: sometimes}}",
            "config.yaml:1:34: policy.cilium.enable-policy: unknown variant `sometimes`, expected one of default, always, never",
        ),
        (
            "policy: {modes: {shop: enforce}}",
            "config.yaml:1:24: policy.modes.shop: unknown variant `enforce`, expected one of candidate, watch",
        ),
        (
            "policy: {staleWindowSeconds: 61}",
            "config.yaml:1:30: policy.staleWindowSeconds: found 61, expected a whole number from 0 to 60",
        ),
        (
            "enrichment: {waitMilliseconds: 20000}",
            "config.yaml:1:32: enrichment.waitMilliseconds: found 20000, expected a whole number from 0 to 10000",
        ),
        ("redactArgs: sometimes", "config.yaml:1:13: redactArgs: expected true or false"),
        (
            "sensor:\n  ringBytes: 1000\n",
            "config.yaml:2:14: sensor.ringBytes: found 1000, expected a power of two from 4096 to 1073741824",
        ),
        (
            "log: {format: xml}",
            "config.yaml:1:15: log.format: unknown variant `xml`, expected one of text, json",
        ),
        (
            "sensor:\n  files:\n    read:\n    - /etc/shadow\n    - etc/passwd\n",
            "config.yaml:5:7: sensor.files.read[1]: found `etc/passwd`, expected an absolute path",
        ),
        (
            "sensor: {files: {write: [/etc/*.conf]}}",
            "config.yaml:1:26: sensor.files.write[0]: found `/etc/*.conf`, expected `*` as a whole component: it stands for any one",
        ),
        (
            "sensor: {files: {write: [/etc/../x]}}",
            "config.yaml:1:26: sensor.files.write[0]: found `/etc/../x`, expected a path without empty components, `.` and `..`",
        ),
        (
            "sensor:\n  capabilities: [CAP_SYS_ADMIN, CAP_EVERYTHING]\n",
            "config.yaml:2:33: sensor.capabilities[1]: found `CAP_EVERYTHING`, expected the name of a capability, such as CAP_SYS_ADMIN",
        ),
        (
            "sensor: {environment: [A=b]}",
            "config.yaml:1:24: sensor.environment[0]: found `A=b`, expected the name of a variable, or its beginning and `*` for any rest",
        ),
        (
            "flows: {updateIntervalSeconds: 100000}",
            "config.yaml:1:32: flows.updateIntervalSeconds: found 100000, expected a whole number from 0 to 86400",
        ),
        (
            "ledger: {fsync: sometimes}",
            "config.yaml:1:17: ledger.fsync: unknown variant `sometimes`, expected one of within, always",
        ),
        (
            "ledger: {segmentBytes: 10}",
            "config.yaml:1:24: ledger.segmentBytes: found 10, expected a whole number from 65536 to 268435456",
        ),
        (
            "ledger: {ship: {url: forensics}}",
            "config.yaml:1:22: ledger.ship.url: found `forensics`, expected s3://BUCKET[/PREFIX] or file:///DIRECTORY",
        ),
        (
            "ledger: {ship: {url: 's3://id:hush@bucket'}}",
            "config.yaml:1:22: ledger.ship.url: expected s3://BUCKET[/PREFIX] or file:///DIRECTORY, without user, query or fragment",
        ),
        (
            "ledger: {ship: {concurrency: 0}}",
            "config.yaml:1:30: ledger.ship.concurrency: found 0, expected a whole number from 1 to 16",
        ),
        (
            "findings: {uncoveredFlow: sometimes}",
            "config.yaml:1:27: findings.uncoveredFlow: unknown variant `sometimes`, expected one of always, with-policies, never",
        ),
        (
            "findings: {intervalSeconds: 0}",
            "config.yaml:1:29: findings.intervalSeconds: found 0, expected a whole number from 1 to 86400",
        ),
        (
            "sensor: {pin: bpf/watchfire}",
            "config.yaml:1:15: sensor.pin: found `bpf/watchfire`, expected an absolute path",
        ),
        (
            "flows: {tlsPorts: [443, 0]}",
            "config.yaml:1:25: flows.tlsPorts[1]: found 0, expected a port from 1 to 65535",
        ),
        (
            "redaction:\n  patterns:\n  - 'ok'\n  - 'a('\n",
            "config.yaml:4:5: redaction.patterns[1]: found `a(`, expected a regular expression (unclosed group)",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), expected);
    }
    let error = parse("metrics: {port: 1}").unwrap_err();
    assert!(error.starts_with("config.yaml:1:11: metrics.port: unknown field `port`, expected"), "{error}");
}

#[test]
fn who_is_who_comes_from_one_place() {
    let error = |text: &str| parse(text).unwrap().check().unwrap_err().to_string();
    assert_eq!(
        error("{inventory: /a, kubernetes: {api: /b}}"),
        "inventory and kubernetes.api are both set, expected one of them: each tells all pods"
    );
    assert!(error("{inventory: /a, clusterCIDRs: [10.0.0.0/8]}").contains("within the inventory file"));
    assert!(parse("{manifests: /a, clusterCIDRs: [10.0.0.0/8]}").unwrap().check().is_ok());
}

#[test]
fn what_is_shipped_is_the_ledger() {
    let check = |more: &str| parse(&format!("{{{more}ship: {{url: 'file:///store'}}}}}}")).unwrap().check();
    let error = |more: &str| check(more).unwrap_err().to_string();
    assert!(error("ledger: {").starts_with("ledger.ship.url is set without ledger.dir"));
    assert!(error("ledger: {dir: /a, ").starts_with("ledger.ship.url is set without clusterName"));
    assert!(check("clusterName: lab, ledger: {dir: /a, ").is_ok());
}

#[test]
fn limits_are_named() {
    let list = |entry: &str, entries: usize| vec![entry; entries].join(", ");
    for (text, expected) in [
        (
            format!("sensor:\n  files:\n    read: [{}]\n", list("/a", 257)),
            "config.yaml:3:11: sensor.files.read: found 257 entries, expected at most 256",
        ),
        (
            format!("sensor: {{files: {{inodes: [{}]}}}}", list("/a", 1025)),
            "config.yaml:1:26: sensor.files.inodes: found 1025 entries, expected at most 1024",
        ),
        (
            format!("flows: {{tlsPorts: [{}]}}", list("1", 257)),
            "config.yaml:1:19: flows.tlsPorts: found 257 entries, expected at most 256",
        ),
        (
            format!("redaction: {{patterns: [{}]}}", list("a", 65)),
            "config.yaml:1:23: redaction.patterns: found 65 entries, expected at most 64",
        ),
    ] {
        assert_eq!(parse(&text).unwrap_err(), expected);
    }
}

#[test]
fn what_is_configured_is_masked_and_kept() {
    let text =
        "redaction: {names: [vault-pin], patterns: ['id-([0-9]+)']}\nsensor: {environment: [LANG, 'LC_*']}\n";
    let config = parse(text).unwrap();
    let intake = config.intake();
    assert_eq!(intake.environment.len(), 2);
    let args = ["x", "--vault-pin=1", "id-7"].map(str::to_owned).to_vec();
    assert_eq!(intake.redactor.unwrap().args(args).0, ["x", "--vault-pin=REDACTED", "id-REDACTED"]);
    assert!(config.sensor.options(&config.flows, None).environment);
    assert!(parse("redactArgs: false").unwrap().intake().redactor.is_none());
}

#[test]
fn the_api_is_not_had_over_tcp_without_tls_and_tokens() {
    let config = |api: &str| {
        let config = parse(&format!("api: {{{api}}}")).unwrap();
        config.check().map_err(|error| error.to_string())
    };
    let files = [("certificate", "/a"), ("key", "/b"), ("tokens", "/c")];
    for missing in 0..files.len() {
        let others = (0..files.len()).filter(|at| *at != missing);
        let others: String = others.map(|at| format!(", {}: {}", files[at].0, files[at].1)).collect();
        let error = config(&format!("listen: 0.0.0.0:9465{others}")).unwrap_err();
        let expected = format!("api.listen is 0.0.0.0:9465 and api.{} is not set: ", files[missing].0);
        assert!(error.starts_with(&expected), "{error}");
    }
    assert_eq!(config("listen: 0.0.0.0:9465, certificate: /a, key: /b, tokens: /c"), Ok(()));
    assert_eq!(config("certificate: /a"), Ok(()));
    // Kubernetes knows tokens, too.
    assert_eq!(config("listen: 0.0.0.0:9465, certificate: /a, key: /b, tokenReview: true"), Ok(()));
    let error = config("listen: 0.0.0.0:9465, key: /b, tokenReview: true").unwrap_err();
    assert!(error.contains("api.certificate is not set"), "{error}");
}

#[test]
fn tokens_are_asked_of_kubernetes_where_there_is_one() {
    let review = |text: &str| {
        let config = parse(text).unwrap();
        config.check().map_err(|error| error.to_string())?;
        config.api.token_review(&config.kubernetes).map_err(|error| error.to_string())
    };
    assert_eq!(review(""), Ok(None));
    assert_eq!(review("api: {tokenReview: true}"), Ok(Some((Access::Automatic, vec![]))));
    // Who is who may come from somewhere else.
    let other = review("{api: {tokenReview: true, tokenAudiences: [a, b]}, manifests: /m}");
    assert_eq!(other, Ok(Some((Access::Automatic, vec!["a".to_owned(), "b".to_owned()]))));
    let file = review("{api: {tokenReview: true}, kubernetes: {api: /k}}").unwrap().unwrap().0;
    assert_eq!(file, Access::Kubeconfig { file: "/k".into(), context: None });
    let error = review("{api: {tokenReview: true}, kubernetes: {api: none}}").unwrap_err();
    assert!(error.starts_with("api.tokenReview is true and kubernetes.api is none"), "{error}");
    let error = review("api: {tokenAudiences: [a]}").unwrap_err();
    assert!(error.starts_with("api.tokenAudiences is set without api.tokenReview"), "{error}");
    assert!(parse("api: {tokenAudiences: ['']}").unwrap_err().contains("expected an audience"));
}

#[test]
fn the_api_is_beside_the_observe_socket() {
    let socket = |text: &str| {
        let config = parse(text).unwrap();
        config.api.socket(config.observe.socket.as_ref())
    };
    assert_eq!(socket(""), Some(PathBuf::from("/run/watchfire/api.sock")));
    assert_eq!(socket("observe: {socket: /x/observe.sock}"), Some(PathBuf::from("/x/api.sock")));
    assert_eq!(socket("observe: {socket: null}"), None);
    assert_eq!(socket("api: {socket: none}"), None);
    assert_eq!(
        socket("{api: {socket: /y/a.sock}, observe: {socket: null}}"),
        Some(PathBuf::from("/y/a.sock"))
    );
}
