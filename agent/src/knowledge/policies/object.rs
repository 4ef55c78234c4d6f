//! A policy object of the cluster.

use std::sync::Arc;

use watchfire_inventory::{PolicyObject, ResourceKind};
use watchfire_policy::mesh::parse_mesh_object;
use watchfire_policy::{Policy, parse_object};

use crate::knowledge::candidates;
use crate::knowledge::mesh::MeshObject;

/// What an object says.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Said {
    Policy(Arc<Policy>),
    /// It is judged beside those in force.
    Candidate(Arc<Policy>),
    Mesh(MeshObject),
}

/// An object of the cluster.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) list: u32,
    /// What it said when it was last valid; none where it never was, or is of a kind that nobody judges by.
    pub(super) said: Option<Said>,
    /// Whether its newest version is not valid.
    pub(super) is_rejected: bool,
}

/// Reads an object: nothing where nobody judges by its kind. The error is why it is not valid.
pub(super) fn read(policy: &PolicyObject) -> Result<Option<Said>, String> {
    let is_mesh = matches!(policy.kind, ResourceKind::PeerAuthentication | ResourceKind::AuthorizationPolicy);
    match candidates::is_candidate(&policy.value) {
        Err(reason) => Err(reason),
        Ok(true) if is_mesh => Err(candidates::NO_MESH.to_owned()),
        Ok(true) => parse_object(policy.value.clone()).map(|read| read.map(Said::Candidate)),
        Ok(false) if is_mesh => {
            let read = parse_mesh_object(policy.value.clone());
            read.map(|read| read.map(|read| Said::Mesh(MeshObject::new(&policy.value, read))))
        }
        Ok(false) => parse_object(policy.value.clone()).map(|read| read.map(Said::Policy)),
    }
}
