//! The policy engine against Cilium's own: on random clusters, policies and connections both have to say the same, for each
//! direction, and have to refuse the same policies.
//!
//! `POLICY_ORACLE_PROBES` says how many connections are judged and `POLICY_ORACLE_SEED` with which case to begin. A difference
//! is printed as a case file that has nothing but it.

mod compare;
mod oracle;

use libtest_mimic::{Arguments, Completion, Trial};

/// Connections that are judged where nothing else is said.
const PROBES: usize = 1_000_000;
/// Connections of one case.
const CASE_PROBES: usize = 400;
/// What Cilium may say: allow, default-deny and policy-deny.
const VERDICTS: usize = 3;
/// Differences that are printed.
const SHOWN_MAX: usize = 5;

fn main() {
    let trial = Trial::ignorable_test("the_engines_agree", || {
        let probes = number("POLICY_ORACLE_PROBES").unwrap_or(PROBES);
        let mut oracle = match oracle::Oracle::start() {
            Ok(oracle) => oracle,
            Err(reason) => {
                println!("\nSKIP the_engines_agree: {reason}");
                return Ok(Completion::ignored_with(reason));
            }
        };
        let mut tally = compare::Tally::default();
        let mut seed = number("POLICY_ORACLE_SEED").unwrap_or(0) as u64;
        while tally.sides < 2 * probes && tally.differences.len() < SHOWN_MAX {
            tally.case(&mut oracle, seed, CASE_PROBES);
            seed += 1;
        }
        println!("\n{tally}");
        let shown: Vec<_> = tally.differences.iter().map(String::as_str).collect();
        let is_covered = tally.verdicts.len() == VERDICTS && tally.of_nodes > 0 && tally.refused > 0;
        assert!(is_covered, "the cases do not ask for everything");
        assert!(shown.is_empty(), "{} differences\n{}", shown.len(), shown.join("\n"));
        Ok(Completion::Completed)
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}
