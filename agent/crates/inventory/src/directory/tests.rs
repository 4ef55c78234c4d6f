use watchfire_model::WorkloadRef;

use super::*;
use crate::{ControllerRef, EndpointSliceObject, NodeObject, ObjectKey, PodObject};

const S: u64 = 1_000_000_000;
/// When the machine of these tests was started, seconds since 1970.
const BOOTED_UNIX_S: i64 = 1_700_000_000;

pub(crate) fn moment(boot_s: u64) -> Moment {
    Moment { boot_ns: boot_s * S, timebase: Timebase { boot_epoch_ns: BOOTED_UNIX_S * S as i64 } }
}

fn uid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn pod(number: u64, ip: &str) -> PodObject {
    PodObject {
        namespace: "shop".to_owned(),
        name: format!("web-{number}"),
        uid: uid(number),
        ips: vec![ip.parse().unwrap()],
        created_unix_s: Some(BOOTED_UNIX_S + 10 * number as i64),
        ..PodObject::default()
    }
}

fn apply(object: Object) -> Change {
    Change::Apply(Box::new(object))
}

fn list(directory: &mut Directory, source: Source, pods: &[PodObject], at: Moment) {
    directory.take(source, Change::ListBegins(ResourceKind::Pod), at);
    for pod in pods {
        directory.take(source, apply(Object::Pod(pod.clone())), at);
    }
    directory.take(source, Change::ListEnds(ResourceKind::Pod), at);
}

fn delete(number: u64) -> Change {
    let key = ObjectKey { namespace: "shop".to_owned(), name: format!("web-{number}"), uid: uid(number) };
    Change::Delete(ResourceKind::Pod, key)
}

fn holder(directory: &Directory, ip: &str, at_s: u64) -> String {
    match directory.holder(ip.parse().unwrap(), at_s * S) {
        Some(Peer::Pod(pod)) => pod.name.to_string(),
        Some(Peer::Node { name }) => format!("node {name}"),
        Some(Peer::Unresolved(why)) => why.to_owned(),
        Some(Peer::World) | None => "nobody".to_owned(),
    }
}

fn owner(directory: &Directory, uid: &str) -> Option<String> {
    match directory.cgroup_owner(&Cgroup::at(&format!("/kubepods/pod{uid}/4bc7"))) {
        CgroupOwner::Pod(pod) => Some(pod.title()),
        CgroupOwner::UnknownPod { .. } | CgroupOwner::NoPod => None,
    }
}

#[test]
fn a_flow_has_the_pod_that_had_the_address_when_it_began() {
    let mut directory = Directory::default();
    list(&mut directory, Source::Api, &[pod(1, "10.0.0.1")], moment(20));
    directory.take(Source::Api, delete(1), moment(100));
    // Told of late: what counts is when it was made.
    directory.take(Source::Api, apply(Object::Pod(pod(11, "10.0.0.1"))), moment(120));
    for (at_s, expected) in [(15, "web-1"), (99, "web-1"), (105, "web-1"), (110, "web-11"), (119, "web-11")] {
        assert_eq!(holder(&directory, "10.0.0.1", at_s), expected, "{at_s}");
    }
    assert_eq!(owner(&directory, &uid(1)).as_deref(), Some("shop/web-1"), "late records still find it");
    assert_eq!(directory.pods_len(), 1);
    directory.expire((100 + POD_GONE_KEEP_MS / 1000) * S);
    assert_eq!(owner(&directory, &uid(1)), None);
}

#[test]
fn an_address_that_changes_hands_within_a_list_is_nobodys_conflict() {
    let mut directory = Directory::default();
    list(&mut directory, Source::File, &[pod(1, "10.0.0.1")], moment(20));
    list(&mut directory, Source::File, &[pod(2, "10.0.0.1")], moment(500));
    assert_eq!(directory.counters().contested, 0);
    // Made long ago, as its manifest says: it has the address since the folder was looked at before.
    for (at_s, expected) in [(15, "web-1"), (497, "web-1"), (498, "web-2"), (600, "web-2")] {
        assert_eq!(holder(&directory, "10.0.0.1", at_s), expected, "{at_s}");
    }
    list(&mut directory, Source::File, &[pod(2, "10.0.0.1"), pod(3, "10.0.0.1")], moment(600));
    assert_eq!(directory.counters().contested, 1);
}

#[test]
fn a_pod_that_waited_for_its_address_has_it_since_it_was_told_of() {
    let mut directory = Directory::default();
    let pending = PodObject { ips: Vec::new(), ..pod(2, "10.0.0.1") };
    list(&mut directory, Source::Api, &[pod(1, "10.0.0.1"), pending], moment(30));
    let ended = PodObject { is_ended: true, ..pod(1, "10.0.0.1") };
    directory.take(Source::Api, apply(Object::Pod(ended)), moment(500));
    directory.take(Source::Api, apply(Object::Pod(pod(2, "10.0.0.1"))), moment(510));
    for (at_s, expected) in [(25, "web-1"), (507, "web-1"), (508, "web-2")] {
        assert_eq!(holder(&directory, "10.0.0.1", at_s), expected, "{at_s}");
    }
}

#[test]
fn what_was_made_in_the_future_is_there_since_it_was_told_of() {
    let mut directory = Directory::default();
    list(&mut directory, Source::Api, &[pod(1, "10.0.0.1")], moment(20));
    directory.take(Source::Api, delete(1), moment(100));
    // The clock of whoever made it is an hour ahead, or was set back since.
    let early = PodObject { created_unix_s: Some(BOOTED_UNIX_S + 3600), ..pod(2, "10.0.0.1") };
    directory.take(Source::Api, apply(Object::Pod(early)), moment(110));
    assert_eq!(holder(&directory, "10.0.0.1", 109), "web-1");
    assert_eq!(holder(&directory, "10.0.0.1", 110), "web-2");
}

#[test]
fn ended_pods_give_their_address_back_and_those_that_end_yield() {
    let mut directory = Directory::default();
    list(&mut directory, Source::Api, &[pod(1, "10.0.0.1"), pod(2, "10.0.0.1")], moment(30));
    assert_eq!(holder(&directory, "10.0.0.1", 40), "several pods or nodes claim this address");
    assert_eq!(directory.counters().contested, 1);
    let ending = PodObject { is_deleting: true, ..pod(1, "10.0.0.1") };
    directory.take(Source::Api, apply(Object::Pod(ending)), moment(41));
    assert_eq!(holder(&directory, "10.0.0.1", 41), "web-2");
    let ended = PodObject { is_ended: true, ..pod(2, "10.0.0.1") };
    directory.take(Source::Api, apply(Object::Pod(ended)), moment(50));
    assert_eq!(holder(&directory, "10.0.0.1", 51), "web-1");
    assert_eq!(directory.pods_len(), 2, "an ended pod is still one");
}

#[test]
fn a_list_says_who_is_gone_and_the_api_knows_better_than_others() {
    let mut directory = Directory::default();
    let by_runtime = PodObject { created_unix_s: None, ..pod(1, "10.0.0.1") };
    list(&mut directory, Source::Runtime, std::slice::from_ref(&by_runtime), moment(5));
    assert!(!directory.is_declared(), "a runtime knows one node's pods alone");
    list(&mut directory, Source::Kubelet, &[pod(1, "10.0.0.1"), pod(2, "10.0.0.2")], moment(6));
    let labelled = PodObject { labels: [("app".to_owned(), "web".to_owned())].into(), ..pod(1, "10.0.0.1") };
    list(&mut directory, Source::Api, &[labelled, pod(3, "10.0.0.3")], moment(30));
    directory.take(Source::Runtime, apply(Object::Pod(by_runtime)), moment(31));
    let known = directory.pod(PodUid::parse(&uid(1)).unwrap()).unwrap();
    assert_eq!((known.identity.labels["app"].as_str(), directory.pods_len()), ("web", 2));
    assert_eq!(directory.pod_source(known), Some((Source::Api, false)));
    list(&mut directory, Source::Api, &[pod(3, "10.0.0.3")], moment(40));
    assert_eq!(directory.pods_len(), 1);
    assert_eq!(holder(&directory, "10.0.0.1", 35), "web-1");
}

#[test]
fn mirrors_of_static_pods_are_found_by_the_uid_of_their_cgroups() {
    const HASH: &str = "0aa1e9f01c2d4e5f8a9b0c1d2e3f4a5b";
    let mut directory = Directory::default();
    let mirror = PodObject { mirror_uid: Some(HASH.to_owned()), ..pod(1, "10.0.0.1") };
    list(&mut directory, Source::Api, &[mirror], moment(5));
    assert_eq!(owner(&directory, HASH).as_deref(), Some("shop/web-1"));
}

#[test]
fn replicas_share_an_identity_that_knows_their_deployment() {
    let mut directory = Directory::default();
    let replica = |number| PodObject {
        labels: [("pod-template-hash".to_owned(), "5d4f".to_owned())].into(),
        controller: Some(ControllerRef { kind: "ReplicaSet".to_owned(), name: "web-5d4f".to_owned() }),
        ..pod(number, &format!("10.0.0.{number}"))
    };
    list(&mut directory, Source::Api, &[replica(1), replica(2)], moment(50));
    let pods: Vec<_> = directory.pods().collect();
    assert!(Arc::ptr_eq(&pods[0].identity, &pods[1].identity));
    let workload = WorkloadRef { kind: "Deployment".into(), name: "web".into() };
    assert_eq!(pods[0].identity.workload, Some(workload));
}

#[test]
fn nodes_have_addresses_ranges_and_api_servers() {
    let mut directory = Directory::default();
    let node = NodeObject {
        name: "node-a".to_owned(),
        ips: vec!["192.0.2.1".parse().unwrap()],
        pod_cidrs: vec!["10.244.1.0/24".to_owned(), "nonsense".to_owned()],
        ..NodeObject::default()
    };
    directory.take(Source::Api, apply(Object::Node(node.clone())), moment(0));
    let slice = EndpointSliceObject {
        namespace: "default".to_owned(),
        name: "kubernetes".to_owned(),
        service: "kubernetes".to_owned(),
        addresses: vec!["192.0.2.9".parse().unwrap()],
        ports: Vec::new(),
    };
    directory.take(Source::Api, apply(Object::EndpointSlice(slice)), moment(0));
    assert!(directory.is_api_server("::ffff:192.0.2.9".parse().unwrap()));
    assert!(directory.in_cluster("10.244.1.7".parse().unwrap()));
    assert_eq!(holder(&directory, "192.0.2.1", 5), "node node-a");
    let moved = NodeObject { ips: vec!["192.0.2.2".parse().unwrap()], pod_cidrs: Vec::new(), ..node };
    directory.take(Source::Api, apply(Object::Node(moved)), moment(10));
    assert_eq!(holder(&directory, "192.0.2.2", 11), "node node-a");
    assert!(!directory.in_cluster("10.244.1.7".parse().unwrap()));
    directory.take(Source::Api, Change::ListBegins(ResourceKind::Node), moment(20));
    directory.take(Source::Api, Change::ListEnds(ResourceKind::Node), moment(20));
    assert_eq!(directory.nodes_len(), 0);
}

#[test]
fn a_kind_that_is_absent_has_no_objects() {
    let mut directory = Directory::default();
    list(&mut directory, Source::Api, &[pod(1, "10.0.0.1")], moment(5));
    directory.take(Source::Api, Change::Absent(ResourceKind::Pod), moment(6));
    assert_eq!(directory.pods_len(), 0);
}
