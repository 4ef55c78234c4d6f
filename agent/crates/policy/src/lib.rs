//! Policy intent: what the cluster's network policies say about a connection, and by which rule.
//!
//! The engine takes compiled policies and the two ends of a connection as the inventory knows them, and answers
//! with a verdict per direction. It never looks at what a data plane did. Pure: no IO, no clock, no threads.
//!
//! **Invariant:** missing facts make a verdict `Unknown`. Nothing here rounds them to allowed or denied.
#![forbid(unsafe_code)]

mod address;
mod admin;
mod cache;
pub mod cases;
mod cilium;
mod classes;
mod compile;
mod connection;
mod decision;
mod document;
mod evaluate;
mod explain;
mod groups;
mod index;
mod kind;
mod matching;
pub mod mesh;
mod mix;
mod netpol;
mod network;
mod options;
mod peer;
mod policy;
mod port;
mod rule;
mod selector;
mod set;
mod side;
mod split;
mod yaml;

pub use cache::{CacheCounters, VerdictCache};
pub use cilium::NamePattern;
pub use compile::InvalidPolicy;
pub use connection::{Connection, Endpoint, Service, World};
pub use document::{Ignored, ObjectId, Parsed, Rejection, parse_documents, parse_object, parse_values};
pub use explain::{Considered, Explanation, RuleTrial, Verb};
pub use matching::Match;
pub use netpol::{
    IntOrString, IpBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule,
    NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec, ObjectMeta,
};
pub use options::{CiliumOptions, Enforcement};
pub use policy::Policy;
pub use selector::{InvalidSelector, LabelSelector, LabelSelectorRequirement, Selector};
pub use set::PolicySet;
