//! Sealed segments of real agents in an object store: in a directory, in a real S3 server, read there by a real database, and
//! fetched from there when the nodes are gone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use watchfire_tests::{Agent, bare, metric, metric_until, nonce, only, ready, until, watchfire};

const SECRET: &str = "a-secret-that-nobody-may-see";
const KEY_ID: &str = "watchfire";

/// A node with a ledger that is sealed every second and shipped.
struct Node {
    name: &'static str,
    agent: Agent,
    folder: TempDir,
}

impl Node {
    fn start(name: &'static str, ship: &Value, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "clusterName": "lab",
            "nodeName": name,
            "sensor": { "families": only(&["file"]) },
            "output": { "to": "none" },
            "ledger": { "dir": folder.path().join("ledger"), "segmentSeconds": 1, "ship": ship },
        });
        let command = bare(&["--config", "config.yaml"]).with_file("config.yaml", &config.to_string());
        let none_by_proxy = [("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")];
        let environment = environment.iter().chain(&none_by_proxy);
        let command = environment.fold(command, |command, (name, value)| command.with_env(name, value));
        Self { name, agent: ready(command.start()), folder }
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// Ends the agent, whose ledger stays.
    fn end(mut self) -> TempDir {
        self.agent.signal("TERM");
        assert!(self.agent.ended().success(), "{:?}", self.agent.log());
        self.folder
    }
}

/// The answer of a `watchfire` command that has to succeed.
fn told(arguments: &[&str]) -> String {
    let output = Command::new(watchfire()).args(arguments).env("NO_PROXY", "127.0.0.1").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Records by family that were shipped, by what the node's own manifests say.
fn shipped(ledger: &Path) -> BTreeMap<String, u64> {
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let through = read(&ledger.join("ship.json"))["through"].as_u64().unwrap();
    let mut records = BTreeMap::new();
    for segment in fs::read_dir(ledger.join("segments")).unwrap() {
        let manifest = read(&segment.unwrap().path().join("manifest.json"));
        if manifest["segment"].as_u64().unwrap() <= through {
            for (family, table) in manifest["tables"].as_object().unwrap() {
                *records.entry(family.clone()).or_default() += table["records"].as_u64().unwrap();
            }
        }
    }
    records
}

/// A process that the nodes see read what nobody should, and that their stores have.
fn attack(nodes: &[&Node]) -> String {
    let before: Vec<u64> = nodes.iter().map(|node| shipped_segments(node)).collect();
    let mark = nonce("intruder");
    let script = "cat /etc/shadow > /dev/null; true";
    assert!(Command::new("/bin/sh").args(["-c", script, &mark]).status().unwrap().success());
    for (node, before) in nodes.iter().zip(before) {
        // The log that has it is sealed at the latest with the next record after a second, and the one behind it too.
        until("segments shipped after the attack", || {
            assert!(Command::new("/bin/true").status().unwrap().success());
            (shipped_segments(node) >= before + 3).then_some(())
        });
    }
    mark
}

fn shipped_segments(node: &Node) -> u64 {
    metric(&node.agent, r#"watchfire_ledger_shipped_segments_total{cluster="lab"}"#)
}

pub(crate) fn a_directory_gets_segments_and_gives_them_back() {
    let store = tempfile::tempdir().unwrap();
    let url = format!("file://{}/store", store.path().display());
    fs::create_dir(store.path().join("store")).unwrap();
    let node = Node::start("node-1", &json!({ "url": url }), &[]);
    let mark = attack(&[&node]);
    let folder = node.end();
    let ledger = folder.path().join("ledger");
    let expected: u64 = shipped(&ledger).values().sum();
    // The node is gone.
    drop(folder);
    let bundle = store.path().join("bundle").display().to_string();
    let fetched = told(&["ledger", "fetch", &url, "-o", &bundle]);
    assert!(fetched.contains(&format!("{expected} records of node node-1 in cluster lab")), "{fetched}");
    let verified = told(&["ledger", "verify", "--dir", &bundle]);
    assert!(verified.starts_with(&format!("intact  {expected} records")), "{verified}");
    let found =
        told(&["events", &format!("process.args contains \"{mark}\""), "--ledger", &bundle, "-o", "jsonl"]);
    assert!(found.contains(&mark), "{found}");
}

/// A real S3 server on a folder, which it fills with files of the objects' names.
struct S3 {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl S3 {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root/forensics")).unwrap();
        fs::create_dir(folder.path().join("metadata")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("versitygw");
        // Metadata beside the files: not every file system has extended attributes.
        command.args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "posix", "--sidecar"]);
        command.arg(folder.path().join("metadata")).arg(folder.path().join("root"));
        command.env("ROOT_ACCESS_KEY", KEY_ID).env("ROOT_SECRET_KEY", SECRET);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the S3 server", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, port, folder }
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn bucket(&self) -> PathBuf {
        self.folder.path().join("root/forensics")
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what is wanted.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Rows of a DuckDB query, as JSON.
fn duckdb(query: &str) -> Vec<Value> {
    let program = "import duckdb, json, sys\n\
        rows = duckdb.sql(sys.argv[1])\n\
        for row in rows.fetchall(): print(json.dumps(row, default=str))\n";
    let mut child = Command::new("python-with-duckdb")
        .args(["-c", program, query])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let rows = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    rows
}

pub(crate) fn duckdb_reads_what_three_nodes_ship_to_s3() {
    let s3 = S3::start();
    let keys = tempfile::tempdir().unwrap();
    for (file, content) in [("access-key-id", KEY_ID), ("secret-access-key", SECRET)] {
        fs::write(keys.path().join(file), content).unwrap();
    }
    let url = "s3://forensics/audit";
    let plain = json!({ "url": url, "endpoint": s3.endpoint(), "region": "us-east-1", "allowHttp": true });
    let mut mounted = plain.clone();
    mounted["credentialsDir"] = json!(keys.path());
    let environment = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let nodes = [
        Node::start("node-1", &mounted, &[]),
        Node::start("node-2", &plain, &environment),
        Node::start("node-3", &plain, &environment),
    ];
    let mark = attack(&nodes.each_ref());
    let mut expected = BTreeMap::new();
    let mut folders = Vec::new();
    for node in nodes {
        let (name, ledger) = (node.name, node.ledger());
        assert!(node.agent.log().iter().all(|line| !line.contains(SECRET)), "the secret is in the log");
        folders.push(node.end());
        expected.extend(shipped(&ledger).into_iter().map(|(family, records)| ((name, family), records)));
    }

    let tables = |family: &str| {
        let files =
            s3.bucket().join("audit/cluster=*/node=*/date=*").join(format!("family={family}/*.parquet"));
        format!("read_parquet('{}', hive_partitioning = true, union_by_name = true)", files.display())
    };
    let counted = duckdb(&format!(
        "SELECT node, family, count(*), count(DISTINCT seq) FROM {} WHERE \"cluster\" = 'lab' GROUP BY ALL ORDER BY ALL",
        tables("*")
    ));
    let counted: BTreeMap<(&str, String), u64> = counted
        .iter()
        .map(|row| {
            assert_eq!(row[2], row[3], "a record is there twice: {row}");
            ((row[0].as_str().unwrap(), row[1].as_str().unwrap().to_owned()), row[2].as_u64().unwrap())
        })
        .collect();
    assert_eq!(counted, expected);
    println!("{counted:?}");

    // Who read the passwords, on which node, and by whom was it started?
    let readers = duckdb(&format!(
        "WITH execs AS (SELECT * FROM {} WHERE action = 'exec') \
         SELECT DISTINCT e.node, e.process_binary, shell.process_args FROM {} e \
         JOIN execs reader ON reader.node = e.node AND reader.process_exec_id = e.process_exec_id \
         JOIN execs shell ON shell.node = e.node AND shell.process_exec_id = reader.parent_exec_id \
         WHERE e.file_path = '/etc/shadow' AND contains(shell.process_args, '{mark}') ORDER BY ALL",
        tables("process"),
        tables("event"),
    ));
    let on: Vec<&str> = readers.iter().map(|row| row[0].as_str().unwrap()).collect();
    assert_eq!(on, ["node-1", "node-2", "node-3"], "{readers:?}");

    drop(folders);
    let bundle = s3.folder.path().join("bundle").display().to_string();
    let (endpoint, keys) = (s3.endpoint(), keys.path().display().to_string());
    let store =
        ["--endpoint", &endpoint, "--region", "us-east-1", "--allow-http", "--credentials-dir", &keys];
    let fetch = ["ledger", "fetch", url, "-o", &bundle, "--node", "node-2"];
    let of_node: u64 =
        expected.iter().filter(|((node, _), _)| *node == "node-2").map(|(_, records)| records).sum();
    let fetched = told(&[&fetch[..], &store[..]].concat());
    assert!(fetched.contains(&format!("{of_node} records of node node-2 in cluster lab")), "{fetched}");
    let verified = told(&["ledger", "verify", "--dir", &bundle]);
    assert!(verified.starts_with(&format!("intact  {of_node} records")), "{verified}");
}

pub(crate) fn a_server_that_refuses_the_key_is_counted_and_costs_nothing_else() {
    let s3 = S3::start();
    let ship = json!({
        "url": "s3://forensics", "endpoint": s3.endpoint(), "region": "us-east-1", "allowHttp": true,
    });
    let environment = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", "another-secret")];
    let node = Node::start("node-1", &ship, &environment);
    metric_until(&node.agent, r#"watchfire_ledger_ship_failures_total{cluster="lab"}"#, |failures| {
        assert!(Command::new("/bin/true").status().unwrap().success());
        failures > 0
    });
    let said = node.agent.logged("cannot be shipped");
    assert!(!said.contains("another-secret"), "{said}");
    metric_until(&node.agent, r#"watchfire_ledger_unshipped_segments{cluster="lab"}"#, |waiting| {
        assert!(Command::new("/bin/true").status().unwrap().success());
        waiting > 1
    });
    assert_eq!(shipped_segments(&node), 0);
    let folder = node.end();
    let verified = told(&["ledger", "verify", "--dir", &folder.path().join("ledger").display().to_string()]);
    assert!(verified.starts_with("intact"), "{verified}");
}
