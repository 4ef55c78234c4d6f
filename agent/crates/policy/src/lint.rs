//! Traps in policies: what is read otherwise than whoever wrote it is likely to have meant.

mod cluster;
mod code;
mod written;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Dialect, Pod, PolicyRef};

use crate::{CiliumOptions, Policy, PolicySet, Rejection, World};

pub use code::{LintCode, Severity};

/// What is looked at.
pub struct LintInput<'a> {
    /// Whose reading is followed.
    pub dialect: Dialect,
    /// How Cilium is configured.
    pub options: &'a CiliumOptions,
    /// All policies in force.
    pub policies: &'a [Arc<Policy>],
    /// Objects that cannot be used.
    pub rejected: &'a [Rejection],
    /// Where policies apply; none where that is not known, so that only what is written can be looked at.
    pub cluster: Option<LintCluster<'a>>,
}

/// Where policies apply.
pub struct LintCluster<'a> {
    /// All pods; those that share an identity are looked at once.
    pub pods: &'a [Arc<Pod>],
    /// Addresses of nodes, by name.
    pub nodes: &'a BTreeMap<String, Vec<IpAddr>>,
    /// What else is known.
    pub world: &'a dyn World,
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LintFinding {
    /// What kind of thing.
    pub code: LintCode,
    /// The policy; none where the object cannot be used.
    pub policy: Option<Arc<PolicyRef>>,
    /// The object as an error names it, where it cannot be used.
    pub object: String,
    /// Where it was read, `file:line`, where the finding itself knows.
    pub place: Option<String>,
    /// The place in the object, e.g. `spec.ingress[0].from[1]`; empty for the whole.
    pub path: String,
    /// What was found there.
    pub message: String,
}

impl LintFinding {
    fn new(code: LintCode, policy: &Policy, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            policy: Some(Arc::clone(policy.reference())),
            object: policy.reference().to_string(),
            place: None,
            path: path.into(),
            message: message.into(),
        }
    }
}

/// Looks at everything. Findings are in the order of objects, each object's in the order of codes.
#[must_use]
pub fn lint(input: &LintInput<'_>) -> Vec<LintFinding> {
    let mut findings: Vec<_> = input.rejected.iter().map(rejected).collect();
    let all: Vec<written::Written<'_>> = input.policies.iter().filter_map(written::Written::of).collect();
    for policy in &all {
        policy.lint(input.dialect, &all, &mut findings);
    }
    let set = PolicySet::with_options(input.dialect, input.options.clone(), input.policies.iter().cloned());
    for policy in set.refused() {
        let message = "it uses what Cilium as configured has not switched on";
        findings.push(LintFinding::new(LintCode::Refused, policy, "", message));
    }
    for (policy, reason) in set.idle() {
        findings.push(LintFinding::new(LintCode::Idle, policy, "", reason));
    }
    for policy in input.policies.iter().filter(|policy| !policy.is_known_to(input.dialect)) {
        let message =
            format!("{} means nothing to the Kubernetes API's own reading", policy.reference().kind);
        findings.push(LintFinding::new(LintCode::KindNotRead, policy, "", message));
    }
    cluster::lint(input, &set, &mut findings);
    findings.sort_by_key(|finding| {
        (
            finding.place.clone(),
            finding.policy.clone(),
            finding.object.clone(),
            finding.code,
            finding.path.clone(),
        )
    });
    findings
}

/// Why an object cannot be used, under the code of the trap where it is a known one.
fn rejected(rejection: &Rejection) -> LintFinding {
    let Rejection { file, line, object, reason } = rejection;
    let code = if reason.contains("unknown entity") {
        LintCode::UnknownEntity
    } else if reason.contains("expected an entry in ingress") {
        LintCode::NoRules
    } else if reason.contains("does not lie") {
        LintCode::ExceptOutside
    } else {
        LintCode::Rejected
    };
    let (path, message) = reason.split_once(": ").filter(|(path, _)| is_path(path)).unwrap_or(("", reason));
    LintFinding {
        code,
        policy: None,
        object: object.to_string(),
        place: Some(format!("{file}:{line}")),
        path: path.to_owned(),
        message: message.to_owned(),
    }
}

fn is_path(text: &str) -> bool {
    ["spec", "metadata"].iter().any(|start| text.starts_with(start)) && !text.contains(' ')
}

#[cfg(test)]
mod tests;
