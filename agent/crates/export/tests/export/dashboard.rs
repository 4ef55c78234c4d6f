//! The Grafana dashboard asks for metrics that exist, with labels that exist.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::metrics::{metrics, show_every_family};

const DASHBOARD: &str = include_str!("../../../../../deploy/dashboards/watchfire.json");

/// Added by Prometheus to every series.
const TARGET_LABELS: [&str; 1] = ["instance"];

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).unwrap()
}

/// Every expression of every panel, with the panel's title.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        targets.iter().map(move |target| (title.to_owned(), target["expr"].as_str().unwrap().to_owned()))
    });
    targets.collect()
}

/// Series names with the names of their labels.
fn exported() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = metrics();
    show_every_family(&metrics);
    let text = metrics.render();
    let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        (name.to_owned(), labels.collect())
    });
    series.collect()
}

/// Words of an expression outside of quotes.
fn words(expression: &str) -> Vec<&str> {
    let outside = expression.split('"').step_by(2);
    outside.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')).collect()
}

#[test]
fn every_metric_asked_for_exists() {
    let exported = exported();
    let dashboard = dashboard();
    let mut asked = BTreeSet::new();
    for (title, expression) in expressions(&dashboard) {
        let names: Vec<_> =
            words(&expression).into_iter().filter(|word| word.starts_with("watchfire_")).collect();
        assert_eq!(names.len(), 1, "{title}: one metric an expression: {expression}");
        let labels = exported.get(names[0]).unwrap_or_else(|| panic!("{title}: no metric {}", names[0]));
        for label in grouping_and_matchers(&expression) {
            let known = labels.contains(&label) || TARGET_LABELS.contains(&label.as_str());
            assert!(known, "{title}: {} has no label {label}", names[0]);
        }
        asked.insert(names[0].to_owned());
    }
    let shown_nowhere: Vec<_> = exported.keys().filter(|name| !asked.contains(*name)).collect();
    assert!(shown_nowhere.is_empty(), "families without a panel: {shown_nowhere:?}");
}

/// Labels named in `{…}` and in `by (…)`.
fn grouping_and_matchers(expression: &str) -> BTreeSet<String> {
    let between = |open: &str, close: char| -> Vec<String> {
        let parts = expression.split(open).skip(1);
        parts.filter_map(|part| Some(part.split_once(close)?.0.to_owned())).collect()
    };
    let matchers = between("{", '}');
    let matched =
        matchers.iter().flat_map(|text| text.split("\",")).filter_map(|text| text.split('=').next());
    let groups = between("by (", ')');
    let grouped = groups.iter().flat_map(|text| text.split(','));
    matched.chain(grouped).map(|label| label.trim().to_owned()).collect()
}

#[test]
fn the_dashboard_can_be_provisioned() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "watchfire");
    assert!(dashboard["schemaVersion"].as_u64().is_some());
    assert!(dashboard.get("id").is_none(), "ids are given by the server that imports it");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "panel ids are unique");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(variables.iter().any(|variable| variable["type"] == "datasource"));
}
