//! The crate as the agent uses it.

#[cfg(test)]
mod common;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod events;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod flow_filter;
#[cfg(test)]
mod http;
#[cfg(test)]
mod jsonl;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod observe;
#[cfg(test)]
mod question;
#[cfg(test)]
mod records;
mod silence;
#[cfg(test)]
mod workloads;
