//! `mutants`: makes the mistakes that policy engines are known for, one at a time in a copy of the source, and looks whether a
//! test notices each.

mod list;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{self, Step};
use crate::{cargo, paths};

/// Arguments of `mutants`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only mistakes whose name contains this
    #[arg(long)]
    filter: Option<String>,
}

/// A mistake: in this file, the one text in place of the other.
struct Mutant {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

/// The tests that have to notice: of the engine's crate, of case files, and of random policies, of which fewer will do.
const TESTS: [&str; 10] = [
    "-p",
    "watchfire-policy",
    "-p",
    "watchfire-tests",
    "--lib",
    "--test",
    "policy_cases",
    "--test",
    "policy_naive",
    "--no-fail-fast",
];
const PROBES: (&str, &str) = ("POLICY_NAIVE_PROBES", "20000");

/// Tests that are named of those that noticed.
const NAMED_MAX: usize = 4;

pub(crate) fn run(args: &Args) -> Result<()> {
    let copy = copy()?;
    {
        let _step = Step::new("the tests as they are");
        let failed = test(&copy)?;
        ensure!(failed.is_empty(), "they fail without any mistake: {}", failed.join(", "));
    }
    let wanted = |mutant: &&Mutant| args.filter.as_ref().is_none_or(|text| mutant.name.contains(text));
    let (mut made, mut survived) = (0, Vec::new());
    for mutant in list::MUTANTS.iter().filter(wanted) {
        let file = copy.join(mutant.file);
        let before = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        fs::write(&file, mutant.made_in(&before)?)?;
        let failed = test(&copy).with_context(|| mutant.name);
        fs::write(&file, before)?;
        let failed = failed?;
        made += 1;
        let named = failed.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        match failed.len() {
            0 => {
                println!("SURVIVED {}", mutant.name);
                survived.push(mutant.name);
            }
            count => println!("noticed {}: by {count} tests: {named}", mutant.name),
        }
    }
    println!("{made} mistakes made, {} not noticed", survived.len());
    ensure!(survived.is_empty(), "no test notices: {}", survived.join(", "));
    Ok(())
}

impl Mutant {
    /// The text of the file with the mistake. What it replaces stands there once, or the list is out of date.
    fn made_in(&self, text: &str) -> Result<String> {
        let count = text.matches(self.from).count();
        ensure!(count == 1, "{}: in {} there are {count} of {:?}", self.name, self.file, self.from);
        Ok(text.replacen(self.from, self.to, 1))
    }
}

/// Copies the files that git knows, as they are now. Those that have not changed keep their times, so that cargo builds only
/// what has.
fn copy() -> Result<PathBuf> {
    let to = folder().join("source");
    let files = process::read(cargo::git().args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    for name in files.lines() {
        let (from, to) = (paths::root().join(name), to.join(name));
        // Deleted and not yet committed, or a link to a folder.
        if !from.is_file() {
            continue;
        }
        let text = fs::read(&from).with_context(|| format!("read {}", from.display()))?;
        if fs::read(&to).ok().as_ref() == Some(&text) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::write(&to, text).with_context(|| format!("write {}", to.display()))?;
    }
    Ok(to)
}

fn folder() -> PathBuf {
    paths::target().join("mutants")
}

/// The names of the tests that fail.
fn test(copy: &Path) -> Result<Vec<String>> {
    let mut command = cargo::cargo();
    command.current_dir(copy).arg("test").args(TESTS).env(PROBES.0, PROBES.1);
    command.env("CARGO_TARGET_DIR", folder().join("target")).env_remove("CARGO_MANIFEST_DIR");
    let output = command.stdin(Stdio::null()).output().context("start cargo")?;
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut failed: Vec<String> = told.lines().filter_map(failed_test).map(str::to_owned).collect();
    failed.sort();
    failed.dedup();
    if failed.is_empty() && !output.status.success() {
        bail!("the tests do not build, or end without a count:\n{errors}");
    }
    Ok(failed)
}

/// The test that a runner names in its list of failures.
fn failed_test(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    Some(name.trim_end_matches(" stdout"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_mistake_can_be_made() {
        let mut names = HashSet::new();
        for mutant in list::MUTANTS {
            let text = fs::read_to_string(paths::root().join(mutant.file)).unwrap();
            let made = mutant.made_in(&text).unwrap();
            assert_ne!(made, text, "{}", mutant.name);
            assert!(names.insert(mutant.name), "{} twice", mutant.name);
        }
    }

    #[test]
    fn failures_are_read_from_the_runners_lists() {
        assert_eq!(failed_test("---- set::tests::order stdout ----"), Some("set::tests::order"));
        assert_eq!(failed_test("---- own_cilium ----"), Some("own_cilium"));
        assert_eq!(failed_test("test own_cilium ... FAILED"), None);
    }
}
