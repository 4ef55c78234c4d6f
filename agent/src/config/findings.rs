//! What deserves attention, and how often it is told.

use std::collections::BTreeMap;

use serde::Deserialize;
use watchfire_detect::{Settings, When};

/// Most namespaces that have settings of their own.
pub(super) const NAMESPACES_MAX: usize = 1024;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Which findings there are, and how they are rolled up.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct FindingsConfig {
    policy_violation: bool,
    uncovered_flow: Uncovered,
    uncovered_flow_of: OfNamespaces<Uncovered>,
    plaintext_where_mtls_required: bool,
    verdict_changed: bool,
    candidate_difference: bool,
    interval_seconds: Seconds,
    quiet_seconds: Seconds,
    roll_ups_max: RollUps,
}

impl Default for FindingsConfig {
    fn default() -> Self {
        // Exhaustive, so that no setting is without its key.
        let Settings {
            policy_violation,
            uncovered_flow,
            uncovered_flow_of: _,
            plaintext,
            verdict_changed,
            candidate_difference,
            interval_ns,
            quiet_ns,
            roll_ups_max,
        } = Settings::default();
        Self {
            policy_violation,
            uncovered_flow: Uncovered::from(uncovered_flow),
            uncovered_flow_of: OfNamespaces::default(),
            plaintext_where_mtls_required: plaintext,
            verdict_changed,
            candidate_difference,
            interval_seconds: Seconds(interval_ns / NS_PER_SECOND),
            quiet_seconds: Seconds(quiet_ns / NS_PER_SECOND),
            roll_ups_max: RollUps(roll_ups_max),
        }
    }
}

impl FindingsConfig {
    /// As the detector takes it.
    pub(crate) fn settings(&self) -> Settings {
        let of = self.uncovered_flow_of.0.iter();
        Settings {
            policy_violation: self.policy_violation,
            uncovered_flow: self.uncovered_flow.into(),
            uncovered_flow_of: of.map(|(namespace, when)| (namespace.clone(), (*when).into())).collect(),
            plaintext: self.plaintext_where_mtls_required,
            verdict_changed: self.verdict_changed,
            candidate_difference: self.candidate_difference,
            interval_ns: self.interval_seconds.0 * NS_PER_SECOND,
            quiet_ns: self.quiet_seconds.0 * NS_PER_SECOND,
            roll_ups_max: self.roll_ups_max.0,
        }
    }
}

/// When flows that no policy covers are told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Uncovered {
    Always,
    WithPolicies,
    Never,
}

impl From<Uncovered> for When {
    fn from(when: Uncovered) -> Self {
        match when {
            Uncovered::Always => Self::Always,
            Uncovered::WithPolicies => Self::WithPolicies,
            Uncovered::Never => Self::Never,
        }
    }
}

impl From<When> for Uncovered {
    fn from(when: When) -> Self {
        match when {
            When::Always => Self::Always,
            When::WithPolicies => Self::WithPolicies,
            When::Never => Self::Never,
        }
    }
}

/// Something for each of some namespaces, by their names.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "BTreeMap<String, T>", bound(deserialize = "T: Deserialize<'de>"))]
pub(crate) struct OfNamespaces<T>(pub(crate) BTreeMap<String, T>);

impl<T> Default for OfNamespaces<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> TryFrom<BTreeMap<String, T>> for OfNamespaces<T> {
    type Error = String;

    fn try_from(map: BTreeMap<String, T>) -> Result<Self, String> {
        if map.len() > NAMESPACES_MAX {
            return Err(format!("found {} namespaces, expected at most {NAMESPACES_MAX}", map.len()));
        }
        Ok(Self(map))
    }
}

/// A time of up to a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Seconds(u64);

impl Seconds {
    const MAX: u64 = 86_400;
}

impl TryFrom<u64> for Seconds {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, String> {
        match seconds {
            1..=Self::MAX => Ok(Self(seconds)),
            _ => Err(format!("found {seconds}, expected a whole number from 1 to {}", Self::MAX)),
        }
    }
}

/// How many findings go on at a time. Each takes about as much room as one of its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "usize")]
struct RollUps(usize);

impl RollUps {
    const MAX: usize = 65_536;
}

impl TryFrom<usize> for RollUps {
    type Error = String;

    fn try_from(number: usize) -> Result<Self, String> {
        match number {
            1..=Self::MAX => Ok(Self(number)),
            _ => Err(format!("found {number}, expected a whole number from 1 to {}", Self::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_detector() {
        assert_eq!(FindingsConfig::default().settings(), Settings::default());
    }

    #[test]
    fn each_key_sets_its_setting() {
        let text = r#"{"policyViolation": false, "uncoveredFlow": "never", "uncoveredFlowOf": {"shop": "always"},
                       "plaintextWhereMtlsRequired": false, "verdictChanged": false, "candidateDifference": false,
                       "intervalSeconds": 5, "quietSeconds": 7, "rollUpsMax": 9}"#;
        let settings = serde_json::from_str::<FindingsConfig>(text).unwrap().settings();
        let expected = Settings {
            policy_violation: false,
            uncovered_flow: When::Never,
            uncovered_flow_of: [("shop".to_owned(), When::Always)].into(),
            plaintext: false,
            verdict_changed: false,
            candidate_difference: false,
            interval_ns: 5_000_000_000,
            quiet_ns: 7_000_000_000,
            roll_ups_max: 9,
        };
        assert_eq!(settings, expected);
    }
}
