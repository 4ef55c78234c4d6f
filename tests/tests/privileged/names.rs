//! Who is who: after a pid, an address or a clock was used again, and where those who are asked do not answer.

pub(crate) mod address;
pub(crate) mod ancestry;
pub(crate) mod layouts;
pub(crate) mod manifests;
pub(crate) mod objects;
pub(crate) mod pid;
pub(crate) mod runtime;
pub(crate) mod who;
mod wire;
