//! The Grafana dashboards ask for metrics that exist, with labels that exist, and can be provisioned.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::metrics::{metrics, show_every_family};

/// Added by Prometheus to every series, or by the agent's configuration.
const OUTER_LABELS: [&str; 2] = ["instance", "cluster"];

/// What Grafana fills in by itself.
const BUILT_IN: [&str; 3] = ["__range", "__rate_interval", "__interval"];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../deploy/dashboards"))
}

/// Every dashboard, with the name of its file.
fn dashboards() -> Vec<(String, Value)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut all: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let dashboard = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            (name, dashboard)
        })
        .collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Every expression of a dashboard, with its panel's title.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let targets = array(&dashboard["panels"]).iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        let targets = array(&panel["targets"]).iter();
        targets.map(move |target| (title.to_owned(), target["expr"].as_str().unwrap().to_owned()))
    });
    targets.collect()
}

/// Series names with the names of their labels.
fn exported() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = metrics();
    show_every_family(&metrics);
    let text = metrics.render();
    let mut series = BTreeMap::<_, BTreeSet<_>>::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series_of, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series_of.split_once('{').unwrap_or((series_of, ""));
        let labels = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        series.entry(name.to_owned()).or_default().extend(labels);
    }
    series
}

/// Words of an expression outside of quotes.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    let outside = expression.split('"').step_by(2);
    outside.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
}

#[test]
fn every_metric_has_a_panel_and_every_panel_a_metric() {
    let exported = exported();
    let mut asked = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        for (title, expression) in expressions(&dashboard) {
            let names: BTreeSet<_> = words(&expression)
                .filter(|word| word.starts_with("watchfire_") || word.starts_with("process_"))
                .collect();
            assert!(!names.is_empty(), "{name}, {title}: {expression}");
            // What other stages register is not in the registry of a test; the real agent's is asked elsewhere.
            let mut labels: BTreeSet<&str> = OUTER_LABELS.into();
            for metric in &names {
                labels.extend(exported.get(*metric).into_iter().flatten().map(String::as_str));
            }
            for label in grouping_and_matchers(&expression) {
                assert!(labels.contains(&*label), "{name}, {title}: no label {label} of {names:?}");
            }
            asked.extend(names.into_iter().map(str::to_owned));
        }
    }
    let shown_nowhere: Vec<_> = exported
        .keys()
        .filter(|series| {
            // Bucket, sum and count are one family.
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| series.strip_suffix(part));
            !asked.contains(*series)
                && !family.is_some_and(|family| asked.iter().any(|asked| asked.starts_with(family)))
        })
        .collect();
    assert!(shown_nowhere.is_empty(), "families without a panel: {shown_nowhere:?}");
}

/// Labels named in `{…}`, in `by (…)` and in `on (…)`.
fn grouping_and_matchers(expression: &str) -> BTreeSet<String> {
    let between = |open: &str, close: char| -> Vec<String> {
        let parts = expression.split(open).skip(1);
        parts.filter_map(|part| Some(part.split_once(close)?.0.to_owned())).collect()
    };
    let matchers = between("{", '}');
    let matched = matchers
        .iter()
        .flat_map(|text| text.split("\","))
        .filter_map(|text| text.split(['=', '!', '~']).next());
    let groups = [between("by (", ')'), between("on (", ')')].concat();
    let grouped = groups.iter().flat_map(|text| text.split(','));
    matched.chain(grouped).map(|label| label.trim().to_owned()).filter(|label| label != "le").collect()
}

#[test]
fn dashboards_can_be_provisioned() {
    let all = dashboards();
    let uids: BTreeSet<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(all.len(), 6);
    for (name, dashboard) in &all {
        assert_eq!(dashboard["uid"], **name, "a file is called as its dashboard");
        assert!(dashboard["schemaVersion"].as_u64().is_some());
        assert!(dashboard["title"].as_str().is_some_and(|title| title.starts_with("Watchfire / ")), "{name}");
        assert!(dashboard.get("id").is_none(), "ids are given by the server that imports it");
        let panels = array(&dashboard["panels"]);
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}: panel ids are unique");
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let title = format!("{name}, {}", panel["title"]);
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title}");
            if panel["type"] == "text" {
                assert!(
                    panel["options"]["content"].as_str().is_some_and(|text| text.contains("watchfire ")),
                    "{title}"
                );
                continue;
            }
            assert!(!array(&panel["targets"]).is_empty(), "{title}");
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].as_str().is_some_and(|unit| !unit.is_empty()),
                "{title}"
            );
        }
        assert!(panels.iter().any(|panel| panel["type"] == "text"), "{name}: says what to ask on the node");
        // From each to all others.
        let linked: BTreeSet<_> = array(&dashboard["links"])
            .iter()
            .filter_map(|link| link["url"].as_str()?.strip_prefix("/d/"))
            .collect();
        let others: BTreeSet<_> = uids.iter().copied().filter(|uid| uid != name).collect();
        assert_eq!(linked, others, "{name}");
    }
}

#[test]
fn panels_do_not_cover_each_other() {
    for (name, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in array(&dashboard["panels"]) {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{name}, {}", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{name}, {}", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn variables_are_declared_and_used() {
    for (name, dashboard) in dashboards() {
        let variables = array(&dashboard["templating"]["list"]);
        let declared: BTreeSet<_> =
            variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        assert!(declared.contains("datasource") && declared.contains("cluster"), "{name}");
        let mut used: BTreeSet<String> = ["datasource".to_owned()].into();
        for (title, expression) in expressions(&dashboard) {
            let of_expression: Vec<_> = expression
                .split('$')
                .skip(1)
                .map(|rest| {
                    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap().to_owned()
                })
                .filter(|variable| !BUILT_IN.contains(&variable.as_str()))
                .collect();
            assert!(
                of_expression.iter().any(|variable| variable == "cluster"),
                "{name}, {title}: of which cluster?"
            );
            used.extend(of_expression);
        }
        assert_eq!(used.iter().map(String::as_str).collect::<BTreeSet<_>>(), declared, "{name}");
    }
}

#[test]
fn every_dashboard_becomes_a_config_map() {
    let text = fs::read_to_string(folder().join("kustomization.yaml")).unwrap();
    for (name, _) in dashboards() {
        assert!(text.contains(&format!("files: [{name}.json]")), "{name}");
    }
    assert!(text.contains("grafana_dashboard: \"1\""));
}
