//! What a run of case files found.

use std::fmt;

/// The result of a run.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// Cases run.
    pub cases: usize,
    /// Probes judged.
    pub probes: usize,
    /// Probes that were not as expected.
    pub mismatches: Vec<Mismatch>,
    /// What was left out, by name.
    pub skipped: Vec<Skipped>,
    /// Policies that are refused. Their cases are judged by the others, as a cluster would be that refuses them too; a probe
    /// that is then not as expected is left out.
    pub refused: Vec<Skipped>,
}

/// A probe that was not as expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// Id of the case.
    pub case: String,
    /// The connection.
    pub probe: String,
    /// What the case expects.
    pub expected: String,
    /// What the engine says.
    pub got: String,
    /// The deciding rule, policies or reason; empty where no policy covers the connection.
    pub because: String,
}

/// A case or a probe that was left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Id of the case.
    pub case: String,
    /// The connection; none where the whole case was left out.
    pub probe: Option<String>,
    /// Why.
    pub reason: String,
}

impl Report {
    /// Adds the result of another file.
    pub fn merge(&mut self, other: Self) {
        let Self { cases, probes, mismatches, skipped, refused } = other;
        self.cases += cases;
        self.probes += probes;
        self.mismatches.extend(mismatches);
        self.skipped.extend(skipped);
        self.refused.extend(refused);
    }
}

impl fmt::Display for Report {
    /// The count line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, probes, mismatches, skipped, refused } = self;
        let (mismatches, skipped) = (mismatches.len(), skipped.len());
        write!(f, "{cases} cases, {probes} probes, {mismatches} mismatches, {skipped} skipped")?;
        if !refused.is_empty() {
            write!(f, ", {} objects refused", refused.len())?;
        }
        Ok(())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, probe, expected, got, because } = self;
        write!(f, "{case}: {probe}: expected {expected}, got {got}")?;
        if !because.is_empty() && because != got {
            write!(f, " ({because})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.probe {
            Some(probe) => write!(f, "{}: {probe}: {}", self.case, self.reason),
            None => write!(f, "{}: {}", self.case, self.reason),
        }
    }
}
