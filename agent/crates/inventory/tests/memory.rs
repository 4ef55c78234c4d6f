//! What the tables cost, measured as resident memory of a process of its own: this file has one test, so that nothing else
//! allocates meanwhile.

use std::fs;

use watchfire_inventory::{
    Change, ControllerRef, Directory, Intake, Moment, Object, PodObject, Processes, ResourceKind, Source,
};
use watchfire_model::{BinaryFile, Device, Exec, ExecId, Namespaces, Timebase};

const PODS: usize = 100_000;
const REPLICAS: usize = 100;
const PROCESSES: u32 = 50_000;
/// Bytes of a pod beyond its name, which no two pods share.
const POD_BYTES_MAX: usize = 180;
/// Bytes of a process beyond its texts.
const PROCESS_BYTES_MAX: usize = 900;

#[test]
fn pods_and_processes_cost_what_the_specification_says() {
    let before = resident_bytes();
    let directory = directory();
    let pod_bytes = (resident_bytes() - before) / PODS;
    assert_eq!(directory.pods_len(), PODS);
    let name_bytes = pod(0).name.len();
    println!(
        "{pod_bytes} bytes a pod, {name_bytes} of them its name; {} identities",
        directory.identities_len()
    );
    assert!(pod_bytes - name_bytes <= POD_BYTES_MAX, "{pod_bytes} bytes a pod");

    let before = resident_bytes();
    let processes = processes();
    let process_bytes = (resident_bytes() - before) / PROCESSES as usize;
    assert_eq!(processes.running(), PROCESSES as usize);
    let texts: usize =
        exec(1).binary.len() + exec(1).cwd.len() + exec(1).args.iter().map(String::len).sum::<usize>();
    println!("{process_bytes} bytes a process, {texts} of them its texts");
    assert!(process_bytes - texts <= PROCESS_BYTES_MAX, "{process_bytes} bytes a process");
}

fn directory() -> Directory {
    let mut directory = Directory::default();
    let at = Moment { boot_ns: 1 << 40, timebase: Timebase { boot_epoch_ns: 0 } };
    directory.take(Source::Api, Change::ListBegins(ResourceKind::Pod), at);
    for number in 0..PODS {
        directory.take(Source::Api, Change::Apply(Box::new(Object::Pod(pod(number)))), at);
    }
    directory.take(Source::Api, Change::ListEnds(ResourceKind::Pod), at);
    directory
}

fn pod(number: usize) -> PodObject {
    let deployment = number / REPLICAS;
    let [a, b, c] = [number >> 16, number >> 8, number].map(|byte| byte & 0xff);
    PodObject {
        namespace: format!("team-{}", deployment % 50),
        name: format!("web-{deployment:04}-5d4f7c9b8-{number:05}"),
        uid: format!("00000000-0000-4000-8000-{number:012}"),
        labels: [("app", format!("web-{deployment}")), ("pod-template-hash", "5d4f7c9b8".to_owned())]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
        created_unix_s: Some(1),
        node: Some(format!("node-{}", number % 1000)),
        service_account: Some("default".to_owned()),
        ips: vec![format!("10.{a}.{b}.{c}").parse().expect("an address")],
        controller: Some(ControllerRef {
            kind: "ReplicaSet".to_owned(),
            name: format!("web-{deployment:04}-5d4f7c9b8"),
        }),
        ..PodObject::default()
    }
}

fn processes() -> Processes {
    let mut processes = Processes::new(Intake { redactor: None, environment: Vec::new() });
    for pid in 1..=PROCESSES {
        processes.exec(exec(pid), 1);
    }
    processes
}

fn exec(pid: u32) -> Exec {
    Exec {
        process: ExecId { boot: 1, pid, start_ticks: u64::from(pid) },
        parent: Some(ExecId { boot: 1, pid: 1, start_ticks: 1 }),
        binary: "/usr/bin/python3.11".to_owned(),
        args: ["/usr/bin/python3.11", "-m", "http.server", "8080"].map(str::to_owned).to_vec(),
        args_truncated: false,
        args_unreadable: false,
        env: Vec::new(),
        env_truncated: false,
        env_unreadable: false,
        cwd: "/srv/app".to_owned(),
        ns_pid: pid,
        file: BinaryFile::default(),
        script: None,
        interpreter: None,
        tty: Device::new(0, 0),
        secure: false,
        effective: 0,
        permitted: 0,
        uid: 0,
        euid: 0,
        gid: 0,
        egid: 0,
        cgroup_id: 1,
        namespaces: Namespaces::default(),
        before_start: false,
    }
}

/// The second field of statm is the resident set in pages (proc_pid_statm(5)).
fn resident_bytes() -> usize {
    const PAGE_BYTES: usize = 4096;
    let statm = fs::read_to_string("/proc/self/statm").expect("read /proc/self/statm");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("resident pages");
    pages * PAGE_BYTES
}
