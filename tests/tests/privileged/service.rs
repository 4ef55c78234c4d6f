//! Connections to services, translated by the kernel as kube-proxy has it done: pods in network namespaces of their own behind
//! a node's, in which the addresses of services are rewritten.

use std::process::Command;

use serde_json::{Value, json};
use watchfire_tests::{Agent, AgentCommand, cgroup2_root, watchfire};

use crate::peer::Peer;
use crate::running::{TestCgroup, command, metric, metric_until, only, ready};

/// The client and three backends: of the first and the third policy says the same, of the second something else.
const PODS: [(&str, &str); 4] = [("client", "client"), ("good", "good"), ("bad", "bad"), ("better", "good")];

const INVENTORY: &str = "
clusterCIDRs: [10.97.0.0/24]
nodes:
  - {name: node, ips: [10.97.0.254]}
namespaces:
  - {name: shop}
pods:
  - {namespace: shop, name: client, uid: 22222222-0000-4000-8000-000000000001, ips: [10.97.0.1, 'fd97::1'], labels: {app: client}}
  - {namespace: shop, name: good, uid: 22222222-0000-4000-8000-000000000002, ips: [10.97.0.2, 'fd97::2'], labels: {app: good}, ports: [{name: http, port: 8080}]}
  - {namespace: shop, name: bad, uid: 22222222-0000-4000-8000-000000000003, ips: [10.97.0.3, 'fd97::3'], labels: {app: bad}, ports: [{name: http, port: 8080}]}
  - {namespace: shop, name: better, uid: 22222222-0000-4000-8000-000000000004, ips: [10.97.0.4, 'fd97::4'], labels: {app: good}}
services:
  - namespace: shop
    name: mixed
    clusterIPs: [10.98.0.10, 10.98.0.11, 'fd98::10']
    ports: [{port: 80, targetPort: http}]
    endpoints: [{ip: 10.97.0.2}, {ip: 10.97.0.3}, {ip: 'fd97::2'}, {ip: 'fd97::3'}]
  - namespace: shop
    name: alike
    clusterIPs: [10.98.0.12]
    ports: [{port: 80, targetPort: 8080}]
    endpoints: [{ip: 10.97.0.2}, {ip: 10.97.0.4}]
  - namespace: shop
    name: single
    clusterIPs: [10.98.0.13]
    ports: [{port: 80}]
    endpoints: [{ip: 10.97.0.2, port: 8080}]
";

const POLICIES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: to-good, namespace: shop}
spec:
  podSelector: {matchLabels: {app: good}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: client}}}]
      ports: [{port: 8080}]
";

/// Where the kernel leads connections: the address of a service, and the address of a backend. The last but one is of no
/// service in the inventory.
const TRANSLATIONS: [(&str, &str); 5] = [
    ("10.98.0.10:80", "10.97.0.3:8080"),
    ("10.98.0.11:80", "10.97.0.2:8080"),
    ("10.98.0.12:80", "10.97.0.4:8080"),
    ("10.98.0.13:80", "10.97.0.2:8080"),
    ("10.97.0.200:80", "10.97.0.2:8080"),
];
const TRANSLATION_V6: (&str, &str) = ("[fd98::10]:80", "[fd97::3]:8080");

/// A node's network namespace with pods behind it.
struct Node {
    holder: Peer,
    cgroups: Vec<TestCgroup>,
}

impl Node {
    /// Makes the namespaces; `rules` is the end of a shell script that makes the kernel translate.
    fn new(rules: &str) -> Self {
        let mut script = String::from(
            "set -e\n\
             mount -t tmpfs tmpfs /run\n\
             ip link set lo up\n\
             ip addr add 10.97.0.254/32 dev lo\n\
             echo 1 > /proc/sys/net/ipv4/ip_forward\n\
             echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\n",
        );
        for pod in 1..=PODS.len() {
            script += &format!(
                "ip netns add pod{pod}\n\
                 ip link add v{pod} type veth peer name eth0 netns pod{pod}\n\
                 ip link set v{pod} up\n\
                 ip addr add fe80::1/64 dev v{pod} nodad\n\
                 ip -n pod{pod} link set lo up\n\
                 ip -n pod{pod} link set eth0 up\n\
                 ip -n pod{pod} addr add 10.97.0.{pod}/32 dev eth0\n\
                 ip -n pod{pod} addr add fd97::{pod}/128 dev eth0 nodad\n\
                 ip -n pod{pod} route add 10.97.0.254 dev eth0\n\
                 ip -n pod{pod} route add default via 10.97.0.254\n\
                 ip -n pod{pod} route add default via fe80::1 dev eth0\n\
                 ip route add 10.97.0.{pod} dev v{pod}\n\
                 ip route add fd97::{pod} dev v{pod}\n",
            );
        }
        // The node's own connections to services leave by some route before they are translated.
        script += "ip route add 10.98.0.0/24 dev v1 src 10.97.0.254\n";
        script += rules;
        script += "\necho ready\nread line\n";
        let mut namespace = Command::new("unshare");
        namespace.args(["--net", "--mount", "/bin/sh", "-c", &script]);
        let mut holder = Peer::start_by(namespace, "");
        assert_eq!(holder.line(), "ready", "the node's network could not be made");
        let cgroup = |pod| {
            TestCgroup::new(&format!(
                "kubepods/burstable/pod22222222-0000-4000-8000-00000000000{pod}/container"
            ))
        };
        Self { holder, cgroups: (1..=PODS.len()).map(cgroup).collect() }
    }

    /// The file that the node's network namespace is entered by.
    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.pid())
    }

    /// Runs backends in their pods, then connects to addresses from the client's pod, and to the first of them from the
    /// node itself.
    fn connect(&self, addresses: &[&str]) {
        let in_pod = |pod: usize, role: &str| {
            let join = format!(
                "echo $$ > {}/{}/cgroup.procs",
                cgroup2_root().unwrap().display(),
                self.cgroups[pod].path
            );
            let enter = format!("exec nsenter --net=/run/netns/pod{} \"$PEER\"", pod + 1);
            format!("WATCHFIRE_TEST_PEER='{role}' /bin/sh -c '{join}; {enter}' <&3")
        };
        let mut script = String::from("exec 3<&0\n");
        for pod in 1..PODS.len() {
            // Both families.
            script += &format!("{} &\n", in_pod(pod, "serve [::]:8080 9"));
        }
        script += "sleep 1\n";
        for address in addresses {
            script += &format!("{}\n", in_pod(0, &format!("connect {address} 4")));
        }
        script +=
            &format!("WATCHFIRE_TEST_PEER='connect {} 4' \"$PEER\"\necho done\nread line\n", addresses[0]);
        let holder = self.holder.pid().to_string();
        let mut node = Command::new("nsenter");
        node.args(["--target", &holder, "--net", "--mount", "/bin/sh", "-c", &script]);
        let mut peers = Peer::start_by(node, "");
        let mut answers = 0;
        loop {
            match peers.line().as_str() {
                "done" => break,
                "received 9" => answers += 1,
                "8080" => {}
                other => panic!("a peer says {other:?}"),
            }
        }
        assert_eq!(answers, addresses.len() + 1, "each connection has its answer");
    }
}

fn agent(command: AgentCommand) -> Agent {
    let command = command.with_file("inventory.yaml", INVENTORY).with_file("policies/shop.yaml", POLICIES);
    ready(command.start())
}

/// Both records of the client's end of a connection to an address, which say the same of where it led.
fn flow_to(agent: &Agent, client: &str, address: &str) -> Value {
    let record = |stage: &str| {
        agent.record(&format!("{stage} of {client} to {address}"), |record| {
            record["type"] == "flow"
                && record["stage"] == stage
                && record["side"] == "client"
                && record["server"]["address"] == address
                && (record["client"]["pod"]["name"] == client || record["client"]["detail"] == client)
        })
    };
    let (open, close) = (record("open"), record("close"));
    for field in ["server", "verdict", "because"] {
        assert_eq!(open[field], close[field], "{field}: {open} {close}");
    }
    close
}

fn translated(rules: &str) {
    let node = Node::new(rules);
    let agent = agent(command(&[
        "--inventory",
        "inventory.yaml",
        "--policies",
        "policies",
        "--conntrack",
        &node.namespace(),
    ]));
    let addresses = TRANSLATIONS.iter().chain([&TRANSLATION_V6]).map(|(address, _)| *address);
    node.connect(&addresses.collect::<Vec<_>>());

    let denied = "isolated by NetworkPolicy/shop/default-deny";
    let allowed = "NetworkPolicy/shop/to-good ingress[0]";
    for ((address, backend), pod, service, outcome, because) in [
        (TRANSLATIONS[0], "bad", Some("mixed"), "denied", denied),
        (TRANSLATIONS[1], "good", Some("mixed"), "allowed", allowed),
        (TRANSLATIONS[2], "better", Some("alike"), "allowed", allowed),
        (TRANSLATIONS[3], "good", Some("single"), "allowed", allowed),
        (TRANSLATIONS[4], "good", None, "allowed", allowed),
        (TRANSLATION_V6, "bad", Some("mixed"), "denied", denied),
    ] {
        let record = flow_to(&agent, "client", address);
        let server = &record["server"];
        assert_eq!(server["backend"], json!({"address": backend, "by": "conntrack"}), "{record}");
        assert_eq!(server["pod"]["name"], pod, "{record}");
        let service = service.map_or(Value::Null, |name| json!({"namespace": "shop", "name": name}));
        assert_eq!(server["service"], service, "{record}");
        assert_eq!(record["verdict"]["outcome"], outcome, "{record}");
        assert_eq!(record["because"], because, "{record}");
        // The backend's end of the same connection has the same verdict, and nothing to resolve.
        let other = agent.record(&format!("the end of {pod}"), |other| {
            other["type"] == "flow"
                && other["stage"] == "close"
                && other["side"] == "server"
                && other["client"]["address"] == record["client"]["address"]
        });
        assert_eq!(other["server"]["address"], backend, "{other}");
        assert_eq!(other["server"]["backend"], Value::Null, "{other}");
        assert_eq!(other["verdict"]["outcome"], outcome, "{other}");
    }
    // The node's own connection, which is translated on its way out.
    let record = flow_to(&agent, "node", TRANSLATIONS[0].0);
    assert_eq!(
        record["server"]["backend"],
        json!({"address": TRANSLATIONS[0].1, "by": "conntrack"}),
        "{record}"
    );
    assert_eq!(metric(&agent, "watchfire_service_backends_total{by=\"conntrack\"}"), 7);
    for by in ["endpoints", "unresolved"] {
        assert_eq!(metric(&agent, &format!("watchfire_service_backends_total{{by=\"{by}\"}}")), 0);
    }
}

pub(crate) fn by_nft() {
    translated(&nft_rules());
}

pub(crate) fn by_iptables() {
    let mut rules = String::new();
    for ((address, backend), program) in
        TRANSLATIONS.iter().map(|pair| (pair, "iptables")).chain([(&TRANSLATION_V6, "ip6tables")])
    {
        let (address, port) = address.rsplit_once(':').unwrap();
        let address = address.trim_matches(['[', ']']);
        for chain in ["PREROUTING", "OUTPUT"] {
            rules += &format!(
                "{program} -w -t nat -A {chain} -d {address} -p tcp --dport {port} -j DNAT --to-destination {backend}\n"
            );
        }
    }
    translated(&rules);
}

fn nft_rules() -> String {
    let mut rules = String::from("nft -f - <<END\n");
    for (family, translations) in [("ip", &TRANSLATIONS[..]), ("ip6", &[TRANSLATION_V6])] {
        rules += &format!("table {family} services {{\n");
        for hook in ["prerouting", "output"] {
            rules += &format!("chain {hook} {{\ntype nat hook {hook} priority -100;\n");
            for (address, backend) in translations {
                let (address, port) = address.rsplit_once(':').unwrap();
                let address = address.trim_matches(['[', ']']);
                rules += &format!("{family} daddr {address} tcp dport {port} dnat to {backend}\n");
            }
            rules += "}\n";
        }
        rules += "}\n";
    }
    rules + "END\n"
}

/// An agent that may not enter the node's network namespace, as one in a container with a network of its own.
pub(crate) fn without_conntrack() {
    let node = Node::new(&nft_rules());
    let namespace = node.namespace();
    let no_families = json!({ "sensor": { "families": only(&[]) } });
    let run = ["run", "--config", "base.yaml", "--metrics-listen", "127.0.0.1:0", "--socket", "observe.sock"];
    let told = ["--inventory", "inventory.yaml", "--policies", "policies", "--conntrack", &namespace];
    let program = watchfire();
    let program = program.to_str().unwrap();
    let arguments = ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin", program];
    let arguments = arguments.iter().chain(&run).chain(&told);
    let agent =
        agent(AgentCommand::by("setpriv", arguments).with_file("base.yaml", &no_families.to_string()));
    let mixed = TRANSLATIONS[0].0;
    let (alike, single) = (TRANSLATIONS[2].0, TRANSLATIONS[3].0);
    node.connect(&[mixed, alike, single]);

    let unresolved = json!({"by": "unresolved"});
    let allowed = "NetworkPolicy/shop/to-good ingress[0]";
    for (address, service, backend, outcome, because) in [
        (mixed, "mixed", &unresolved, "unknown", "backend not resolved"),
        (alike, "alike", &unresolved, "allowed", allowed),
        (single, "single", &json!({"address": "10.97.0.2:8080", "by": "endpoints"}), "allowed", allowed),
    ] {
        let record = flow_to(&agent, "client", address);
        let server = &record["server"];
        assert_eq!(server["service"], json!({"namespace": "shop", "name": service}), "{record}");
        assert_eq!(server["backend"], *backend, "{record}");
        let pod = if service == "single" { json!("good") } else { Value::Null };
        assert_eq!(server["pod"]["name"], pod, "{record}");
        assert_eq!(record["verdict"]["outcome"], outcome, "{record}");
        assert_eq!(record["because"], because, "{record}");
    }
    let complaint = format!("cannot enter the network namespace {namespace}");
    assert!(agent.logged(&complaint).contains("Operation not permitted"));
    let complaints =
        agent.log().iter().filter(|line| line.contains("conntrack") && line.contains("WARN")).count();
    assert_eq!(complaints, 1, "said once: {:?}", agent.log());
    assert_eq!(metric(&agent, "watchfire_service_backends_total{by=\"conntrack\"}"), 0);
    assert_eq!(metric(&agent, "watchfire_service_backends_total{by=\"endpoints\"}"), 1);
    // Those of the client, and that of the node.
    assert_eq!(metric(&agent, "watchfire_service_backends_total{by=\"unresolved\"}"), 3);
    metric_until(&agent, "watchfire_conntrack_errors_total", |errors| errors == 4);
}

/// What `watchfire doctor` says of connection tracking, as who may ask it and as who may not.
pub(crate) fn doctor() {
    let node = Node::new(&nft_rules());
    let namespace = node.namespace();
    let fact = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .args(["doctor", "--conntrack", &namespace])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find(|line| line.contains("  conntrack ")).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let program = watchfire();
    let program = program.to_str().unwrap();
    assert_eq!(fact(program, &[]), "ok       conntrack     tells where connections to services lead");
    let reduced = fact("setpriv", &["--bounding-set=-sys_admin", "--inh-caps=-sys_admin", program]);
    assert!(
        reduced
            .starts_with(&format!("reduced  conntrack     cannot enter the network namespace {namespace}"))
    );
    assert!(reduced.contains("Operation not permitted"), "{reduced}");
}
