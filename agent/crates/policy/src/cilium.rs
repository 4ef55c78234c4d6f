//! Cilium's policies as Cilium's agent reads them: `CiliumNetworkPolicy`, `CiliumClusterwideNetworkPolicy` and
//! `CiliumCIDRGroup` of cilium.io/v2.

pub(crate) mod compile;
mod entity;
mod external;
mod filter;
mod fqdn;
mod key;
mod l3;
mod l4;
mod labels;
pub(crate) mod object;
mod select;
mod service;

pub(crate) use entity::Entity;
pub use fqdn::NamePattern;
pub(crate) use labels::{Anchor, LabelMatcher, is_own_node};
pub(crate) use service::{EmptyLists, ServiceMatcher};

#[cfg(test)]
mod tests;
