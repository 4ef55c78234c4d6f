//! The policy engine against case files: our own, and the tests that other projects wrote for their engines.
//!
//! The other projects' files lie outside the repository; without them their trials are skipped by name.

#[path = "policy_cases/examples.rs"]
mod examples;
#[path = "policy_cases/rows.rs"]
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Completion, Trial};
use watchfire_model::Dialect;
use watchfire_policy::cases::{CaseFile, Report};

use rows::{Row, rows};

const OWN: [(&str, &str); 3] = [
    ("cilium", include_str!("../data/policy/cilium.yaml")),
    ("mistakes", include_str!("../data/policy/mistakes.yaml")),
    ("unknowns", include_str!("../data/policy/unknowns.yaml")),
];

/// A file of another project, with what it holds. `skipped` counts cases and probes alike.
struct Upstream {
    name: &'static str,
    file: &'static str,
    probes: usize,
    skipped: usize,
    dialect: Dialect,
}

const KUBE_NETWORK_POLICIES_PROBES: usize = 19;

const UPSTREAM: [Upstream; 9] = [
    Upstream {
        name: "k8s_e2e",
        file: "k8s-e2e-netpol/cases.json",
        probes: 506,
        skipped: 0,
        dialect: Dialect::K8s,
    },
    // Of 162 probes, 18 go from a pod to itself.
    Upstream {
        name: "cyclonus",
        file: "cyclonus/cases.json",
        probes: 144,
        skipped: 18,
        dialect: Dialect::K8s,
    },
    // One of 20 cases is marked as wrong.
    Upstream {
        name: "kube_network_policies",
        file: "kube-network-policies/networkpolicy_cases.json",
        probes: KUBE_NETWORK_POLICIES_PROBES,
        skipped: 1,
        dialect: Dialect::K8s,
    },
    // Two probes for each of six cases, one for each tier.
    Upstream {
        name: "tiers",
        file: "kube-network-policies/clusternetworkpolicy_cases.json",
        probes: 12,
        skipped: 0,
        dialect: Dialect::K8s,
    },
    // 51 connections and 11 strings.
    Upstream {
        name: "mesh",
        file: "istio-ztunnel-rbac/cases.json",
        probes: 62,
        skipped: 0,
        dialect: Dialect::K8s,
    },
    Upstream {
        name: "cilium_names",
        file: "cilium-misc/fqdn_matchpattern.json",
        probes: 78,
        skipped: 0,
        dialect: Dialect::Cilium,
    },
    Upstream {
        name: "cilium_entries",
        file: "cilium-misc/iterate_policy.json",
        probes: 14,
        skipped: 0,
        dialect: Dialect::Cilium,
    },
    Upstream {
        name: "cilium_network_policy",
        file: "cilium-k8s-np-examples/cases.json",
        probes: 33,
        skipped: 0,
        dialect: Dialect::Cilium,
    },
    Upstream {
        name: "cilium_deny",
        file: "cilium-misc/deny_table.json",
        probes: 15,
        skipped: 0,
        dialect: Dialect::Cilium,
    },
];

/// kube-network-policies' cases have ranges that end beyond the last port. The API server refuses them; up to the last
/// port they ask the same, as they are asked as well.
const BEYOND_THE_LAST_PORT: &str = "\"endPort\": 65537";
const LAST_PORT: &str = "\"endPort\": 65535";

/// Cases in it with such a range.
const OBJECTS_REFUSED: usize = 9;
/// Of them, those in which something else does not say the same by chance.
const PROBES_LEFT_OUT: usize = 1;

const AS_WRITTEN: &str = "kube-network-policies/networkpolicy_cases.json";
const EXAMPLES: &str = "cilium-examples/policies";
const ROWS: &str = "kube-network-policies/unit_tables.json";

fn main() {
    let mut trials = Vec::new();
    for (name, text) in OWN {
        trials.push(Trial::test(format!("own_{name}"), move || {
            let report = run(text, Dialect::K8s);
            assert!(report.probes > 0 && report.skipped.is_empty(), "{report}");
            Ok(())
        }));
    }
    for Upstream { name, file, probes, skipped, dialect } in UPSTREAM {
        trials.push(with_data(format!("upstream_{name}"), file, move |text| {
            let report = run(&text.replace(BEYOND_THE_LAST_PORT, LAST_PORT), dialect);
            for skipped in &report.skipped {
                println!("\nleft out of {name}: {skipped}");
            }
            assert_eq!((report.probes, report.skipped.len()), (probes, skipped), "{report}");
            Completion::Completed
        }));
    }
    trials.push(with_data("upstream_kube_network_policies_as_written".to_owned(), AS_WRITTEN, as_written));
    trials.push(examples::trial(data().join(EXAMPLES)));
    for Row { name, check } in rows() {
        trials.push(with_data(name, ROWS, check));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// With the objects refused that the API server refuses, what is then not as upstream expects is no mismatch.
fn as_written(text: &str) -> Completion {
    let report = CaseFile::parse(text).unwrap_or_else(|error| panic!("{error}")).run(Dialect::K8s);
    assert_eq!(report.mismatches, []);
    assert_eq!(report.refused.len(), OBJECTS_REFUSED, "{report}");
    assert_eq!(report.probes, KUBE_NETWORK_POLICIES_PROBES - PROBES_LEFT_OUT, "{report}");
    Completion::Completed
}

/// Runs a case file, in which nothing may be other than expected.
fn run(text: &str, dialect: Dialect) -> Report {
    let report = CaseFile::parse(text).unwrap_or_else(|error| panic!("{error}")).run(dialect);
    let mismatches: Vec<_> = report.mismatches.iter().map(ToString::to_string).collect();
    assert_eq!(mismatches, [""; 0], "{report}");
    assert_eq!(report.refused, []);
    report
}

fn with_data(
    name: String,
    file: &'static str,
    body: impl FnOnce(&str) -> Completion + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name.clone(), move || {
        let path = data().join(file);
        let completion = if path.exists() {
            body(&fs::read_to_string(&path).expect("the file can be read"))
        } else {
            Completion::ignored_with(format!("no {}", path.display()))
        };
        if let Completion::Ignored { reason } = &completion {
            println!("\nSKIP {name}: {}", reason.as_deref().unwrap_or_default());
        }
        Ok(completion)
    })
}

/// Where the other projects' files are: next to the repository.
fn data() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    package.join(Path::new("../../shared/data/policy"))
}
