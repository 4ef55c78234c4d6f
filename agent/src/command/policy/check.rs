//! `watchfire policy check`: what would change with other policies.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::json;
use watchfire_model::{Dialect, Outcome, Protocol, Verdict};
use watchfire_policy::Policy;

use super::flows::FlowArgs;
use super::groups::Group;
use super::options::{DialectChoice, Format, StateArgs};
use super::output::{port_text, table, write, write_json};
use super::state::{State, Talk, policy_file};
use crate::yaml_files;

/// Something that works would no longer.
const EXIT_WOULD_BREAK: u8 = 1;

/// Arguments of `policy check`.
#[derive(clap::Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Policies as they would be, beside those in force and in place of those of the same name; files or folders
    #[arg(short = 'f', long = "file", required = true, value_name = "PATH")]
    policy_files: Vec<PathBuf>,
    #[command(flatten)]
    flows: FlowArgs,
    /// How to show the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// What would become of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Change {
    /// It passes now and would be denied.
    WouldBreak,
    /// It is denied now and would pass.
    WouldOpen,
    /// One of the two cannot be known.
    Unknown,
    Same,
}

impl Change {
    pub(super) const fn between(before: Outcome, after: Outcome) -> Self {
        use Outcome::{Allowed, Denied, NotCovered, Unknown};
        match (before, after) {
            (Allowed | NotCovered, Denied) => Self::WouldBreak,
            (Denied, Allowed | NotCovered) => Self::WouldOpen,
            (Unknown, _) | (_, Unknown) => Self::Unknown,
            (Denied, Denied) | (Allowed | NotCovered, Allowed | NotCovered) => Self::Same,
        }
    }

    const fn heading(self) -> &'static str {
        match self {
            Self::WouldBreak => "WOULD BREAK",
            Self::WouldOpen => "WOULD OPEN",
            Self::Unknown => "UNKNOWN",
            Self::Same => "SAME",
        }
    }
}

type Key = (Change, Group, Group, Protocol, u16);

/// Connections of the same workloads and port that fare alike.
struct Row {
    connections: u64,
    flows: u64,
    before: Verdict,
    after: Verdict,
}

/// Exits 1 if anything would break.
pub(super) fn run(args: &CheckArgs) -> Result<ExitCode> {
    let new = read_new(&args.policy_files)?;
    let mut state = args.state.read()?;
    let dialect = match args.state.dialect {
        DialectChoice::Auto
            if args.state.is_files() && new.iter().any(|one| !one.is_known_to(Dialect::K8s)) =>
        {
            Dialect::Cilium
        }
        _ => state.set.dialect(),
    };
    if let Some(policy) = new.iter().find(|policy| !policy.is_known_to(dialect)) {
        bail!("{} means nothing in this dialect; give --dialect cilium", policy.reference());
    }
    let recorded = args.flows.is_given();
    let talks = args.flows.talks_or_pairs(&mut state, "check with")?;
    let rows = rows(&state, dialect, &new, &talks);
    match args.output {
        Format::Text => write(&text(&rows, recorded))?,
        Format::Json => write_json(&json(&rows, recorded))?,
    }
    let breaks = rows.keys().any(|(change, ..)| *change == Change::WouldBreak);
    Ok(ExitCode::from(if breaks { EXIT_WOULD_BREAK } else { 0 }))
}

/// Every policy of the files, each of which has to be one that can be used.
fn read_new(paths: &[PathBuf]) -> Result<Vec<Arc<Policy>>> {
    let mut policies = Vec::new();
    let mut mistakes = Vec::new();
    for path in paths {
        for file in yaml_files::files(path).with_context(|| format!("-f {}", path.display()))? {
            let read = policy_file(&file.display().to_string(), &yaml_files::read(&file)?);
            policies.extend(read.policies.into_iter().map(|(policy, _)| policy));
            mistakes.extend(read.mistakes);
        }
    }
    if let Some((last, others)) = mistakes.split_last() {
        for mistake in others {
            eprintln!("watchfire: {mistake}");
        }
        bail!("{last}");
    }
    if policies.is_empty() {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("-f {}: no policy is in it", paths.join(", "));
    }
    Ok(policies)
}

fn rows(state: &State, dialect: Dialect, new: &[Arc<Policy>], talks: &[(Talk, u64)]) -> BTreeMap<Key, Row> {
    let before = state.set_in(dialect, state.policies.iter().cloned());
    let after = state.set_in(dialect, state.policies.iter().chain(new).cloned());
    let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
    for (talk, flows) in talks {
        let (before, after) = (state.judge(&before, talk), state.judge(&after, talk));
        let change = Change::between(before.outcome, after.outcome);
        let (client, server) = (Group::of(&talk.client), Group::of(&talk.server));
        let row = rows.entry((change, client, server, talk.protocol, talk.port));
        let row = row.or_insert(Row { connections: 0, flows: 0, before, after });
        row.connections += 1;
        row.flows += flows;
    }
    rows
}

fn text(rows: &BTreeMap<Key, Row>, recorded: bool) -> String {
    let mut text = String::new();
    for change in [Change::WouldBreak, Change::WouldOpen, Change::Unknown] {
        let of: Vec<_> = rows.iter().filter(|((of, ..), _)| *of == change).collect();
        if of.is_empty() {
            continue;
        }
        let cells: Vec<Vec<String>> = (of.into_iter())
            .map(|((_, client, server, protocol, port), row)| {
                let mut cells = vec![
                    client.to_string(),
                    format!("→ {server}"),
                    port_text(*protocol, *port, None),
                    row.before.outcome.to_string(),
                    row.after.outcome.to_string(),
                    row.after.because(),
                ];
                if recorded {
                    cells.insert(3, row.flows.to_string());
                }
                cells
            })
            .collect();
        let headings = ["CLIENT", "  SERVER", "PORT", "FLOWS", "NOW", "THEN", "BECAUSE"];
        let headings: Vec<_> = headings.into_iter().filter(|name| recorded || *name != "FLOWS").collect();
        text += &format!("{}\n{}\n", change.heading(), table(&headings, &cells));
    }
    let count = |change| rows.keys().filter(|(of, ..)| *of == change).count();
    text + &format!(
        "{} would break, {} would open, {} unknown, {} the same ({})\n",
        count(Change::WouldBreak),
        count(Change::WouldOpen),
        count(Change::Unknown),
        count(Change::Same),
        if recorded {
            "recorded flows by workload and port"
        } else {
            "pairs of known pods and declared ports"
        },
    )
}

fn json(rows: &BTreeMap<Key, Row>, recorded: bool) -> serde_json::Value {
    let all: Vec<_> = (rows.iter())
        .map(|((change, client, server, protocol, port), row)| {
            json!({
                "change": change, "client": client, "server": server, "protocol": protocol, "port": port,
                "flows": recorded.then_some(row.flows), "connections": row.connections,
                "before": { "outcome": row.before.outcome, "because": row.before.because() },
                "after": { "outcome": row.after.outcome, "because": row.after.because() },
            })
        })
        .collect();
    let count = |change| rows.keys().filter(|(of, ..)| *of == change).count();
    json!({
        "would_break": count(Change::WouldBreak), "would_open": count(Change::WouldOpen),
        "unknown": count(Change::Unknown), "same": count(Change::Same), "rows": all,
    })
}
