//! The source against an API server that does what servers and networks do on bad days.

mod access;
mod failures;
mod kubelet;
mod server;
mod source;
mod watching;
