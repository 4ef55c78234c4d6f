//! `watchfire policy lint`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use watchfire_model::{Dialect, Pod, PolicyRef};
use watchfire_policy::{
    CiliumOptions, LintCluster, LintFinding, LintInput, Policy, Rejection, Severity, lint,
};

use super::options::{Format, StateArgs};
use super::output::{write, write_json};
use super::state::{State, policy_file};
use crate::yaml_files;

/// There are errors, or warnings where those are denied.
const EXIT_FOUND: u8 = 1;

/// Arguments of `policy lint`.
#[derive(clap::Args, Debug)]
pub(super) struct LintArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Look at the policies of these files or folders, among what --manifests or --case tells, or else by themselves
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    policy_files: Vec<PathBuf>,
    /// With -f: look at them among what the running agent knows
    #[arg(long, requires = "policy_files")]
    live: bool,
    /// Exit with 1 on warnings as well
    #[arg(long)]
    deny_warnings: bool,
    /// How to show findings
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// What is looked at.
#[derive(Default)]
struct Subjects {
    dialect: Option<Dialect>,
    options: CiliumOptions,
    policies: Vec<Arc<Policy>>,
    mistakes: Vec<Rejection>,
    places: HashMap<Arc<PolicyRef>, String>,
    /// The policies that findings are wanted of; all where none.
    wanted: Option<HashSet<Arc<PolicyRef>>>,
    state: Option<State>,
}

/// Exits 1 on errors.
pub(super) fn run(args: &LintArgs) -> Result<ExitCode> {
    let subjects = Subjects::read(args)?;
    let findings = subjects.findings(args);
    match args.output {
        Format::Text => write(&subjects.text(&findings))?,
        Format::Json => write_json(&subjects.json(&findings))?,
    }
    let worst = findings.iter().map(|finding| finding.code.severity()).max();
    let limit = if args.deny_warnings { Severity::Warning } else { Severity::Error };
    Ok(ExitCode::from(if worst >= Some(limit) { EXIT_FOUND } else { 0 }))
}

impl Subjects {
    fn read(args: &LintArgs) -> Result<Self> {
        let mut subjects = Self { dialect: args.state.dialect.chosen(), ..Self::default() };
        if args.policy_files.is_empty() || args.live || args.state.is_files() {
            let mut state = args.state.read_with_mistakes()?;
            subjects.dialect = Some(state.set.dialect());
            subjects.options = state.set.options().clone();
            subjects.policies.append(&mut state.policies);
            subjects.places = std::mem::take(&mut state.places);
            if args.policy_files.is_empty() {
                subjects.mistakes.append(&mut state.mistakes);
            }
            subjects.state = Some(state);
        }
        for path in &args.policy_files {
            for file in yaml_files::files(path).with_context(|| format!("-f {}", path.display()))? {
                let name = file.display().to_string();
                let read = policy_file(&name, &yaml_files::read(&file)?);
                subjects.mistakes.extend(read.mistakes);
                for (policy, line) in read.policies {
                    let reference = policy.reference();
                    subjects.places.insert(Arc::clone(reference), format!("{name}:{line}"));
                    subjects.wanted.get_or_insert_default().insert(Arc::clone(reference));
                    subjects.policies.retain(|other| other.reference() != reference);
                    subjects.policies.push(policy);
                }
            }
        }
        if subjects.policies.is_empty() && subjects.mistakes.is_empty() {
            bail!("there is no policy to look at");
        }
        Ok(subjects)
    }

    fn dialect(&self, args: &LintArgs) -> Dialect {
        let has_ciliums = || self.policies.iter().any(|policy| !policy.is_known_to(Dialect::K8s));
        let is_open = args.state.dialect.chosen().is_none() && !args.live;
        match self.dialect {
            Some(Dialect::K8s) if is_open && args.state.is_files() && has_ciliums() => Dialect::Cilium,
            Some(dialect) => dialect,
            None if has_ciliums() => Dialect::Cilium,
            None => Dialect::K8s,
        }
    }

    fn findings(&self, args: &LintArgs) -> Vec<LintFinding> {
        let pods: Vec<Arc<Pod>> = self.state.iter().flat_map(|state| state.pods.values()).cloned().collect();
        let no_nodes = BTreeMap::new();
        let cluster =
            self.state.as_ref().map(|state| LintCluster { pods: &pods, nodes: &state.nodes, world: state });
        let nodes = self.state.as_ref().map_or(&no_nodes, |state| &state.nodes);
        let cluster = cluster.map(|cluster| LintCluster { nodes, ..cluster });
        let mut findings = lint(&LintInput {
            dialect: self.dialect(args),
            options: &self.options,
            policies: &self.policies,
            rejected: &self.mistakes,
            cluster,
        });
        if let Some(wanted) = &self.wanted {
            findings.retain(|finding| finding.policy.as_ref().is_none_or(|policy| wanted.contains(policy)));
        } else if !args.policy_files.is_empty() {
            findings.retain(|finding| finding.policy.is_none());
        }
        findings.sort_by_key(|finding| {
            let place = self.place(finding).unwrap_or_default();
            let (file, line) = place.rsplit_once(':').unwrap_or((place, ""));
            (file.to_owned(), line.parse::<u64>().unwrap_or_default(), finding.code)
        });
        findings
    }

    fn place<'a>(&'a self, finding: &'a LintFinding) -> Option<&'a str> {
        finding.place.as_deref().or_else(|| self.places.get(finding.policy.as_ref()?).map(String::as_str))
    }

    fn text(&self, findings: &[LintFinding]) -> String {
        let mut text = String::new();
        for finding in findings {
            let place = self.place(finding).map(|place| format!("{place}: ")).unwrap_or_default();
            let LintFinding { code, object, path, message, .. } = finding;
            let object =
                [object.as_str(), path].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>();
            let object = if object.is_empty() { String::new() } else { format!("{}: ", object.join(" ")) };
            text += &format!("{place}{} {code}: {object}{message}\n", code.severity());
            text += &format!("    meaning: {}\n    to mend: {}\n", code.meaning(), code.mending());
        }
        let count = |severity| findings.iter().filter(|finding| finding.code.severity() == severity).count();
        text + &format!(
            "{} policies: {} errors, {} warnings, {} hints\n",
            self.wanted.as_ref().map_or(self.policies.len(), HashSet::len),
            count(Severity::Error),
            count(Severity::Warning),
            count(Severity::Hint)
        )
    }

    fn json(&self, findings: &[LintFinding]) -> serde_json::Value {
        let all: Vec<_> = (findings.iter())
            .map(|finding| {
                let LintFinding { code, object, path, message, .. } = finding;
                json!({
                    "code": code, "severity": code.severity(), "object": object, "place": self.place(finding),
                    "path": path, "message": message, "meaning": code.meaning(), "mending": code.mending(),
                })
            })
            .collect();
        json!({ "findings": all })
    }
}
