//! The description is true: every route, parameter and status is in it, and answers are as it says.

use std::collections::BTreeSet;

use serde_json::Value;
use watchfire_api::{PARAMETERS, ProblemKind, ROUTES, openapi};

use crate::fixture::Api;

/// Routes of records, which have the same parameters.
const RECORD_ROUTES: [&str; 3] = ["/api/v1/events", "/api/v1/flows", "/api/v1/findings"];

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

/// Whether the value is as the schema says, of those keywords of JSON Schema 2020-12 that the description uses; another one
/// fails, so that none is passed over.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    for (keyword, wanted) in resolved(document, schema).as_object().unwrap() {
        match keyword.as_str() {
            "description" => {}
            "type" => {
                let names = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                assert!(names.iter().any(|name| is_of_type(value, name.as_str().unwrap())), "{at}: {value}");
            }
            "enum" => assert!(wanted.as_array().unwrap().contains(value), "{at}: {value}"),
            "minimum" => {
                assert!(value.as_f64().is_none_or(|n| n >= wanted.as_f64().unwrap()), "{at}: {value}");
            }
            "maximum" => {
                assert!(value.as_f64().is_none_or(|n| n <= wanted.as_f64().unwrap()), "{at}: {value}");
            }
            "maxItems" => {
                let items = value.as_array().map_or(0, Vec::len) as u64;
                assert!(items <= wanted.as_u64().unwrap(), "{at}: {items} items");
            }
            "pattern" => assert!(value.as_str().is_none_or(|text| matches(wanted, text)), "{at}: {value}"),
            "required" => {
                for key in wanted.as_array().unwrap() {
                    assert!(
                        value.is_null() || value.get(key.as_str().unwrap()).is_some(),
                        "{at} lacks {key}"
                    );
                }
            }
            "properties" => {
                for (key, schema) in wanted.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        check(document, schema, value, &format!("{at}.{key}"));
                    }
                }
            }
            "additionalProperties" => {
                let known = &resolved(document, schema)["properties"];
                for (key, value) in value.as_object().into_iter().flatten() {
                    if known.get(key).is_none() {
                        assert!(wanted.is_object(), "{at}.{key} is not described");
                        check(document, wanted, value, &format!("{at}.{key}"));
                    }
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, wanted, item, &format!("{at}[{n}]"));
                }
            }
            other => panic!("{at}: keyword {other} is not checked"),
        }
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no type {other}"),
    }
}

/// The patterns of the description.
fn matches(pattern: &Value, text: &str) -> bool {
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    match pattern.as_str().unwrap() {
        "^[0-9a-f]{32}$" => is_hex(text, 32),
        "^[0-9a-f]{64}$" => is_hex(text, 64),
        "^urn:watchfire:problem:[a-z-]+$" => {
            let name = text.strip_prefix("urn:watchfire:problem:").unwrap_or_default();
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        }
        other => panic!("pattern {other} is not checked"),
    }
}

#[test]
#[should_panic(expected = "answer lacks \"next\"")]
fn an_answer_that_lacks_something_is_noticed() {
    let document = openapi();
    let schema = &document["components"]["schemas"]["Page"];
    check(&document, schema, &serde_json::json!({ "records": [] }), "answer");
}

#[test]
fn every_route_and_parameter_is_described_and_no_other() {
    let document = openapi();
    let described: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(described, BTreeSet::from(ROUTES));
    for route in ROUTES {
        let operation = &document["paths"][route]["get"];
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let names: BTreeSet<&str> =
            parameters.map(|parameter| resolved(&document, parameter)["name"].as_str().unwrap()).collect();
        let expected: BTreeSet<&str> = match route {
            _ if RECORD_ROUTES.contains(&route) => PARAMETERS.into_iter().chain(["Last-Event-ID"]).collect(),
            "/api/v1/processes/{exec_id}/tree" => BTreeSet::from(["exec_id", "since", "until"]),
            _ => BTreeSet::new(),
        };
        assert_eq!(names, expected, "{route}");
    }
}

#[test]
fn every_status_of_a_problem_is_described() {
    let document = openapi();
    let mut described = BTreeSet::new();
    for route in ROUTES {
        let responses = document["paths"][route]["get"]["responses"].as_object().unwrap();
        described.extend(responses.keys().map(|status| status.parse::<u16>().unwrap()));
    }
    let mut expected: BTreeSet<u16> = ProblemKind::ALL.iter().map(|kind| kind.status().as_u16()).collect();
    expected.insert(200);
    assert_eq!(described, expected);
}

#[tokio::test]
async fn answers_are_as_described() {
    let document = openapi();
    let api = Api::new(Some(60)).await;
    for (route, path) in [
        ("/api/v1/events", "/api/v1/events?limit=5"),
        ("/api/v1/events", "/api/v1/events"),
        ("/api/v1/flows", "/api/v1/flows"),
        ("/api/v1/findings", "/api/v1/findings"),
        ("/api/v1/processes/{exec_id}/tree", "/api/v1/processes/3f2a91bc-102-5/tree"),
        ("/api/v1/policies", "/api/v1/policies"),
        ("/api/v1/status", "/api/v1/status"),
        ("/api/v1/openapi.json", "/api/v1/openapi.json"),
        ("/api/v1/events", "/api/v1/events?limit=x"),
        ("/api/v1/events", "/api/v1/events?filter=verdct+%3D+denied"),
        ("/api/v1/processes/{exec_id}/tree", "/api/v1/processes/x/tree"),
    ] {
        let (status, answer) = api.json(path).await;
        let responses = &document["paths"][route]["get"]["responses"];
        let response = &responses[status.as_str()];
        assert!(response.is_object(), "{path}: {status} is not described");
        let content = resolved(&document, response)["content"].as_object().unwrap();
        let media = if status.is_success() { "application/json" } else { "application/problem+json" };
        check(&document, &content[media]["schema"], &answer, path);
    }
}
