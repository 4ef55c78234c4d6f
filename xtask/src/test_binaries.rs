//! The workspace's test binaries, built once for every tier.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::cargo;
use crate::process::Step;

/// Suites of the tests folder that need more than the machine at hand: most start the real agent, and so need root and a kernel
/// that it may watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suite {
    /// On any machine, and in VMs.
    Privileged,
    /// Beside a Kubernetes node.
    Cluster,
    /// No agent but Cilium's policy engine, which has to be built.
    Oracle,
}

/// A static binary that holds tests.
pub(crate) struct TestBinary {
    /// The package and the target.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    folder: PathBuf,
    suite: Option<Suite>,
}

impl TestBinary {
    /// True for tests that start no agent.
    pub(crate) fn is_unit(&self) -> bool {
        self.suite.is_none()
    }

    /// True for suites that start the real agent on any machine.
    pub(crate) fn is_privileged(&self) -> bool {
        self.suite == Some(Suite::Privileged)
    }

    /// True for suites that start the real agent beside a Kubernetes node.
    pub(crate) fn is_for_cluster(&self) -> bool {
        self.suite == Some(Suite::Cluster)
    }

    /// True for suites that compare with Cilium's policy engine.
    pub(crate) fn asks_the_oracle(&self) -> bool {
        self.suite == Some(Suite::Oracle)
    }

    /// The command that runs the program the way cargo would.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.place(&mut command);
        command
    }

    /// Sets what cargo promises to tests.
    pub(crate) fn place(&self, command: &mut Command) {
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
    }
}

/// Builds all tests of the workspace.
pub(crate) fn build() -> Result<Vec<TestBinary>> {
    let _step = Step::new("building the tests");
    let mut build = cargo::static_cargo("test");
    build.args(cargo::WORKSPACE).args(["--no-run", "--message-format=json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output().context("start cargo")?;
    if !output.status.success() {
        bail!("the tests do not build");
    }
    let messages =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut binaries: Vec<TestBinary> = messages.filter_map(|message| binary(&message)).collect();
    binaries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(binaries)
}

/// Reads an artifact message (cargo's "External tools" reference).
fn binary(message: &Value) -> Option<TestBinary> {
    if !message["profile"]["test"].as_bool()? {
        return None;
    }
    let path = PathBuf::from(message["executable"].as_str()?);
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    let package = folder.file_name()?.to_string_lossy().into_owned();
    let target = message["target"]["name"].as_str()?;
    let is_integration = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "test");
    let suite = match target {
        "privileged" => Some(Suite::Privileged),
        "cluster" => Some(Suite::Cluster),
        "policy_oracle" => Some(Suite::Oracle),
        _ => None,
    };
    Some(TestBinary {
        name: format!("{package}/{target}"),
        path,
        suite: suite.filter(|_| is_integration && package == "tests"),
        folder,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_suites_of_the_tests_folder_start_the_agent() {
        let message = |folder: &str, kind: &str, target: &str, is_test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact", "executable": "/t/x-1", "manifest_path": format!("/r/{folder}/Cargo.toml"),
                "target": {"name": target, "kind": [kind]}, "profile": {"test": is_test},
            })
        };
        let suite = |message: Value| binary(&message).map(|binary| binary.suite);
        assert_eq!(suite(message("tests", "test", "privileged", true)), Some(Some(Suite::Privileged)));
        assert_eq!(suite(message("tests", "test", "cluster", true)), Some(Some(Suite::Cluster)));
        assert_eq!(suite(message("tests", "test", "policy_oracle", true)), Some(Some(Suite::Oracle)));
        assert_eq!(suite(message("tests", "test", "policy_cases", true)), Some(None));
        assert_eq!(suite(message("tests", "lib", "watchfire_tests", true)), Some(None));
        assert_eq!(suite(message("agent", "test", "privileged", true)), Some(None));
        assert_eq!(suite(message("tests", "bin", "privileged", false)), None);
    }
}
