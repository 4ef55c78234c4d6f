//! `watchfire policy graph`: who may talk to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use watchfire_model::{Outcome, Protocol};

use super::flows::FlowArgs;
use super::groups::Group;
use super::options::StateArgs;
use super::output::{port_text, table, write, write_json};
use super::state::{State, Talk};

/// Arguments of `policy graph`.
#[derive(clap::Args, Debug)]
pub(super) struct GraphArgs {
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    flows: FlowArgs,
    /// Only connections with an end in this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    /// Show what is denied as well
    #[arg(long)]
    denied: bool,
    /// How to show the answer
    #[arg(short, long, value_enum, default_value_t = GraphFormat::Table)]
    output: GraphFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum GraphFormat {
    /// For people
    Table,
    /// Graphviz, for `dot -Tsvg`
    Dot,
    /// One JSON object
    Json,
}

/// What can be said of a port between two workloads.
#[derive(Clone, Default)]
struct Edge {
    /// Of all their pods.
    outcomes: BTreeSet<Outcome>,
    because: BTreeSet<String>,
    flows: u64,
}

impl Edge {
    fn verdict(&self) -> &'static str {
        let mut outcomes = self.outcomes.iter();
        match (outcomes.next(), outcomes.next()) {
            (Some(one), None) => one.as_str(),
            _ => "differs by pod",
        }
    }

    fn is_denied(&self) -> bool {
        self.outcomes.iter().all(|outcome| *outcome == Outcome::Denied)
    }
}

type Edges = BTreeMap<(Group, Group, Protocol, u16), Edge>;

pub(super) fn run(args: &GraphArgs) -> Result<ExitCode> {
    let mut state = args.state.read()?;
    let recorded = args.flows.is_given();
    let talks = args.flows.talks_or_pairs(&mut state, "show")?;
    let mut edges = edges(&state, &talks, args.namespace.as_deref());
    if !args.denied {
        edges.retain(|_, edge| !edge.is_denied());
    }
    match args.output {
        GraphFormat::Table => write(&as_table(&edges, recorded))?,
        GraphFormat::Dot => write(&as_dot(&edges))?,
        GraphFormat::Json => write_json(&as_json(&edges, recorded))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn edges(state: &State, talks: &[(Talk, u64)], namespace: Option<&str>) -> Edges {
    let mut edges = Edges::new();
    for (talk, flows) in talks {
        let (client, server) = (Group::of(&talk.client), Group::of(&talk.server));
        if namespace
            .is_some_and(|wanted| client.namespace() != Some(wanted) && server.namespace() != Some(wanted))
        {
            continue;
        }
        let verdict = state.judge(&state.set, talk);
        let edge = edges.entry((client, server, talk.protocol, talk.port)).or_default();
        edge.because.insert(verdict.because());
        edge.outcomes.insert(verdict.outcome);
        edge.flows += flows;
    }
    edges
}

fn as_table(edges: &Edges, recorded: bool) -> String {
    let rows: Vec<Vec<String>> = (edges.iter())
        .map(|((client, server, protocol, port), edge)| {
            let because: Vec<_> = edge.because.iter().filter(|text| !text.is_empty()).cloned().collect();
            let mut cells = vec![
                client.to_string(),
                format!("→ {server}"),
                port_text(*protocol, *port, None),
                edge.verdict().to_owned(),
                because.join("; "),
            ];
            if recorded {
                cells.insert(3, edge.flows.to_string());
            }
            cells
        })
        .collect();
    let headings = ["CLIENT", "  SERVER", "PORT", "FLOWS", "VERDICT", "BECAUSE"];
    let headings: Vec<_> = headings.into_iter().filter(|name| recorded || *name != "FLOWS").collect();
    table(&headings, &rows)
}

/// Namespaces as boxes, and one arrow for each pair of workloads and verdict.
fn as_dot(edges: &Edges) -> String {
    let mut text = String::from("digraph policy {\n  rankdir=LR;\n  node [shape=box];\n");
    let ends: BTreeSet<&Group> = edges.keys().flat_map(|(client, server, ..)| [client, server]).collect();
    let namespaces: BTreeSet<Option<&str>> = ends.iter().map(|end| end.namespace()).collect();
    for namespace in namespaces {
        let of = ends.iter().filter(|end| end.namespace() == namespace);
        let nodes: String = of
            .map(|end| {
                let label = match end {
                    Group::Workload { name, .. } => name.to_string(),
                    other => other.to_string(),
                };
                format!("    {} [label={}];\n", quoted(&end.to_string()), quoted(&label))
            })
            .collect();
        text += &match namespace {
            Some(name) => format!(
                "  subgraph {} {{\n    label={};\n{nodes}  }}\n",
                quoted(&format!("cluster_{name}")),
                quoted(name)
            ),
            None => nodes,
        };
    }
    let mut arrows: BTreeMap<(&Group, &Group, &str), Vec<String>> = BTreeMap::new();
    for ((client, server, protocol, port), edge) in edges {
        arrows.entry((client, server, edge.verdict())).or_default().push(port_text(*protocol, *port, None));
    }
    for ((client, server, verdict), ports) in arrows {
        let style = match verdict {
            "allowed" => "color=darkgreen",
            "denied" => "color=red",
            "not-covered" => "style=dashed",
            _ => "style=dotted",
        };
        text += &format!(
            "  {} -> {} [label={}, {style}];\n",
            quoted(&client.to_string()),
            quoted(&server.to_string()),
            quoted(&ports.join("\n")),
        );
    }
    text + "}\n"
}

/// A string as Graphviz reads it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn as_json(edges: &Edges, recorded: bool) -> serde_json::Value {
    let all: Vec<_> = (edges.iter())
        .map(|((client, server, protocol, port), edge)| {
            json!({
                "client": client, "server": server, "protocol": protocol, "port": port,
                "flows": recorded.then_some(edge.flows), "verdict": edge.verdict(), "because": edge.because,
            })
        })
        .collect();
    json!({ "edges": all })
}
