//! Which flow and DNS records somebody wants to see. Works on lines of the event log, so that the observe socket and
//! readers of log files answer alike.

mod facts;
mod field;
mod term;

use serde::{Deserialize, Deserializer, Serialize};
use watchfire_model::WallTime;

use self::facts::{Facts, Head};
pub use self::field::{Ends, FlowField};
pub use self::term::{FlowTerm, FlowTermError};

/// Terms of one field are alternatives, different fields must all be met, and each negated term excludes by itself.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowFilter {
    /// Nothing older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<WallTime>,
    /// Nothing newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<WallTime>,
    /// Those that are asked for, by field, then those that exclude.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "in_order")]
    terms: Vec<FlowTerm>,
}

impl FlowFilter {
    /// A filter of a time and terms in any order.
    #[must_use]
    pub fn new(since: Option<WallTime>, until: Option<WallTime>, terms: Vec<FlowTerm>) -> Self {
        Self { since, until, terms: ordered(terms) }
    }

    /// Whether the line is a flow or DNS record that is wanted. The error says why it is no record at all.
    pub fn matches(&self, line: &[u8]) -> Result<bool, serde_json::Error> {
        let head: Head = serde_json::from_slice(line)?;
        // Records of other types have fields of these names with other meanings.
        if !head.is_flow_or_dns() || !self.covers(head.time) {
            return Ok(false);
        }
        Ok(self.terms_match(&serde_json::from_slice(line)?))
    }

    fn covers(&self, time: WallTime) -> bool {
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time <= until)
    }

    fn terms_match(&self, facts: &Facts) -> bool {
        let mut alternatives = self.terms.chunk_by(|one, other| one.group() == other.group());
        alternatives.all(|terms| {
            let met = terms.iter().any(|term| term.is_met_by(facts));
            met != terms[0].is_negated()
        })
    }
}

fn ordered(mut terms: Vec<FlowTerm>) -> Vec<FlowTerm> {
    terms.sort_by_key(FlowTerm::group);
    terms
}

fn in_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FlowTerm>, D::Error> {
    Vec::deserialize(deserializer).map(ordered)
}
