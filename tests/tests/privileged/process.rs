//! Process life.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::running::{TestCgroup, agent, command, has_argument, metric, nonce, ready};

fn is(record: &Value, action: &str, argument: &str) -> bool {
    record["type"] == "process" && record["action"] == action && has_argument(record, argument)
}

pub(crate) fn exec_and_exit() {
    let agent = agent();
    let nonce = nonce("exec");
    let folder = std::fs::canonicalize(agent.folder()).unwrap();
    let status =
        Command::new("/bin/sh").args(["-c", "exit 7", &nonce]).current_dir(&folder).status().unwrap();
    assert_eq!(status.code(), Some(7));

    let exec = agent.record("the exec", |record| is(record, "exec", &nonce));
    let process = &exec["process"];
    assert_eq!(process["args"], serde_json::json!(["/bin/sh", "-c", "exit 7", nonce]));
    assert_eq!(process["binary"], std::fs::canonicalize("/bin/sh").unwrap().to_string_lossy().as_ref());
    assert_eq!(process["cwd"], folder.to_string_lossy().as_ref());
    assert_eq!((&process["uid"], &process["euid"], &process["gid"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!(process["origin"], "observed");
    assert_eq!(exec["parent"]["pid"], std::process::id());
    let net = std::fs::read_link("/proc/self/ns/net").unwrap().to_string_lossy().into_owned();
    assert_eq!(net, format!("net:[{}]", process["namespaces"]["net"]));

    let exit = agent.record("the exit", |record| is(record, "exit", &nonce));
    assert_eq!(exit["process"]["exec_id"], process["exec_id"]);
    assert_eq!(exit["exit"]["code"], 7);
}

pub(crate) fn signal() {
    let agent = agent();
    let nonce = nonce("signal");
    let _ = Command::new("/bin/sh").args(["-c", "kill -TERM $$", &nonce]).status().unwrap();
    let exit = agent.record("the exit", |record| is(record, "exit", &nonce));
    assert_eq!((&exit["exit"]["signal"], &exit["exit"]["code"]), (&15.into(), &Value::Null));
}

pub(crate) fn threads() {
    let agent = agent();
    let before = metric(&agent, "watchfire_records_filtered_total{kind=\"process-fork\"}");
    for _ in 0..50 {
        std::thread::spawn(|| ()).join().unwrap();
    }
    let me = std::process::id();
    // A process after the threads: once it is seen, they have been.
    let nonce = nonce("threads");
    assert!(Command::new("/bin/sh").args(["-c", "exit 0", &nonce]).status().unwrap().success());
    let _ = agent.record("the exec after the threads", |record| is(record, "exec", &nonce));
    let forks_of_mine = (agent.records().iter())
        .filter(|record| record["action"] == "fork" && record["parent"]["pid"] == me)
        .count();
    assert_eq!(forks_of_mine, 1, "the shell alone");
    // The counts come to the metrics once a second.
    while metric(&agent, "watchfire_records_filtered_total{kind=\"process-fork\"}") < before + 50 {
        std::thread::yield_now();
    }
}

pub(crate) fn long_arguments() {
    let agent = agent();
    let nonce = nonce("long");
    let long = "x".repeat(9000);
    assert!(Command::new("/bin/sh").args(["-c", "exit 0", &nonce, &long]).status().unwrap().success());
    let exec = agent.record("the exec", |record| is(record, "exec", &nonce));
    assert_eq!(exec["process"]["args_truncated"], true);
    let args = exec["process"]["args"].as_array().unwrap();
    let bytes: usize = args.iter().map(|arg| arg.as_str().unwrap().len() + 1).sum();
    assert!((4000..=4097).contains(&bytes), "{bytes} bytes of arguments");
}

pub(crate) fn secrets() {
    let agent = agent();
    let nonce = nonce("secret");
    let secret = "--password=hunter2";
    assert!(Command::new("/bin/sh").args(["-c", "exit 0", &nonce, secret]).status().unwrap().success());
    let exec = agent.record("the exec", |record| is(record, "exec", &nonce));
    let args = exec["process"]["args"].to_string();
    assert!(args.contains("--password=") && !args.contains("hunter2"), "{args}");
}

pub(crate) fn older() {
    let nonce = nonce("older");
    let mut child =
        Command::new("/bin/sh").args(["-c", "read line", &nonce]).stdin(Stdio::piped()).spawn().unwrap();
    let agent = agent();
    let found = agent.record("the process found", |record| is(record, "found", &nonce));
    assert_eq!(
        (&found["process"]["pid"], &found["process"]["origin"]),
        (&child.id().into(), &"before-start".into())
    );
    drop(child.stdin.take());
    child.wait().unwrap();
    // Its end is the same process's: /proc and the kernel agree on its identity.
    let exit = agent.record("its exit", |record| is(record, "exit", &nonce));
    assert_eq!(exit["process"]["exec_id"], found["process"]["exec_id"]);
}

pub(crate) fn short_lived_cgroups() {
    const PODS: usize = 20;
    let uid = |pod: usize| format!("22222222-0000-4000-8000-{pod:012}");
    let pods: String = (0..PODS)
        .map(|pod| {
            format!("  - {{namespace: jobs, name: job-{pod}, uid: {}, ips: [10.99.1.{pod}]}}\n", uid(pod))
        })
        .collect();
    let agent = command(&["--inventory", "inventory.yaml"])
        .with_file("inventory.yaml", &format!("namespaces: [{{name: jobs}}]\npods:\n{pods}"));
    let agent = ready(agent.start());
    let nonce = nonce("short");
    for pod in 0..PODS {
        // Made, used and gone within a few milliseconds: no look at the tree would find it.
        let cgroup = TestCgroup::new(&format!("kubepods/besteffort/pod{}/container", uid(pod)));
        let script = format!("exec /bin/sh -c 'exit 0' {nonce} {pod}");
        assert!(cgroup.shell(&script).status().unwrap().success());
    }
    for pod in 0..PODS {
        let exec = agent.record(&format!("the exec in pod {pod}"), |record| {
            is(record, "exec", &nonce) && has_argument(record, &pod.to_string())
        });
        assert_eq!(exec["process"]["pod"]["name"], format!("job-{pod}"), "{exec}");
    }
}

pub(crate) fn memfd() {
    let agent = agent();
    let nonce = nonce("memfd");
    let memory = rustix::fs::memfd_create("fileless", rustix::fs::MemfdFlags::empty()).unwrap();
    let mut memory = File::from(memory);
    std::io::copy(&mut File::open("/proc/self/exe").unwrap(), &mut memory).unwrap();
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let status = Command::new(path).args(["--list", &nonce]).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    let exec = agent.record("the exec", |record| is(record, "exec", &nonce));
    assert_eq!(exec["process"]["binary"], "/memfd:fileless");
}
