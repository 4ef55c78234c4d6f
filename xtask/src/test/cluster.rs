//! The tier of tests that need a Kubernetes node: starts one, and takes it down again whatever came of the tests.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::collect;
use crate::process::{self, Step};
use crate::tally::Tally;
use crate::test_binaries::TestBinary;
use crate::turn::Turn;
use crate::{cluster, image, packages, paths, setup};

const TIER: &str = "cluster";

/// The name of the agent's image in the cluster.
const AGENT_IMAGE: &str = "localhost/watchfire:test";

/// Builds Kubernetes where it is missing, while tiers run that leave processors idle. The tier waits for it, and tells what
/// stands in its way.
pub(super) fn build_ahead() {
    if cluster::missing().is_none() {
        _ = cluster::missing_kubernetes();
    }
}

pub(super) fn tier(
    binaries: &[TestBinary],
    agent: &Path,
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<()> {
    let _step = Step::new("tests beside a Kubernetes node");
    let suites: Vec<&TestBinary> = binaries.iter().filter(|binary| binary.is_for_cluster()).collect();
    // Starting a node for nothing would take longer than many a test.
    if filter.is_some() && !suites.iter().any(|suite| has_tests(suite, filter)) {
        return Ok(());
    }
    let _turn = Turn::take("cluster for tests")?;
    if let Some(reason) = cluster::missing() {
        tally.skip(&format!("{TIER} (whole tier)"), &reason);
        return Ok(());
    }
    let without_kubernetes = cluster::missing_kubernetes();
    if let Some(reason) = &without_kubernetes {
        // Its tests are skipped one by one, those of containers alone are not.
        tally.skip(&format!("{TIER} (Kubernetes)"), reason);
    }
    let has_kubernetes = without_kubernetes.is_none();
    // One that somebody works with stays as it is.
    let is_kept = cluster::is_kept();
    if !is_kept {
        // What an interrupted run may have left.
        process::run(&mut own(&["cluster", "down"])?)?;
    }
    let outcome = start(agent, has_kubernetes).and_then(|()| {
        let environment = environment(agent, has_kubernetes, tally)?;
        suites.iter().try_for_each(|suite| {
            let mut command = process::as_root(&suite.path);
            suite.place(&mut command);
            command.envs(environment.clone()).args(filter);
            collect(&mut command, TIER, &suite.name, tally)
        })
    });
    if let Err(error) = outcome {
        tally.fail(TIER, &format!("{error:#}"));
    }
    if !is_kept && let Err(error) = own(&["cluster", "down"]).and_then(|mut down| process::run(&mut down)) {
        tally.fail(TIER, &format!("{error:#}"));
    }
    Ok(())
}

/// Starts the node, and brings the agent's image to it.
fn start(agent: &Path, has_kubernetes: bool) -> Result<()> {
    let parts: &[&str] = if has_kubernetes { &[] } else { &["--only", "containerd"] };
    process::run(own(&["cluster", "up", "--temporary"])?.args(parts).stdout(Stdio::null()))?;
    let archive = paths::target().join("watchfire-test-image.tar");
    image::write(AGENT_IMAGE, agent, &archive)?;
    let archive = archive.display().to_string();
    process::run(own(&["cluster", "load", &archive])?.stdout(Stdio::null()))
}

/// What the tests are told.
fn environment(agent: &Path, has_kubernetes: bool, tally: &mut Tally) -> Result<Vec<(&'static str, String)>> {
    let mut environment = cluster::environment();
    if has_kubernetes {
        environment.extend(cluster::kubernetes_environment()?);
        environment.push(("WATCHFIRE_DEFINITIONS", definitions(tally)));
        match setup::tool(&packages::PROMETHEUS) {
            Ok(program) => environment.push(("WATCHFIRE_PROMETHEUS", program.display().to_string())),
            Err(error) => tally.skip(&format!("{TIER} (Prometheus)"), &cluster::reason(&error)),
        }
        match setup::kubeconform() {
            Ok(program) => environment.push(("WATCHFIRE_KUBECONFORM", program.display().to_string())),
            Err(error) => tally.skip(&format!("{TIER} (kubeconform)"), &cluster::reason(&error)),
        }
    }
    environment.extend([
        ("WATCHFIRE_BIN", agent.display().to_string()),
        ("WATCHFIRE_AGENT_IMAGE", AGENT_IMAGE.to_owned()),
        ("WATCHFIRE_XTASK", std::env::current_exe().context("find this program")?.display().to_string()),
        // The task that a test calls finds what it needs where this one does, wherever the test runs.
        ("WATCHFIRE_CACHE", std::path::absolute(paths::cache())?.display().to_string()),
    ]);
    Ok(environment)
}

/// Where definitions of custom resources lie, by name. Objects of those that cannot be had are checked less: by what is written of
/// them under tests/data, or not at all.
fn definitions(tally: &mut Tally) -> String {
    let mut folders = serde_json::Map::new();
    for (name, found) in setup::definitions() {
        match found {
            Ok(folder) => _ = folders.insert(name.to_owned(), folder.display().to_string().into()),
            Err(error) => {
                let written = paths::root().join("tests/data/definitions").join(name);
                if written.is_dir() {
                    eprintln!(
                        "    {name}: tests/data has what is known of its resources ({})",
                        cluster::reason(&error)
                    );
                    folders.insert(name.to_owned(), written.display().to_string().into());
                } else {
                    tally.skip(&format!("{TIER} (resources of {name})"), &cluster::reason(&error));
                }
            }
        }
    }
    serde_json::Value::Object(folders).to_string()
}

fn has_tests(suite: &TestBinary, filter: Option<&str>) -> bool {
    let listed = process::read(suite.command(&suite.path).arg("--list").args(filter)).unwrap_or_default();
    listed.lines().any(|line| line.ends_with(": test"))
}

/// This program, as another task.
fn own(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command.args(arguments);
    Ok(command)
}
