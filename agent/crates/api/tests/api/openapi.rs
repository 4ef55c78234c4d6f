//! The description is true: every route, parameter and status is in it, and answers are as it says.

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use serde_json::{Value, json};
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

fn check(document: &Value, schema: &str, value: &Value) {
    let mut compiler = Compiler::new();
    compiler.add_resource("https://watchfire.invalid/openapi.json", document.clone()).unwrap();
    let mut schemas = Schemas::new();
    let schema = compiler.compile(&format!("https://watchfire.invalid/openapi.json#{schema}"), &mut schemas);
    if let Err(error) = schemas.validate(value, schema.unwrap()) {
        panic!("{error}\n{value}");
    }
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
            _ if RECORD_ROUTES.contains(&route) => BTreeSet::from(PARAMETERS),
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
        let schema = &content[media]["schema"];
        let pointer = match schema["$ref"].as_str() {
            Some(reference) => reference.strip_prefix('#').unwrap().to_owned(),
            None => {
                assert_eq!(*schema, json!({ "type": "object" }), "{path}");
                continue;
            }
        };
        check(&document, &pointer, &answer);
    }
}
