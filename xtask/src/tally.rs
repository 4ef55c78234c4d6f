//! Counts from test runners' output.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};

use anyhow::Result;

/// What all runners together have reported.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Reasons by the name of the test or tier that did not run.
    reasons: BTreeMap<String, String>,
    failures: Vec<String>,
}

/// What one closing line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// Reads a runner's output to its end, passing on each line; returns what it counted.
    pub(crate) fn read(
        &mut self,
        tier: &str,
        output: impl Read,
        mut show: impl FnMut(&str),
    ) -> Result<Counts> {
        let mut total = Counts::default();
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\r');
            show(line);
            let counts = self.line(tier, line);
            total.passed += counts.passed;
            total.failed += counts.failed;
            total.skipped += counts.skipped;
        }
        Ok(total)
    }

    /// Takes in one line of a runner's output.
    pub(crate) fn line(&mut self, tier: &str, line: &str) -> Counts {
        let named = |name: &str| {
            // Runners pad names to a column.
            let name = name.trim_end();
            if tier.is_empty() { name.to_owned() } else { format!("{tier}: {name}") }
        };
        if let Some((name, reason)) = line.strip_prefix("SKIP ").and_then(|rest| rest.split_once(": ")) {
            self.reasons.insert(named(name), reason.to_owned());
        } else if let Some((name, outcome)) =
            line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
            && let Some(reason) = outcome.strip_prefix("ignored")
        {
            // libtest writes `ignored, reason`, libtest-mimic `ignored (reason)`.
            let reason = reason.trim_start_matches([',', ' ', '(']).trim_end_matches(')');
            let reason = if reason.is_empty() { "ignored in the source" } else { reason };
            self.reasons.entry(named(name)).or_insert_with(|| reason.to_owned());
        }
        // From the list at the end: beside the test's name there may stand what it has printed.
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" ----")) {
            self.failures.push(named(name.trim_end_matches(" stdout")));
        }
        let counts = closing(line).unwrap_or_default();
        self.passed += counts.passed;
        self.failed += counts.failed;
        self.skipped += counts.skipped;
        counts
    }

    /// Takes in what was counted elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.reasons.extend(other.reasons);
        self.failures.extend(other.failures);
    }

    /// Counts something that could not run at all.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        self.skipped += 1;
        self.reasons.insert(name.to_owned(), reason.to_owned());
    }

    /// Counts a failure that no runner counted.
    pub(crate) fn fail(&mut self, name: &str, reason: &str) {
        self.failed += 1;
        self.failures.push(format!("{name}: {reason}"));
    }

    /// Prints what was skipped and, as the very last line, the counts; an error when a test failed.
    pub(crate) fn close(&self) -> Result<()> {
        println!();
        for line in self.closing_lines() {
            println!("{line}");
        }
        if self.failed > 0 {
            // No message: nothing may follow the counts.
            std::process::exit(1);
        }
        Ok(())
    }

    /// Each failure, each skip with its reason, and last the counts.
    fn closing_lines(&self) -> Vec<String> {
        let failures = self.failures.iter().map(|name| format!("FAILED {name}"));
        let skips = self.reasons.iter().map(|(name, reason)| format!("SKIPPED {name}: {reason}"));
        let counts = format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped);
        failures.chain(skips).chain([counts]).collect()
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …`
fn closing(line: &str) -> Option<Counts> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok()).unwrap_or_default()
    };
    Some(Counts { passed: count("passed"), failed: count("failed"), skipped: count("ignored") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 4 tests\r\n\
        test a ... ok\n\
        test b     ... ignored, needs luck\n\
        SKIP c: no cgroup v2 hierarchy is mounted\n\
        test c ... ignored (no cgroup v2 hierarchy is mounted)\n\
        test d     ... what it printed\n\
        FAILED\n\
        failures:\n\
        ---- d ----\n\
        test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.00s\n";

    #[test]
    fn counts_names_and_reasons_are_read_from_a_runner() {
        let mut tally = Tally::default();
        let mut shown = 0;
        let counts = tally.read("vm 6.1", OUTPUT.as_bytes(), |_| shown += 1).unwrap();
        assert_eq!(counts, Counts { passed: 1, failed: 1, skipped: 2 });
        assert_eq!(shown, OUTPUT.lines().count());
        assert_eq!(tally.failed, 1);
        let mut other = Tally::default();
        other.skip("privileged (whole tier)", "needs root");
        tally.add(other);
        let expected = [
            "FAILED vm 6.1: d",
            "SKIPPED privileged (whole tier): needs root",
            "SKIPPED vm 6.1: b: needs luck",
            "SKIPPED vm 6.1: c: no cgroup v2 hierarchy is mounted",
            "1 passed, 1 failed, 3 skipped",
        ];
        assert_eq!(tally.closing_lines(), expected);
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in ["", "test result: what", "warning: 3 passed", "test result: ok. x passed"] {
            assert_eq!(closing(line).unwrap_or_default(), Counts::default(), "{line}");
        }
    }
}
