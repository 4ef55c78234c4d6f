//! `watchfire policy` on a small invented cluster, against golden output: `WATCHFIRE_BLESS=1` writes it anew.
#![expect(clippy::unwrap_used, reason = "a test panics; the message says where")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy")
}

fn policy(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.arg("policy").args(arguments.split_whitespace());
    command.current_dir(folder()).env_remove("WATCHFIRE_SOCKET").output().unwrap()
}

/// Standard output and, behind it, the exit code and what stands on standard error.
#[track_caller]
fn check(golden: &str, arguments: &str) {
    let Output { status, stdout, stderr } = policy(arguments);
    let found = format!(
        "$ watchfire policy {arguments}\n{}{}exit code {}\n",
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
        status.code().unwrap()
    );
    let path = folder().join("golden").join(format!("{golden}.txt"));
    if std::env::var_os("WATCHFIRE_BLESS").is_some() {
        fs::write(&path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(found, expected, "{}", path.display());
}

const SHOP: &str = "--manifests shop";

#[test]
fn explain() {
    for (golden, ends) in [
        ("explain-allowed", "--from shop/api --to shop/db-0 --port 5432"),
        ("explain-denied-peer", "--from shop/frontend --to shop/db-0 --port 5432"),
        ("explain-denied-port", "--from 203.0.113.9 --to shop/frontend-6d5f7-a --port 8080 --expect allow"),
        ("explain-service", "--from shop/frontend-6d5f7-b --to shop/api --port 80 --all"),
        ("explain-open", "--from shop/db-0 --to 198.51.100.3 --port 443 --expect allow"),
        ("explain-json", "--from monitoring/prometheus --to shop/api-77c9d-a --port 9091 -o json"),
        ("explain-icmp", "--from shop/api --to shop/db-0 --protocol icmp --port 8 --expect deny"),
        ("explain-cilium", "--dialect cilium --from node-a --to shop/db-0 --port 5432"),
        ("explain-nobody", "--from shop/api --to shop/nothing --port 5432"),
    ] {
        check(golden, &format!("explain {SHOP} {ends}"));
    }
    check("explain-name", "explain --case case.yaml#names --from shop/api --to pay.example.com --port 443");
    check("explain-name-port", "explain --case case.yaml#names --from api --to 203.0.113.7 --port 80");
    check(
        "explain-bad-manifests",
        "explain --manifests traps.yaml --from 192.0.2.1 --to 192.0.2.2 --port 80",
    );
    check("explain-bad-port", &format!("explain {SHOP} --from shop/api --to shop/db-0 --port 0"));
    check("explain-which-case", "explain --case case.yaml --from shop/api --to 203.0.113.7 --port 80");
}

#[test]
fn check_() {
    check("check-flows", &format!("check {SHOP} -f new-deny-frontend.yaml --flows flows.jsonl"));
    check("check-flows-json", &format!("check {SHOP} -f new-deny-frontend.yaml --flows flows.jsonl -o json"));
    check("check-pairs", &format!("check {SHOP} -f new-deny-frontend.yaml"));
    check("check-same", &format!("check {SHOP} -f shop/policies.yaml --flows flows.jsonl"));
    check("check-bad", &format!("check {SHOP} -f traps.yaml"));
    check("check-no-policy", &format!("check {SHOP} -f shop/cluster.yaml"));
}

#[test]
fn unused() {
    check("unused", &format!("unused {SHOP} --flows flows.jsonl"));
    check("unused-json", &format!("unused {SHOP} --flows flows.jsonl -o json"));
    check("unused-no-flows", &format!("unused {SHOP}"));
    check("unused-no-records", &format!("unused {SHOP} --flows shop/pods.yaml"));
}

#[test]
fn suggest() {
    check("suggest-k8s", &format!("suggest {SHOP} -n shop --flows flows.jsonl"));
    check("suggest-cilium", &format!("suggest {SHOP} -n shop --flows flows.jsonl --dialect cilium"));
    check("suggest-with-failed", &format!("suggest {SHOP} -n monitoring --flows flows.jsonl --with-failed"));
    check("suggest-nowhere", &format!("suggest {SHOP} -n nowhere --flows flows.jsonl"));
}

#[test]
fn lint() {
    check("lint-clean", &format!("lint {SHOP} --deny-warnings"));
    check("lint-traps", "lint -f traps.yaml");
    check("lint-traps-in-cluster", &format!("lint {SHOP} -f traps.yaml --dialect cilium"));
    check("lint-json", &format!("lint {SHOP} -f traps.yaml --dialect k8s -o json"));
}

#[test]
fn the_specification_lists_every_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../SPECIFICATION.md");
    let text = fs::read_to_string(path).unwrap();
    for code in watchfire_policy::LintCode::ALL {
        let row = format!("| {code} | {} | {} |", code.severity(), code.meaning());
        assert!(text.contains(&row), "SPECIFICATION.md lacks\n{row}");
    }
}

#[test]
fn graph() {
    check("graph", &format!("graph {SHOP} --denied"));
    check("graph-flows", &format!("graph {SHOP} --flows flows.jsonl -n shop"));
    check("graph-dot", &format!("graph {SHOP} -o dot"));
    check("graph-json", &format!("graph {SHOP} -o json -n monitoring"));
}

#[test]
fn without_an_agent() {
    let Output { status, stderr, .. } = policy("graph --socket /nowhere/observe.sock");
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("give --manifests DIR") && said.contains("no agent listens on"), "{said}");
}
