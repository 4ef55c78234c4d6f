//! By what a flow was judged, beside the verdict itself.

use std::sync::Arc;

use serde::Serialize;

use crate::{Dialect, Outcome, PolicyRef, Verdict};

/// By what a flow was judged.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Judgement {
    /// Which set of policies: they are numbered from 1 as the agent takes them in, and every change is a new one. Numbers are
    /// of this run of the agent.
    pub policy_epoch: u64,
    /// Whose reading of them.
    pub dialect: Dialect,
    /// Whether policies or identities that concern the ends changed so near to the start of the flow that a data plane may
    /// have followed the others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale_window: bool,
    /// What the mesh's own policies say, where they say something. It is no part of the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshView>,
    /// What was said before, where the record tells a change of the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<VerdictAt>>,
    /// What policies of now say, in records that follow a change: their verdict is still that of the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_now: Option<Box<VerdictAt>>,
}

/// What one set of policies says of a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VerdictAt {
    /// Which set.
    pub policy_epoch: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// The deciding rule, policy or reason in one phrase.
    pub because: String,
    /// What the mesh's own policies say, where they say something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshView>,
}

/// What the mesh's policies (Istio's `PeerAuthentication` and `AuthorizationPolicy`) say of a flow.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct MeshView {
    /// Whether it may be.
    pub outcome: Outcome,
    /// What decides, in a word.
    pub verdict: MeshWord,
    /// The policies that decide, in stable order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Arc<PolicyRef>>,
    /// Position in the `rules` of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// What decides in the mesh.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeshWord {
    /// A rule allows it.
    Allow,
    /// A rule denies it.
    DenyRule,
    /// Policies that allow apply, and none allows it.
    DenyDefault,
    /// It is plaintext where mutual TLS is required.
    DenyPlaintext,
    /// Cannot be known.
    Unknown,
}
