//! Running case files.

use watchfire_model::{Dialect, Verdict};

use super::cluster::Cluster;
use super::file::{Case, CaseFile, Content};
use super::probe::{Probe, SideExpectation};
use super::report::{Mismatch, Report, Skipped};
use super::table::Row;
use crate::{Connection, Endpoint, PolicySet};

impl CaseFile {
    /// Judges every probe of every case, under the given reading where the file does not say for which it is written. A case with
    /// policies that mean nothing in that reading is judged in Cilium's, in which all kinds mean something.
    #[must_use]
    pub fn run(&self, dialect: Dialect) -> Report {
        let mut report = Report::default();
        for case in &self.cases {
            let is_known = |dialect| match &case.content {
                Content::Runnable { policies, .. } => {
                    policies.iter().all(|policy| policy.is_known_to(dialect))
                }
                Content::Table(_) | Content::Skipped(_) => true,
            };
            let otherwise = if is_known(dialect) { dialect } else { Dialect::Cilium };
            case.run(self.dialect.unwrap_or(otherwise), &mut report);
        }
        report
    }
}

impl Case {
    fn left_out(&self, probe: Option<&Probe>, reason: &str) -> Skipped {
        Skipped { case: self.id.clone(), probe: probe.map(ToString::to_string), reason: reason.to_owned() }
    }

    fn run(&self, dialect: Dialect, report: &mut Report) {
        let (cluster, options, policies, probes, refused) = match &self.content {
            Content::Runnable { cluster, options, policies, probes, refused } => {
                (cluster, options, policies, probes, refused)
            }
            Content::Table(rows) => return self.tell(rows, report),
            Content::Skipped(reason) => return report.skipped.push(self.left_out(None, reason)),
        };
        report.cases += 1;
        report.refused.extend(refused.iter().map(|reason| self.left_out(None, reason)));
        let set = PolicySet::with_options(dialect, options.clone(), policies.iter().cloned());
        for probe in probes {
            if probe.loopback {
                report.skipped.push(self.left_out(Some(probe), LOOPBACK));
                continue;
            }
            let judged = judge(cluster, probe, &mut |connection| set.judge(cluster.as_ref(), connection));
            let Some(verdict) = judged else { continue };
            if let (Some(_), Some(reason)) = (mismatch(probe, &verdict), refused.first()) {
                let reason = format!("what is expected may rest on an object that is refused: {reason}");
                report.skipped.push(self.left_out(Some(probe), &reason));
                continue;
            }
            report.probes += 1;
            report.mismatches.extend(mismatch(probe, &verdict).map(|(expected, got)| Mismatch {
                case: self.id.clone(),
                probe: probe.to_string(),
                expected,
                got,
                because: verdict.because(),
            }));
        }
    }
}

impl Case {
    fn tell(&self, rows: &[Row], report: &mut Report) {
        report.cases += 1;
        report.probes += rows.len();
        let wrong = rows.iter().filter(|row| row.expected != row.got);
        report.mismatches.extend(wrong.map(|row| Mismatch {
            case: self.id.clone(),
            probe: row.question.clone(),
            expected: row.expected.clone(),
            got: row.got.clone(),
            because: String::new(),
        }));
    }
}

const LOOPBACK: &str = "a pod that talks to itself is exempt, the case judges it by policy";

/// None for ends that the case does not describe, which reading the file has ruled out.
pub(super) fn judge<V>(
    cluster: &Cluster,
    probe: &Probe,
    judge_one: &mut dyn FnMut(&Connection<'_>) -> V,
) -> Option<V> {
    let (client, client_ip) = cluster.resolve(&probe.from)?;
    let (server, server_ip) = cluster.resolve(&probe.to)?;
    Some(judge_one(&Connection {
        protocol: probe.proto,
        client: Endpoint { peer: &client, ip: client_ip },
        server: Endpoint { peer: &server, ip: probe.to_ip.unwrap_or(server_ip) },
        server_port: probe.port,
        icmp_type: probe.icmp_type,
        direction_guessed: probe.guessed,
    }))
}

/// What was expected and what was found, where they differ.
fn mismatch(probe: &Probe, verdict: &Verdict) -> Option<(String, String)> {
    if !probe.expect.is_met_by(verdict.outcome) {
        return Some((probe.expect.to_string(), verdict.outcome.to_string()));
    }
    for (direction, expected, side) in [
        ("egress", probe.expect_egress, &verdict.egress),
        ("ingress", probe.expect_ingress, &verdict.ingress),
    ] {
        if let Some(expected) = expected.filter(|expected| !expected.is_met_by(side)) {
            return Some((
                format!("{direction} {expected}"),
                format!("{direction} {}", SideExpectation::from(side)),
            ));
        }
    }
    let because = verdict.because();
    probe
        .because
        .as_ref()
        .filter(|expected| **expected != because)
        .map(|expected| (expected.clone(), because))
}

#[cfg(test)]
mod tests;
