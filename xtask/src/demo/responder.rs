//! The responder's story: a pod is attacked and deleted, and afterwards everything that can be asked tells the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::agent::Agent;
use crate::lab;
use crate::process::{self, wait_until};

const TOLD_LIMIT: Duration = Duration::from_secs(20);
/// A byte of this file of a segment is changed.
const CHANGED_TABLE: &str = "process.parquet";

/// Where the story is asked for, and since when.
struct Asked<'a> {
    binary: &'a Path,
    dir: &'a Path,
    since: &'a str,
}

/// Everything that is asked.
#[derive(PartialEq, Eq)]
struct Told {
    tree: String,
    events: String,
    flows: String,
    /// The attacker's denied connections by process and port, as JSON.
    counts: String,
}

/// Attacks a pod, deletes it, and asks. `before` is what the agent recorded until now.
pub(super) fn tell(binary: &Path, agent: &Agent, files: &lab::Files, before: &[Value]) -> Result<()> {
    let since = before.last().and_then(|record| record["time"].as_str()).context("nothing was recorded")?;
    lab::attack()?;
    lab::delete_victim(files)?;
    let asked = Asked { binary, dir: &agent.ledger, since };
    sealed(&asked)?;

    println!("\nTHE POD {} WAS ATTACKED AND IS GONE: what it did, out of the ledger", pod());
    let told = asked.all()?;
    show(&asked.arguments("tree", &[&pod()]), &told.tree);
    let attempts = r#"process.binary startswith "/tmp/" and verdict = denied and stage = close"#;
    let filter = format!("pod = {} and {attempts}", pod());
    let arguments = asked.arguments("flows", &[&filter]);
    show(&arguments, &asked.answer(&arguments)?);
    let counting = counting();
    let arguments = asked.arguments("sql", &[&counting]);
    show(&arguments, &asked.answer(&arguments)?);
    require_story(&told)?;
    // The agent's own log is written a little later.
    let told_live = wait_until(TOLD_LIMIT, || {
        let live = exec_ids(&of_story(&agent.records().ok()?, since));
        (live == exec_ids(&lines(&told.events))).then_some(())
    });
    told_live.context("the ledger has other processes than the agent told of")?;

    let bundle = Path::new(lab::FOLDER).join("evidence");
    let arguments =
        asked.arguments("ledger export", &[&format!("pod = {}", pod()), "-o", &bundle.display().to_string()]);
    show(&arguments, &asked.answer(&arguments)?);
    let elsewhere = Path::new(lab::FOLDER).join("elsewhere/evidence");
    copy(&bundle, &elsewhere)?;
    let there = Asked { dir: &elsewhere, ..asked };
    ensure!(there.all()? == told, "the bundle in {} tells another story", elsewhere.display());
    println!("  the bundle, copied to {}, tells the same to the byte\n", elsewhere.display());

    for dir in [&agent.ledger, &elsewhere] {
        let arguments = verify(dir);
        show(&arguments, &asked.answer(&arguments)?);
    }
    let changed = flip_a_bit(&elsewhere)?;
    let arguments = verify(&elsewhere);
    let output = Command::new(binary).args(&arguments).output().context("run verify")?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("  one bit of {} is flipped", changed.display());
    show(&arguments, &said);
    ensure!(
        !output.status.success() && said.contains(&changed.display().to_string()),
        "verify did not notice the bit that was flipped in {}: {said}",
        changed.display()
    );
    Ok(())
}

fn pod() -> String {
    format!("shop/{}", lab::VICTIM.name)
}

/// The attacker's denied connections, counted.
fn counting() -> String {
    format!(
        "SELECT process_exec_id, dst_port, count(*) AS attempts FROM flows WHERE process_pod = '{}' AND stage = 'close' \
         AND verdict = 'denied' AND starts_with(process_binary, '{}') GROUP BY process_exec_id, dst_port ORDER BY process_exec_id",
        pod(),
        lab::DROP_FOLDER
    )
}

impl Asked<'_> {
    fn arguments(&self, command: &str, more: &[&str]) -> Vec<String> {
        let dir = self.dir.display().to_string();
        let words = command.split(' ').chain(more.iter().take(1).copied());
        let place = ["--ledger", &dir, "--since", self.since];
        words.chain(place).chain(more.iter().skip(1).copied()).map(str::to_owned).collect()
    }

    fn answer(&self, arguments: &[String]) -> Result<String> {
        process::read(Command::new(self.binary).args(arguments))
    }

    fn ask(&self, command: &str, more: &[&str]) -> Result<String> {
        self.answer(&self.arguments(command, more))
    }

    fn all(&self) -> Result<Told> {
        let filter = format!("pod = {}", pod());
        Ok(Told {
            tree: self.ask("tree", &[&pod()])?,
            events: self.ask("events", &[&filter, "-o", "jsonl"])?,
            flows: self.ask("flows", &[&filter, "-o", "json"])?,
            counts: self.ask("sql", &[&counting(), "-o", "jsonl"])?,
        })
    }
}

/// Waits until the story is in the ledger and sealed.
fn sealed(asked: &Asked<'_>) -> Result<()> {
    let segments = || fs::read_dir(asked.dir.join("segments")).map_or(0, Iterator::count);
    let mut so_far = String::new();
    let whole = wait_until(TOLD_LIMIT, || {
        match asked.all() {
            Ok(told) if denied(&lines(&told.flows)).len() >= lab::ATTEMPTS => return Some(segments()),
            Ok(told) => so_far = told.tree,
            Err(error) => so_far = format!("{error:#}"),
        }
        None
    });
    let before = whole.with_context(|| format!("the ledger did not get the attacker's flows:\n{so_far}"))?;
    let more = wait_until(TOLD_LIMIT, || (segments() > before).then_some(()));
    more.context("no segment was sealed")
}

/// The attacker's connections that policy denies, as they ended.
fn denied(records: &[Value]) -> Vec<&Value> {
    let by_attacker = |record: &&Value| {
        let binary = record["process"]["binary"].as_str().unwrap_or_default();
        binary.starts_with(lab::DROP_FOLDER) && record["verdict"]["outcome"] == "denied"
    };
    records.iter().filter(by_attacker).filter(|record| record["stage"] == "close").collect()
}

/// Fails unless tree, records, flows and SQL agree with one another.
fn require_story(told: &Told) -> Result<()> {
    let (events, flows) = (lines(&told.events), lines(&told.flows));
    let processes = exec_ids(&events);
    ensure!(!processes.is_empty(), "the ledger has no process of {}", pod());
    for id in &processes {
        ensure!(told.tree.contains(id.as_str()), "the tree lacks process {id}:\n{}", told.tree);
    }
    let shown = told.tree.split_whitespace().filter(|word| word.split('-').count() == 3);
    let shown = shown.filter(|word| word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
    for id in shown.filter(|word| word.len() > "0000-00-00".len()) {
        ensure!(processes.contains(id), "the tree has process {id}, the records do not");
    }
    ensure!(exec_ids(&flows).is_subset(&processes), "flows name processes that the records do not");
    let in_tree = told.tree.lines().filter(|line| line.contains("flow close") && line.contains("denied"));
    let by_sql = lines(&told.counts);
    ensure!(
        by_sql.iter().all(|row| row["process_exec_id"].as_str().is_some_and(|id| processes.contains(id))),
        "sql names processes that the records do not:\n{}",
        told.counts
    );
    let counted = by_sql.iter().filter_map(|row| row["attempts"].as_u64()).sum::<u64>();
    let counts = [denied(&flows).len(), denied(&events).len(), in_tree.count(), usize::try_from(counted)?];
    ensure!(counts == [lab::ATTEMPTS; 4], "denied flows in flows, events, tree, sql: {counts:?}");
    Ok(())
}

/// What the agent told of the pod while it was there.
fn of_story(records: &[Value], since: &str) -> Vec<Value> {
    let is_of_story = |record: &&Value| {
        let at = &record["process"]["pod"];
        at["namespace"] == "shop"
            && at["name"] == lab::VICTIM.name
            && record["time"].as_str().is_some_and(|time| time >= since)
    };
    records.iter().filter(is_of_story).cloned().collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn exec_ids(records: &[Value]) -> BTreeSet<String> {
    let of_pod = |record: &&Value| record["process"]["pod"]["name"] == lab::VICTIM.name;
    let ids = records.iter().filter(of_pod).filter_map(|record| record["process"]["exec_id"].as_str());
    ids.map(str::to_owned).collect()
}

fn verify(dir: &Path) -> Vec<String> {
    let dir = dir.display().to_string();
    ["ledger", "verify", "--dir", &dir].map(str::to_owned).to_vec()
}

fn show(arguments: &[String], answer: &str) {
    let shown = |word: &String| {
        let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte));
        if is_plain { word.clone() } else { format!("'{word}'") }
    };
    let words: Vec<String> = arguments.iter().map(shown).collect();
    println!("  $ watchfire {}\n  {}\n", words.join(" "), answer.trim_end().replace('\n', "\n  "));
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).with_context(|| format!("copy to {}", target.display()))?;
        }
    }
    Ok(())
}

/// Changes the middle of a table of the first segment that has it; says which file that is.
fn flip_a_bit(bundle: &Path) -> Result<PathBuf> {
    let segments = fs::read_dir(bundle.join("segments")).context("list the bundle's segments")?;
    let tables = segments.flatten().map(|segment| segment.path().join(CHANGED_TABLE));
    let table = tables.filter(|table| table.exists()).min().context("the bundle has no segment")?;
    let mut bytes = fs::read(&table)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&table, bytes).with_context(|| format!("write {}", table.display()))?;
    Ok(table)
}
