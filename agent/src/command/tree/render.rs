//! A tree as lines: each process with what it did, children where they began.

use std::collections::HashSet;
use std::io::{self, Write};

use serde_json::Value;
use watchfire_ledger::{Forest, PROCESS_RECORDS_MAX, TREE_PROCESSES_MAX, TreeProcess};
use watchfire_model::WallTime;

use crate::command::flows::{describe, printable};
use crate::command::observe::field::{pod, process, text};
use crate::command::observe::{event, table};

/// Processes within one another that are shown.
const DEPTH_MAX: usize = 64;

/// One line of a process.
enum Item<'a> {
    Did(&'a Value),
    Child(&'a str),
}

pub(super) fn write(forest: &Forest, out: &mut impl Write) -> io::Result<()> {
    let mut shown = HashSet::new();
    for root in &forest.roots {
        write_process(forest, root, "", "", &mut shown, 0, out)?;
    }
    if forest.is_cut {
        writeln!(out, "… only {TREE_PROCESSES_MAX} processes are shown")?;
    }
    Ok(())
}

fn write_process<'a>(
    forest: &'a Forest,
    id: &'a str,
    head: &str,
    stem: &str,
    shown: &mut HashSet<&'a str>,
    depth: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    let Some(of) = forest.processes.get(id) else { return Ok(()) };
    if depth > DEPTH_MAX || !shown.insert(id) {
        return Ok(());
    }
    let place = pod(of.view.get("pod")).unwrap_or_default();
    let name = format!("{}  {place}  {id}", process(Some(&of.view)));
    writeln!(out, "{head}{}", printable(name.trim_end()))?;
    let items = items(forest, of);
    let last = items.len();
    for (at, (time, item)) in items.into_iter().enumerate() {
        let is_last = at + 1 == last && of.more == 0;
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        match item {
            Item::Did(record) => {
                let line = format!("{}  {}", clock(time), did(record));
                writeln!(out, "{stem}{branch}{}", printable(line.trim_end()))?;
            }
            Item::Child(child) => {
                let (head, stem) = (format!("{stem}{branch}"), format!("{stem}{below}"));
                write_process(forest, child, &head, &stem, shown, depth + 1, out)?;
            }
        }
    }
    if of.more > 0 {
        writeln!(out, "{stem}└─ … {} more after the first {PROCESS_RECORDS_MAX}", of.more)?;
    }
    Ok(())
}

fn items<'a>(forest: &'a Forest, of: &'a TreeProcess) -> Vec<(WallTime, Item<'a>)> {
    let mut items: Vec<(WallTime, Item<'a>)> =
        of.records.iter().map(|(time, record)| (*time, Item::Did(record))).collect();
    for child in &of.children {
        let first = forest.processes.get(child).and_then(|child| child.records.first());
        items.push((first.map_or(WallTime(0), |(time, _)| *time), Item::Child(child)));
    }
    items.sort_by_key(|(time, _)| *time);
    items
}

/// `2026-01-02 03:04:05.678`
fn clock(time: WallTime) -> String {
    let time = time.to_string();
    format!("{:.23}", time.replace('T', " "))
}

fn did(record: &Value) -> String {
    let words = match text(record, "/type") {
        "process" => {
            vec![
                text(record, "/action").to_owned(),
                table::command_line(record),
                table::exit(record).trim().to_owned(),
            ]
        }
        "flow" => vec![
            format!("flow {}", describe::event(record)),
            text(record, "/protocol").to_owned(),
            table::ends(record),
            describe::result(record).to_owned(),
            describe::because(record),
        ],
        "dns" => vec!["dns".to_owned(), describe::question(record), describe::result(record).to_owned()],
        "finding" => {
            vec!["FINDING".to_owned(), text(record, "/kind").to_owned(), text(record, "/severity").to_owned()]
        }
        other => vec![
            other.to_owned(),
            text(record, "/operation").to_owned(),
            event::subject(record),
            event::result(record),
        ],
    };
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> (WallTime, Value) {
        let record: Value = serde_json::from_str(json).unwrap();
        (text(&record, "/time").parse().unwrap(), record)
    }

    #[test]
    fn children_stand_where_they_began_and_nothing_steers_the_terminal() {
        let mut forest = Forest::default();
        for json in [
            r#"{"time":"2026-01-02T03:04:05Z","type":"process","action":"exec","process":{"exec_id":"a-1-1","pid":1,"binary":"/bin/sh","args":["sh","-c","\u001b[2J"],"pod":{"namespace":"shop","name":"web"}}}"#,
            r#"{"time":"2026-01-02T03:04:06Z","type":"process","action":"exec","process":{"exec_id":"a-2-2","pid":2,"binary":"/tmp/x","args":["x"]},"parent":{"exec_id":"a-1-1","pid":1}}"#,
            r#"{"time":"2026-01-02T03:04:07Z","type":"file","operation":"open","path":"/etc/shadow","access":["read"],"result":-13,"error":"EACCES","process":{"exec_id":"a-2-2","pid":2,"binary":"/tmp/x"}}"#,
            r#"{"time":"2026-01-02T03:04:08Z","type":"process","action":"exit","exit":{"code":3},"process":{"exec_id":"a-1-1","pid":1,"binary":"/bin/sh","args":["sh"],"pod":{"namespace":"shop","name":"web"}}}"#,
        ] {
            let (time, record) = record(json);
            forest.add(time, record);
        }
        forest.link();
        let mut out = Vec::new();
        write(&forest, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "\
sh[1]  shop/web  a-1-1
├─ 2026-01-02 03:04:05.000  exec  sh -c \\u{1b}[2J
├─ x[2]    a-2-2
│  ├─ 2026-01-02 03:04:06.000  exec  x
│  └─ 2026-01-02 03:04:07.000  file  open  /etc/shadow read  EACCES
└─ 2026-01-02 03:04:08.000  exit  sh  exit 3
";
        assert_eq!(text, expected);
    }
}
