//! `watchfire policy`: policies without an agent, and candidates as a running one has judged by them.

mod candidates;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use watchfire_model::Dialect;
use watchfire_policy::cases::{CaseFile, CaseFileError, Report};
use watchfire_policy::parse_documents;

/// Something was not as expected.
const EXIT_MISMATCH: u8 = 1;
/// Something could not be read.
const EXIT_UNREADABLE: u8 = 2;

/// Arguments of `policy`.
#[derive(clap::Args, Debug)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(clap::Subcommand, Debug)]
enum PolicyCommand {
    /// Say what candidate policies would change: which of the flows that the running agent saw would break or open
    Candidates(candidates::CandidatesArgs),
    /// Check the policy engine against files of cases; exits 1 on a mismatch and 2 on a file that cannot be read. Objects that
    /// the API would refuse are reported, and the cases judged without them
    Test(TestArgs),
}

#[derive(clap::Args, Debug)]
struct TestArgs {
    /// Case files, or folders of them (YAML and JSON)
    #[arg(required = true, value_name = "CASES")]
    cases: Vec<PathBuf>,
    /// Whose reading of the policies is followed, where a file does not say it and no policy is of Cilium's own kinds
    #[arg(long, value_enum, default_value_t = DialectName::K8s)]
    dialect: DialectName,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DialectName {
    /// The Kubernetes API text and the SIG-network tests
    K8s,
    /// Cilium's policy engine
    Cilium,
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::K8s => Self::K8s,
            DialectName::Cilium => Self::Cilium,
        }
    }
}

/// Runs `policy`.
pub(crate) fn run(args: &PolicyArgs) -> Result<ExitCode> {
    match &args.command {
        PolicyCommand::Candidates(args) => candidates::run(args),
        PolicyCommand::Test(args) => Ok(ExitCode::from(test(args))),
    }
}

fn test(args: &TestArgs) -> u8 {
    let mut total = Tally::default();
    for path in &args.cases {
        if path.is_dir() {
            total.folder(path, args.dialect.into());
        } else {
            total.file(path, Named::Itself, args.dialect.into());
        }
    }
    if total.files == 0 && total.unreadable == 0 {
        total.fail(&anyhow::anyhow!("no case file was found"));
    }
    println!("{} files, {}", total.files, total.report);
    if total.manifests > 0 {
        println!("{} files of policies alone, {} objects read", total.manifests, total.objects);
    }
    match (total.unreadable, total.report.mismatches.len()) {
        (0, 0) => 0,
        (0, _) => EXIT_MISMATCH,
        _ => EXIT_UNREADABLE,
    }
}

/// How a file came to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// On the command line: it has to be a case file.
    Itself,
    /// By the folder it lies in, where other files may lie as well.
    ByFolder,
}

#[derive(Default)]
struct Tally {
    files: usize,
    unreadable: usize,
    /// Files in folders that hold policies and no cases.
    manifests: usize,
    /// Policies in them that the API would take.
    objects: usize,
    report: Report,
}

impl Tally {
    fn folder(&mut self, folder: &Path, dialect: Dialect) {
        match entries(folder) {
            Ok(entries) => {
                for path in entries {
                    if path.is_dir() {
                        self.folder(&path, dialect);
                    } else if is_data(&path) {
                        self.file(&path, Named::ByFolder, dialect);
                    } else {
                        println!("skipped {}: neither YAML nor JSON", path.display());
                    }
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    fn file(&mut self, path: &Path, named: Named, dialect: Dialect) {
        match read(path) {
            Ok(cases) => self.run(path, &cases, dialect),
            Err(error) => match error.downcast_ref() {
                Some(reason @ CaseFileError::NotACaseFile(_)) if named == Named::ByFolder => {
                    if !self.manifest(path) {
                        println!("skipped {}: {reason}", path.display());
                    }
                }
                _ => self.fail(&error),
            },
        }
    }

    fn run(&mut self, path: &Path, cases: &CaseFile, dialect: Dialect) {
        let report = cases.run(dialect);
        for skipped in &report.skipped {
            println!("skipped {}: {skipped}", path.display());
        }
        for mismatch in &report.mismatches {
            println!("mismatch {}: {mismatch}", path.display());
        }
        for refused in &report.refused {
            println!("refused {}: {refused}", path.display());
        }
        self.files += 1;
        self.report.merge(report);
    }

    /// Reads a file of policies, as examples are; false where it holds none.
    fn manifest(&mut self, path: &Path) -> bool {
        let Ok(text) = fs::read_to_string(path) else { return false };
        let parsed = parse_documents(&path.display().to_string(), &text);
        let refused: Vec<_> =
            parsed.rejected.iter().filter(|refused| refused.object.kind.is_some()).collect();
        if parsed.policies.is_empty() && refused.is_empty() {
            return false;
        }
        for refused in refused {
            println!("refused {refused}");
        }
        self.manifests += 1;
        self.objects += parsed.policies.len();
        true
    }

    fn fail(&mut self, error: &anyhow::Error) {
        eprintln!("watchfire: {error:#}");
        self.unreadable += 1;
    }
}

fn read(path: &Path) -> Result<CaseFile> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    CaseFile::parse(&text).with_context(|| path.display().to_string())
}

/// The entries of a folder by name, so that output does not depend on the file system.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot_read = || format!("cannot read {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot_read)? {
        paths.push(entry.with_context(cannot_read)?.path());
    }
    if paths.is_empty() {
        bail!("{} is empty", folder.display());
    }
    paths.sort();
    Ok(paths)
}

fn is_data(path: &Path) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = "cases: [{id: a, pods: [{namespace: a, name: x, ip: 10.0.0.1}], probes: [{from: {ip: 192.0.2.1}, \
                        to: a/x, proto: TCP, port: 80, expect: EXPECT}]}]";

    #[track_caller]
    fn check(files: &[(&str, &str)], arguments: &[&str], expect: u8) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let cases = arguments.iter().map(|name| dir.path().join(name)).collect();
        assert_eq!(test(&TestArgs { cases, dialect: DialectName::K8s }), expect, "{files:?} {arguments:?}");
    }

    #[test]
    fn the_exit_code_tells_a_mismatch_from_a_bad_file() {
        let (good, wrong) = (CASE.replace("EXPECT", "allow"), CASE.replace("EXPECT", "deny"));
        check(&[("a.yaml", &good)], &["a.yaml"], 0);
        check(&[("a.yaml", &good), ("b.yml", &good)], &[""], 0);
        check(&[("a.yaml", &wrong)], &["a.yaml"], EXIT_MISMATCH);
        check(&[("a.yaml", &wrong), ("b.yaml", "cases: [")], &["a.yaml", "b.yaml"], EXIT_UNREADABLE);
        check(&[], &["absent.yaml"], EXIT_UNREADABLE);
        check(&[], &[""], EXIT_UNREADABLE);
    }

    #[test]
    fn a_folder_may_hold_other_files() {
        let good = CASE.replace("EXPECT", "allow");
        check(&[("a.json", "{\"kind\": \"Pod\"}"), ("README.md", "x"), ("b.yaml", &good)], &[""], 0);
        check(&[("a.json", "{\"kind\": \"Pod\"}")], &["a.json"], EXIT_UNREADABLE);
        check(&[("a.json", "{\"kind\": \"Pod\"}")], &[""], EXIT_UNREADABLE);
    }

    #[test]
    fn refused_objects_are_part_of_what_is_tested() {
        let policy = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: a}, spec: \
                      {policyTypes: [Both]}}";
        let refused =
            CASE.replace("EXPECT", "allow").replace("{id: a,", &format!("{{id: a, policies: [{policy}],"));
        check(&[("a.yaml", &refused), ("policy.yaml", policy)], &[""], 0);
    }
}
