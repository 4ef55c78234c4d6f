//! Cilium's table of patterns of host names.

use libtest_mimic::Completion;
use serde_json::Value;
use watchfire_policy::NamePattern;

/// Names in the table, each with its final dot or meant to be refused for lack of it.
const NAMES: usize = 78;

pub(crate) fn check(text: &str) -> Completion {
    let table: Value = serde_json::from_str(text).expect("the file is JSON");
    let mut checked = 0;
    for case in table["cases"].as_array().expect("the file holds cases") {
        let text = case["pattern"].as_str().expect("a case has a pattern");
        let pattern = NamePattern::pattern(text).expect("the pattern is one");
        for (field, expected) in [("accept", true), ("reject", false)] {
            for name in case[field].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert_eq!(pattern.matches(name), expected, "{text} on {name:?}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, NAMES);
    Completion::Completed
}
