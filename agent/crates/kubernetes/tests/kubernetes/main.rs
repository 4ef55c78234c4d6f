//! The source against an API server that does what servers and networks do on bad days.

#[cfg(test)]
mod access;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod kubelet;
#[cfg(test)]
mod reviews;
#[cfg(test)]
mod server;
#[cfg(test)]
mod source;
#[cfg(test)]
mod watching;
