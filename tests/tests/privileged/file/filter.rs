//! Which files are told of, and which are not.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};
use watchfire_tests::Agent;

use super::folder;
use crate::actor::{Actor, args};
use crate::calls::{FCHMODAT, LINKAT, OPENAT, UNLINKAT};
use crate::running::metric;
use crate::stage::{agent_of, assert_fields, event, is_by, stopped, with_sensor};

const CWD: i32 = libc::AT_FDCWD;

/// An agent that watches these files, with no limit on what they tell.
fn watching(files: &Value) -> Agent {
    agent_of(&["file"], &json!({"files": files, "rate": {"eventsPerSecond": 0}}))
}

fn open(actor: &mut Actor, path: &Path, flags: i32) -> i64 {
    let result = actor.call(OPENAT, args![CWD, &path.to_string_lossy().into_owned(), flags, 0o600]);
    assert!(result >= 0, "open {}", path.display());
    result
}

fn chmod(actor: &mut Actor, path: &Path) {
    assert_eq!(actor.call(FCHMODAT, args![CWD, &path.to_string_lossy().into_owned(), 0o640]), 0);
}

/// Paths of everything that an actor did to files, by operation.
fn told(records: &[Value], actor: &Actor) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told: Vec<_> = (records.iter())
        .filter(|record| record["type"] == "file" && record["process"]["pid"] == actor.pid())
        .map(|record| (text(&record["operation"]), text(&record["path"])))
        .collect();
    told.sort();
    told
}

fn pair(operation: &str, path: &Path) -> (String, String) {
    (operation.to_owned(), path.to_string_lossy().into_owned())
}

pub(crate) fn other_files() {
    let (_guard, root) = folder();
    let (watched, beside) = (root.join("watched"), root.join("watched-not"));
    for folder in [&watched, &beside] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("file"), "").unwrap();
    }
    let mut agent = watching(&json!({"read": [watched], "write": [watched]}));
    let series = "watchfire_records_filtered_total{kind=\"file\"}";
    let before = metric(&agent, series);
    let mut actor = Actor::start();
    for _ in 0..20 {
        open(&mut actor, &beside.join("file"), libc::O_RDWR);
    }
    chmod(&mut actor, &beside.join("file"));
    // The name of a watched folder below another one is another path.
    std::fs::create_dir_all(beside.join("watched")).unwrap();
    open(&mut actor, &beside.join("watched"), libc::O_RDONLY);
    open(&mut actor, &watched.join("file"), libc::O_RDWR);
    // The counts come to the metrics once a second.
    while metric(&agent, series) < before + 22 {
        std::thread::yield_now();
    }
    assert_eq!(told(&stopped(&mut agent), &actor), [pair("open", &watched.join("file"))]);
}

pub(crate) fn read_only() {
    let (_guard, root) = folder();
    let file = root.join("file");
    std::fs::write(&file, "").unwrap();
    let mut agent = watching(&json!({"read": [root], "write": []}));
    let mut actor = Actor::start();
    open(&mut actor, &file, libc::O_WRONLY);
    chmod(&mut actor, &file);
    open(&mut actor, &file, libc::O_RDONLY);
    assert_eq!(told(&stopped(&mut agent), &actor), [pair("open", &file)], "the reading alone");
}

pub(crate) fn write_only() {
    let (_guard, root) = folder();
    let file = root.join("file");
    std::fs::write(&file, "").unwrap();
    let mut agent = watching(&json!({"read": [], "write": [root]}));
    let mut actor = Actor::start();
    open(&mut actor, &file, libc::O_RDONLY);
    open(&mut actor, &file, libc::O_WRONLY);
    chmod(&mut actor, &file);
    let records = stopped(&mut agent);
    assert_eq!(told(&records, &actor), [pair("chmod", &file), pair("open", &file)]);
    let open = records.iter().find(|record| is_by(record, &actor, "file", "open")).unwrap();
    assert_fields(open, &json!({"access": ["write"]}));
}

pub(crate) fn later() {
    let (_guard, root) = folder();
    let missing = root.join("not/yet/there");
    let mut agent = watching(&json!({"read": [missing], "write": [missing]}));
    let mut actor = Actor::start();
    std::fs::create_dir_all(missing.parent().unwrap()).unwrap();
    let beside = missing.with_file_name("beside");
    open(&mut actor, &beside, libc::O_CREAT | libc::O_RDWR);
    open(&mut actor, &missing, libc::O_CREAT | libc::O_RDWR);
    assert_eq!(told(&stopped(&mut agent), &actor), [pair("open", &missing)]);
}

pub(crate) fn wildcards() {
    let (_guard, root) = folder();
    let pattern = root.join("*/secret");
    let mut agent = watching(&json!({"read": [pattern], "write": [pattern]}));
    let mut actor = Actor::start();
    let mut expected = Vec::new();
    for (path, is_watched) in [
        ("one/secret", true),
        ("two/secret", true),
        ("two/secret-not", false),
        ("secret", false),
        ("three/more/secret", false),
        ("four/secret/below", true),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        open(&mut actor, &path, libc::O_CREAT | libc::O_RDWR);
        if is_watched {
            expected.push(pair("open", &path));
        }
    }
    expected.sort();
    assert_eq!(told(&stopped(&mut agent), &actor), expected);
}

pub(crate) fn inodes() {
    let (_guard, root) = folder();
    let (file, other_name) = (root.join("file"), root.join("other-name"));
    std::fs::write(&file, "").unwrap();
    std::fs::write(root.join("beside"), "").unwrap();
    let agent = watching(&json!({"read": [], "write": [], "inodes": [file]}));
    let mut actor = Actor::start();
    let (from, to) = (file.to_string_lossy().into_owned(), other_name.to_string_lossy().into_owned());
    assert_eq!(actor.call(LINKAT, args![CWD, &from, CWD, &to, 0]), 0);
    open(&mut actor, &root.join("beside"), libc::O_RDONLY);
    let result = open(&mut actor, &other_name, libc::O_RDONLY);
    let record = event(&agent, &actor, ("file", "open"), result, |_| true);
    let metadata = std::fs::metadata(&file).unwrap();
    assert_fields(
        &record,
        &json!({
            "by_inode": true, "path": to, "inode": metadata.ino(), "access": ["read"],
            "device": crate::stage::device(metadata.dev()),
        }),
    );
    assert_eq!(actor.call(UNLINKAT, args![CWD, &to, 0]), 0);
}

pub(crate) fn too_many() {
    let paths: Vec<String> = (0..257).map(|number| format!("/watched/{number}")).collect();
    let mut agent = with_sensor(&[], &json!({"files": {"read": paths}})).start();
    assert_ne!(agent.ended().code(), Some(0));
    let log = agent.log().join("\n");
    assert!(log.contains("257") && log.contains("256"), "{log}");
}
