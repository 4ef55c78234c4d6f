//! `fromGroups` and `toGroups`: groups of addresses that a cloud knows. Cilium's operator writes what it found for each into a
//! `CiliumCIDRGroup` with a label that is made from the group as written (pkg/policy/api/groups.go), and policies mean that.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha224};

const LABEL_PREFIX: &str = "extgrp.cilium.io/";

/// `Groups`. Order and presence of the fields are what the label is made from.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalGroup {
    #[serde(skip_serializing_if = "Option::is_none")]
    aws: Option<AwsGroup>,
}

/// `AWSGroup`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AwsGroup {
    #[serde(skip_serializing_if = "is_empty_map")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "is_empty_list")]
    security_groups_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_empty_list")]
    security_groups_names: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_empty_text")]
    region: Option<String>,
}

fn is_empty_map(map: &Option<BTreeMap<String, String>>) -> bool {
    map.as_ref().is_none_or(BTreeMap::is_empty)
}

fn is_empty_list(list: &Option<Vec<String>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

fn is_empty_text(text: &Option<String>) -> bool {
    text.as_ref().is_none_or(String::is_empty)
}

impl ExternalGroup {
    /// The label of the `CiliumCIDRGroup` that has the group's addresses.
    pub(crate) fn label_key(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        // Go writes what HTML gives a meaning, and two separators of lines, by their numbers.
        let as_go: String = json
            .chars()
            .map(|character| match character {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => format!("\\u{:04x}", u32::from(character)),
                other => other.to_string(),
            })
            .collect();
        format!("{LABEL_PREFIX}{}", URL_SAFE_NO_PAD.encode(Sha224::digest(as_go)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys are those that Cilium 1.20.2 gives.
    #[test]
    fn the_label_is_the_one_that_the_operator_writes() {
        for (source, expected) in [
            (
                r#"{"aws":{"securityGroupsIds":["sg-1"]}}"#,
                "extgrp.cilium.io/zbNb9W6aenSjAJK8RoTgcPT5ygDqKmqJKoQb4w",
            ),
            (
                r#"{"aws":{"region":"eu-1","securityGroupsNames":["a<b>&c","d"],"labels":{"z":"1","a":"2"}}}"#,
                "extgrp.cilium.io/0euZG_D0LijAv3EXJjtTTV365EqbDaCEn8TCcg",
            ),
            (
                r#"{"aws":{"securityGroupsIds":[],"region":""}}"#,
                "extgrp.cilium.io/051KSaNUjsZOkvFzai_hwbHpbGinVoL2BanFoA",
            ),
            ("{}", "extgrp.cilium.io/XN0VqHNggIe-B6QbfxoE6W06Zv56mw-qxx-NBQ"),
        ] {
            let group: ExternalGroup = serde_json::from_str(source).unwrap();
            assert_eq!(group.label_key(), expected, "{source}");
        }
    }
}
