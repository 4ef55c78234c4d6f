//! Case files: a small cluster, policies, and what they must say about given connections.
//!
//! The shape is one that several projects' own policy tests can be written in, so that one runner checks the engine
//! against all of them. Files are YAML or JSON:
//!
//! ```yaml
//! source: where the expectations come from
//! dialect: k8s                   # or cilium: whose reading they are, where it is neither plain nor the caller's to say
//! pods: []                       # for cases without their own, as everything else of the world
//! cases:
//! - id: deny-all
//!   namespaces: [{name: prod, labels: {env: prod}}]
//!   pods:
//!   - {namespace: prod, name: web, ip: 10.0.0.1, labels: {app: web}, ports: [{name: http, port: 80, protocol: TCP}]}
//!   policies: []                 # Kubernetes objects
//!   probes:
//!   - {from: {ip: 192.0.2.1}, to: prod/web, proto: TCP, port: 80, expect: deny, expect_ingress: default-deny}
//! ```
//!
//! Pods are found by name, since two may have one address. Namespaces that no entry describes have no labels of their
//! own. A case may tell more of its world, and what it does not tell is not known: `services: [{namespace, name, labels,
//! selector, backends}]`, `names: {address: [name]}` as DNS answered them, `api_server: [address]`, and labels of nodes.
//! Policies that the API refuses are part of the case: it is judged without them, as in a cluster that refuses them.
//! `options` are switches of Cilium: `ipv6`, `node_selector_labels`, `extended_protocols`, `deny_localhost`,
//! `host_firewall`.

mod cluster;
mod file;
mod judge;
mod probe;
mod report;
mod run;
mod table;

pub use file::{Case, CaseFile, CaseFileError};
pub use judge::Answer;
pub use probe::{Expectation, Probe, SideExpectation};
pub use report::{Mismatch, Report, Skipped};
