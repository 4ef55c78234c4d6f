//! Answers to `watchfire who`.

use serde_json::Value;
use watchfire_inventory::{
    Change, ContainerChange, ContainerObject, Mount, Object, PodObject, PodRef, ResourceKind, Source,
    SourceBatch,
};

use super::*;

const CONTAINER: &str = "4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7";

fn known() -> Stages {
    let mut stages = stages("");
    let path = format!("/kubepods/db/{CONTAINER}");
    stages.take(Observation { boot_ns: 1, body: Body::CgroupMade { id: 77, path } }, &mut Vec::new());
    let Body::Exec(mut of_pod) = exec(10, &["/bin/db"], false) else { unreachable!() };
    of_pod.cgroup_id = 77;
    stages.take(Observation { boot_ns: 2, body: Body::Exec(of_pod) }, &mut Vec::new());
    let container = ContainerObject {
        id: CONTAINER.to_owned(),
        name: "db".to_owned(),
        image: "postgres:17".to_owned(),
        runtime: "containerd".to_owned(),
        mounts: vec![Mount {
            host_path: "/srv/db".to_owned(),
            container_path: "/data".to_owned(),
            is_read_only: false,
        }],
        ..ContainerObject::default()
    };
    let at = moment(stages.clock.timebase());
    stages.take_container(ContainerChange::Apply(Arc::new(container)), at);
    stages
}

fn who(stages: &mut Stages, query: &str) -> Vec<Value> {
    let answer = serde_json::to_value(stages.who(query, 0)).unwrap();
    answer["matches"].as_array().unwrap().clone()
}

#[test]
fn a_process_is_told_with_its_pod_and_container() {
    let found = who(&mut known(), "10");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["process"]["pod"]["name"], "db");
    assert_eq!(found[0]["process"]["container"]["image"], "postgres:17");
    assert_eq!(found[0]["from"], "kernel: it was seen to begin");
}

#[test]
fn a_container_is_told_by_the_beginning_of_its_id() {
    let found = who(&mut known(), "4bc7aa");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["mounts"][0], "/srv/db at /data (rw)");
    assert_eq!((&found[0]["from"], &found[0]["pod"]["name"]), (&"container-runtime".into(), &"db".into()));
    assert_eq!(found[0]["processes"][0], 10);
    assert_eq!(who(&mut known(), "4bc").len(), 0, "too short to mean anything");
}

#[test]
fn a_pod_that_is_in_no_path_is_told_by_its_container() {
    let mut stages = known();
    let at = moment(stages.clock.timebase());
    for uid in ["00000000-0000-4000-8000-000000000009", "of no form"] {
        let id = CONTAINER.replace("4b", if uid.contains(' ') { "5b" } else { "6b" });
        let path = format!("/k8s.io/{id}");
        let made = Body::CgroupMade { id: 78 + uid.len() as u64, path };
        stages.take(Observation { boot_ns: 3, body: made }, &mut Vec::new());
        let Body::Exec(mut of_pod) = exec(10 + uid.len() as u32, &["/bin/web"], false) else {
            unreachable!()
        };
        of_pod.cgroup_id = 78 + uid.len() as u64;
        stages.take(Observation { boot_ns: 4, body: Body::Exec(of_pod) }, &mut Vec::new());
        let (namespace, name) = ("shop".to_owned(), format!("web {uid}"));
        let pod = PodObject { namespace, name, uid: uid.to_owned(), ..PodObject::default() };
        let of = PodRef { namespace: pod.namespace.clone(), name: pod.name.clone(), uid: pod.uid.clone() };
        let container = ContainerObject { id, pod: Some(of), ..ContainerObject::default() };
        stages.take_container(ContainerChange::ApplyPod(Arc::new(pod)), at);
        stages.take_container(ContainerChange::Apply(Arc::new(container)), at);
        let pid = (10 + uid.len() as u32).to_string();
        assert_eq!(who(&mut stages, &pid)[0]["process"]["pod"]["name"], format!("web {uid}"));
    }
}

#[test]
fn a_pod_is_told_by_its_name_with_or_without_its_namespace() {
    for query in ["db", "shop/db"] {
        let found = who(&mut known(), query);
        assert_eq!(found.len(), 1, "{query}");
        assert_eq!((&found[0]["from"], &found[0]["ips"][0]), (&"file".into(), &"10.1.0.3".into()));
        assert_eq!(found[0]["labels"]["app"], "db");
        // By its cgroup, though it has no uid.
        assert_eq!(
            (&found[0]["containers"][0]["name"], &found[0]["processes"][0]),
            (&"db".into(), &10.into())
        );
    }
    assert_eq!(who(&mut known(), "other/db").len(), 0);
}

#[test]
fn an_address_is_told_as_of_now_though_nothing_was_recorded_since() {
    let mut stages = known();
    let at = |boot_ns| Moment { boot_ns, timebase: stages.clock.timebase() };
    let pod = |name: &str, number: u8| {
        let ips = vec!["10.1.0.77".parse().unwrap()];
        let uid = format!("00000000-0000-4000-8000-{number:012}");
        let pod = PodObject {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            uid,
            ips,
            ..PodObject::default()
        };
        Change::Apply(Box::new(Object::Pod(pod)))
    };
    const S: u64 = 1_000_000_000;
    for (name, number, told_s) in [("first", 1, 100), ("second", 2, 200)] {
        let list =
            [Change::ListBegins(ResourceKind::Pod), pod(name, number), Change::ListEnds(ResourceKind::Pod)];
        let batch = SourceBatch { source: Source::File, changes: list.into() };
        stages.knowledge.take(batch, at(told_s * S));
    }
    let answer = serde_json::to_value(stages.who("10.1.0.77", 201 * S)).unwrap();
    assert_eq!(answer["matches"][0]["pod"]["name"], "second");
}

#[test]
fn an_address_is_told_with_who_has_it() {
    for (query, end) in [
        ("10.1.0.3", "pod"),
        ("::ffff:192.0.2.1", "node"),
        ("198.51.100.7", "world"),
        ("10.1.0.200", "unresolved"),
    ] {
        let found = who(&mut known(), query);
        assert_eq!((found.len(), &found[0]["end"]), (1, &end.into()), "{query}");
    }
}
