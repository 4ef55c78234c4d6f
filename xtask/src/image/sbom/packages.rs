//! The packages that end up in a binary, as cargo resolves them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{cargo, paths, process};

/// The package of the agent, and of the programs that it loads into the kernel.
const ROOTS: [(&str, &str); 2] = [("watchfire", ""), ("agent-ebpf", "bpfel-unknown-none")];

/// A package.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) license: String,
    /// <https://github.com/package-url/purl-spec>
    pub(super) purl: String,
    pub(super) repository: Option<String>,
    /// SHA-256 of its archive at the registry.
    pub(super) checksum: Option<String>,
}

/// What is linked, and by whom.
pub(super) struct Linked {
    pub(super) agent: Package,
    /// All others by their package URL.
    pub(super) packages: BTreeMap<String, Package>,
    /// From the package URL of each to those that it uses.
    pub(super) edges: BTreeMap<String, BTreeSet<String>>,
}

impl Linked {
    /// What is linked into the agent, of the packages that were built for its target, and into its kernel programs.
    ///
    /// What cargo resolves is more than it builds: optional dependencies that nobody switches on, for example.
    pub(super) fn of_agent(built: &dyn Fn(&str) -> bool) -> Result<Self> {
        let checksums = checksums()?;
        let mut packages = BTreeMap::new();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (root, target) in ROOTS {
            let is_agent = target.is_empty();
            let target = if is_agent { paths::triple() } else { target.to_owned() };
            let mut ask = cargo::cargo();
            ask.args(["metadata", "--format-version=1", "--locked", "--filter-platform", &target]);
            let answer = serde_json::from_str(&process::read(&mut ask)?).context("read `cargo metadata`")?;
            let (found, uses) = reachable(&answer, root, &checksums, &|id| !is_agent || built(id))?;
            packages.extend(found);
            for (from, to) in uses {
                edges.entry(from).or_default().extend(to);
            }
        }
        let purl_of = |name: &str| {
            let found = packages.values().find(|package: &&Package| package.name == name);
            found.map(|package| package.purl.clone()).with_context(|| format!("no package {name}"))
        };
        let (agent, programs) = (purl_of(ROOTS[0].0)?, purl_of(ROOTS[1].0)?);
        // The sensor embeds the programs, which no dependency says.
        edges.entry(purl_of("watchfire-sensor")?).or_default().insert(programs);
        let agent = packages.remove(&agent).context("the agent is a package")?;
        Ok(Self { agent, packages, edges })
    }
}

/// What a package links, itself included: normal dependencies, and of these not the macros, which run in the compiler.
#[expect(clippy::type_complexity, reason = "two tables, which are taken apart at once")]
fn reachable(
    metadata: &Value,
    root: &str,
    checksums: &BTreeMap<(String, String), String>,
    is_built: &dyn Fn(&str) -> bool,
) -> Result<(BTreeMap<String, Package>, BTreeMap<String, BTreeSet<String>>)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = list(&metadata["packages"]);
    let by_id: BTreeMap<&str, &Value> =
        packages.iter().filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let nodes = list(&metadata["resolve"]["nodes"]);
    let nodes: BTreeMap<&str, &Value> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let is_macro = |package: &Value| {
        let kinds =
            list(&package["targets"]).iter().flat_map(|target| list(&target["kind"])).collect::<Vec<_>>();
        kinds.iter().any(|kind| kind == "proc-macro")
    };
    let first = packages.iter().find(|package| package["name"] == root && package["source"].is_null());
    let first =
        first.and_then(|package| package["id"].as_str()).with_context(|| format!("no package {root}"))?;
    let (mut found, mut edges) = (BTreeMap::new(), BTreeMap::new());
    let mut waiting = VecDeque::from([first]);
    let mut seen = BTreeSet::from([first]);
    while let Some(id) = waiting.pop_front() {
        let package = package(by_id.get(id).with_context(|| format!("no package {id}"))?, checksums)?;
        let uses: &mut BTreeSet<String> = edges.entry(package.purl.clone()).or_default();
        found.insert(package.purl.clone(), package);
        let node = nodes.get(id).with_context(|| format!("{id} is not resolved"))?;
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let is_normal = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            let Some(other) = dependency["pkg"].as_str().and_then(|other| by_id.get_key_value(other)) else {
                continue;
            };
            let (other, its) = other;
            if is_normal && !is_macro(its) && is_built(other) {
                uses.insert(self::package(its, checksums)?.purl);
                if seen.insert(other) {
                    waiting.push_back(other);
                }
            }
        }
    }
    Ok((found, edges))
}

fn package(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Result<Package> {
    let text = |key: &str| package[key].as_str().map(str::to_owned);
    let name = text("name").context("a package has a name")?;
    let version = text("version").context("a package has a version")?;
    // What cargo still takes, and SPDX does not.
    let license = text("license").with_context(|| format!("{name} names no license"))?.replace('/', " OR ");
    let is_ours = package["source"].is_null();
    let checksum = checksums.get(&(name.clone(), version.clone())).cloned();
    ensure!(is_ours || checksum.is_some(), "Cargo.lock has no checksum of {name} {version}");
    Ok(Package {
        purl: format!("pkg:cargo/{name}@{version}"),
        repository: text("repository"),
        checksum,
        name,
        version,
        license,
    })
}

/// Checksums of packages by name and version, out of Cargo.lock.
fn checksums() -> Result<BTreeMap<(String, String), String>> {
    let path = paths::root().join("Cargo.lock");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let field = |package: &str, name: &str| {
        let lines = package.lines().filter_map(|line| line.split_once(" = "));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned()).next()
    };
    let packages = text.split("[[package]]").filter_map(|package| {
        Some(((field(package, "name")?, field(package, "version")?), field(package, "checksum")?))
    });
    Ok(packages.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(linked: &Linked) -> BTreeSet<&str> {
        linked.packages.values().map(|package| package.name.as_str()).collect()
    }

    #[test]
    fn the_agent_links_what_it_uses_and_neither_macros_nor_what_tests_use() {
        let linked = Linked::of_agent(&|_| true).unwrap();
        let names = names(&linked);
        for name in ["tokio", "watchfire-sensor", "agent-ebpf", "aya-ebpf", "ring"] {
            assert!(names.contains(name), "{name} is linked");
        }
        // A macro, a test's library, a build script's, the task runner, another system's.
        for name in ["serde_derive", "proptest", "cc", "xtask", "windows-sys"] {
            assert!(!names.contains(name), "{name} is not linked");
        }
        assert!(linked.packages.values().all(|package| !package.license.contains('/')));
    }

    #[test]
    fn what_was_not_built_is_not_linked() {
        let linked = Linked::of_agent(&|id| !id.contains("kube-client")).unwrap();
        let names = names(&linked);
        assert!(names.contains("kube") && names.contains("tokio"));
        // The second is used by the first alone.
        assert!(!names.contains("kube-client") && !names.contains("jsonpath-rust"));
        assert!(linked.edges.values().flatten().all(|name| !name.contains("kube-client")));
    }
}
