//! What is in deploy/: that kustomize builds all of it, that it is what schemas say, and that a real API server takes it.

mod schemas;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::definitions::Defined;
use crate::deployment::{built, deploy};
use crate::kube::{Kube, told};

/// Components, of those in a row one at a time.
const ALTERNATIVES: [&[&str]; 7] = [
    &["components/pod-monitor", "components/service-monitor", "components/vm-pod-scrape"],
    &["components/network-policy", "components/cilium-network-policy"],
    &["components/container-runtime"],
    &["components/kubelet"],
    &["components/api-cert-manager"],
    &["alerts/prometheus", "alerts/victoriametrics"],
    &["dashboards"],
];

/// Where components lie.
const COMPONENTS: [&str; 3] = ["alerts", "components", "dashboards"];

/// Namespaces that objects are in which make none of their own.
const NAMESPACES: [&str; 3] = ["argocd", "flux-system", "monitoring"];

/// One object, as kustomize writes it.
fn objects(manifests: &str) -> impl Iterator<Item = &str> {
    manifests.split("\n---\n").map(str::trim).filter(|text| !text.is_empty())
}

/// The value of a field at the top of an object.
fn field<'a>(object: &'a str, name: &str) -> &'a str {
    let value = object.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_else(|| panic!("no {name} in\n{object}"))
}

/// The folders below one that have a kustomization.
fn folders(below: &str) -> BTreeSet<String> {
    // What is included by others may be no kustomization by itself.
    let kind = if COMPONENTS.contains(&below) { "Component" } else { "Kustomization" };
    let has = |path: &Path| {
        let text = std::fs::read_to_string(path.join("kustomization.yaml")).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("kind: ") == Some(kind))
    };
    let mut found = BTreeSet::new();
    let mut waiting = vec![deploy().join(below)];
    while let Some(folder) = waiting.pop() {
        let below = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        waiting.extend(below.filter(|path| path.is_dir()));
        if has(&folder) {
            found.insert(folder.strip_prefix(deploy()).unwrap().display().to_string());
        }
    }
    found
}

/// Each component by itself, each two that go together, and one of each row.
fn combinations() -> Vec<Vec<&'static str>> {
    let mut all = vec![ALTERNATIVES.map(|names| names[0]).to_vec()];
    for (row, names) in ALTERNATIVES.iter().enumerate() {
        for name in *names {
            all.push(vec![name]);
            let others = ALTERNATIVES[row + 1..].iter().flat_map(|others| others.iter());
            all.extend(others.map(|other| vec![*name, *other]));
        }
    }
    all
}

/// What each of them comes to, by what was built.
fn all_built(kube: &Kube) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for folder in ["base", "overlays", "examples"].map(folders).into_iter().flatten() {
        let manifests = kube.run(["kustomize", &deploy().join(&folder).to_string_lossy()]);
        all.insert(folder, manifests);
    }
    for components in combinations() {
        let paths: Vec<String> = components.iter().map(|name| format!("../{name}")).collect();
        // As overlays do: what names no namespace is in the agent's.
        let kustomization =
            json!({ "namespace": "watchfire", "resources": ["../base"], "components": paths });
        let manifests = built(kube, &kustomization);
        all.insert(format!("base with {components:?}"), manifests);
    }
    all
}

pub(crate) fn are_valid() {
    let listed: BTreeSet<String> =
        ALTERNATIVES.iter().flat_map(|names| names.iter().map(|name| (*name).to_owned())).collect();
    let there: BTreeSet<String> = COMPONENTS.iter().flat_map(|below| folders(below)).collect();
    assert_eq!(there, listed, "each component is among those that are combined");
    let kube = Kube::admin();
    let all = all_built(&kube);
    let defined = Defined::all();
    for name in NAMESPACES.iter().chain(&["watchfire", "development", "production"]) {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        kube.apply(&namespace.to_string());
    }
    let schemas = schemas::Schemas::of(&kube);
    let distinct: BTreeSet<&str> = all.values().flat_map(|manifests| objects(manifests)).collect();
    let (mut known, mut unknown) = (Vec::new(), BTreeSet::new());
    for object in distinct {
        let kind = (field(object, "apiVersion"), field(object, "kind"));
        if schemas.has(kind.0, kind.1) { known.push(object) } else { _ = unknown.insert(kind) }
    }
    for (version, kind) in &unknown {
        println!("\nSKIP manifests of {version} {kind}: its definition cannot be had here");
    }
    println!(
        "{} builds, {} distinct objects, checked with the resources of {:?}",
        all.len(),
        known.len(),
        defined.names()
    );
    let manifests = known.join("\n---\n");
    schemas.check(&manifests).unwrap_or_else(|said| panic!("kubeconform: {said}"));
    dry_run(&kube, &manifests).unwrap_or_else(|said| panic!("dry run: {said}"));
    // Both notice what is wrong.
    let wrong = manifests.replacen("hostPID: true", "hostPid: true", 1);
    assert_ne!(wrong, manifests);
    let said = schemas.check(&wrong).expect_err("a field that there is not");
    assert!(said.contains("hostPid"), "{said}");
    let said = dry_run(&kube, &wrong).expect_err("a field that there is not");
    assert!(said.contains("hostPid"), "{said}");
    for name in NAMESPACES.iter().chain(&["watchfire", "development", "production"]) {
        kube.run(["delete", "namespace", name, "--wait=true"]);
    }
}

/// Lets the API server check objects as if they were made.
fn dry_run(kube: &Kube, manifests: &str) -> Result<(), String> {
    fed(kube.command(["apply", "--dry-run=server", "--validate=strict", "-f", "-"]), manifests)
}

/// Runs a command with this input; what it says where it fails.
fn fed(mut command: Command, input: &str) -> Result<(), String> {
    let pipes = || Stdio::piped();
    let mut child = command.stdin(pipes()).stdout(pipes()).stderr(pipes()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(()) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}

/// kubeconform, with schemas in a folder.
fn kubeconform(folder: &Path) -> Command {
    let mut command = Command::new(told("WATCHFIRE_KUBECONFORM"));
    let template = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json";
    let location = folder.join(template).display().to_string();
    command.args(["-strict", "-summary", "-schema-location", &location, "-"]);
    command
}

/// Whether there is kubeconform.
pub(crate) fn has_kubeconform() -> bool {
    crate::kube::has_kubernetes() && std::env::var_os("WATCHFIRE_KUBECONFORM").is_some()
}

/// The value of a field of JSON, where it is text.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
