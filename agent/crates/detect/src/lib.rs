//! Findings: what of all that is seen deserves attention, rolled up so that a thousand alike are one.
//!
//! Takes records as they leave the pipeline and answers with findings. Pure: no IO, no clock, no threads; time comes in with
//! the records.
//!
//! **Invariant:** counts are exact. Whatever is counted is told, as a finding of its own or in the one that stands for what
//! had no room, and the last record of a finding has the whole count. What cannot be known makes no finding.
#![forbid(unsafe_code)]

mod candidates;
mod describe;
mod detector;
mod key;
mod once;
mod pairing;
mod party;
mod roll_up;
mod settings;
#[cfg(test)]
mod tests;

pub use candidates::{CandidateReport, DIFFERENCES_MAX, Difference};
pub use detector::{Detector, Facts, Withheld};
pub use pairing::{PAIRING_NS, PAIRS_MAX};
pub use roll_up::{At, ROLL_UPS_OF_SOURCE_MAX, SPACING_NS_MAX};
pub use settings::{Settings, When};
