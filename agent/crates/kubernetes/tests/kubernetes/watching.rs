//! Lists and watches as they should be.

use std::time::Duration;

use watchfire_inventory::ResourceKind::{self, CiliumCidrGroup, Namespace, NetworkPolicy, Pod};
use watchfire_kubernetes::{BATCH_CHANGES_MAX, Phase, Timing};

use crate::server::{Reply, Server, event, list, named, page};
use crate::source::{Running, quick};

const PODS: &str = "/api/v1/pods";

#[tokio::test]
async fn pages_then_changes() {
    let server = Server::start().await;
    server.on_list(PODS, Reply::Text(200, page("9", "a/b", &[named("a", "1"), named("b", "2")])));
    server.on_list(PODS, Reply::Text(200, page("9", "", &[named("c", "3")])));
    let mut watch = server.watch(PODS);
    let mut running = Running::start(server.port, quick()).await;
    running.expect(Pod, &["begin", "apply a", "apply b", "apply c", "end"]).await;
    let events = [event("ADDED", &named("d", "10")), event("MODIFIED", &named("a", "11"))].concat();
    // An event may come in any number of pieces.
    for piece in events.chunks(7) {
        watch.send_data(piece.to_vec().into()).await.unwrap();
    }
    watch.send_data(event("DELETED", &named("b", "12"))).await.unwrap();
    running.expect(Pod, &["apply d", "apply a", "delete b"]).await;
    let known = running.until(Pod, |pods| pods.objects == 3).await;
    assert_eq!((known.phase, known.relists, known.errors, known.malformed), (Phase::Synced, 0, 0, 0));
    watch.send_data(event("BOOKMARK", &named("", "40"))).await.unwrap();
    drop(watch);
    let mut watch = server.watch(PODS);
    watch.send_data(event("ADDED", &named("e", "41"))).await.unwrap();
    running.expect(Pod, &["apply e"]).await;
    let requests = server.requests(PODS);
    assert_eq!(
        requests[..2],
        [
            "/api/v1/pods?limit=500&resourceVersion=0".to_owned(),
            "/api/v1/pods?limit=500&continue=a%2Fb".to_owned()
        ]
    );
    assert!(requests[2].contains("resourceVersion=9&"), "{requests:?}");
    assert!(requests[3..].iter().all(|request| request.contains("watch=1")), "no list again: {requests:?}");
    assert!(requests.last().unwrap().contains("resourceVersion=40&"), "{requests:?}");
    running.stop().await;
}

#[tokio::test]
async fn every_kind_is_asked_for_where_it_stands() {
    let server = Server::start().await;
    for kind in ResourceKind::ALL {
        let version = kind.api_version(kind.versions()[0]);
        let root = if kind.group().is_empty() { "api" } else { "apis" };
        server.on_list(
            &format!("/{root}/{version}/{}", kind.plural()),
            Reply::Text(200, list("1", &[named("x", "1")])),
        );
    }
    let mut running = Running::start(server.port, quick()).await;
    for kind in ResourceKind::ALL {
        running.expect(kind, &["begin", "apply x", "end"]).await;
    }
    let accepts = server.accepts();
    for accept in accepts.iter().filter(|accept| accept.starts_with("/api/v1/namespaces ")) {
        assert!(accept.contains("as=PartialObjectMetadata"), "{accept}");
    }
    assert!(!accepts.iter().any(|accept| accept.contains("pods") && accept.contains("Partial")));
    running.stop().await;
}

#[tokio::test]
async fn kinds_come_and_go() {
    let (newer, older) = ("/apis/cilium.io/v2/ciliumcidrgroups", "/apis/cilium.io/v2alpha1/ciliumcidrgroups");
    let server = Server::start().await;
    let mut running = Running::start(server.port, quick()).await;
    running.expect(CiliumCidrGroup, &["absent"]).await;
    let known = running.until(CiliumCidrGroup, |known| known.phase == Phase::Absent).await;
    assert_eq!((known.errors, known.last_error), (0, None));
    // It appears in the older version.
    let mut watch = server.watch(older);
    server.on_list(older, Reply::Text(200, list("5", &[named("a", "5")])));
    running.expect(CiliumCidrGroup, &["begin", "apply a", "end"]).await;
    watch.send_data(event("ADDED", &named("b", "6"))).await.unwrap();
    running.expect(CiliumCidrGroup, &["apply b"]).await;
    // It is removed: the server ends the watch and knows the kind no more.
    server.remove(older);
    drop(watch);
    running.expect(CiliumCidrGroup, &["absent"]).await;
    // It comes back, in the newer version.
    server.on_list(newer, Reply::Text(200, list("9", &[named("c", "9")])));
    running.expect(CiliumCidrGroup, &["begin", "apply c", "end"]).await;
    running.stop().await;
}

#[tokio::test]
async fn absent_kinds_are_asked_for_together() {
    let group = |name: &str, version: &str, resource: &str| {
        format!(
            r#"{{"metadata":{{"name":"{name}"}},"versions":[{{"version":"{version}","resources":[{{"resource":"{resource}"}}]}}]}}"#
        )
    };
    let (cilium, other) =
        ("/apis/cilium.io/v2/ciliumcidrgroups", "/apis/cilium.io/v2alpha1/ciliumcidrgroups");
    let without = [group("apps", "v1", "ciliumcidrgroups"), group("cilium.io", "v9", "ciliumcidrgroups")];
    let server = Server::start().await;
    server.on_list("/apis", Reply::Tagged("one", list("", &without)));
    let mut running = Running::start(server.port, quick()).await;
    running.expect(CiliumCidrGroup, &["absent"]).await;
    while server.requests("/apis").len() < 10 {
        running.pass(quick().absent_interval).await;
    }
    for path in [cilium, other] {
        assert_eq!(
            server.requests(path).len(),
            1,
            "{path} is not asked for while it is known not to be there"
        );
    }
    server.on_list(cilium, Reply::Text(200, list("5", &[named("a", "5")])));
    server.on_list("/apis", Reply::Tagged("two", list("", &[group("cilium.io", "v2", "ciliumcidrgroups")])));
    running.expect(CiliumCidrGroup, &["begin", "apply a", "end"]).await;
    running.stop().await;
}

#[tokio::test]
async fn policies_are_told_whole() {
    let server = Server::start().await;
    let path = "/apis/networking.k8s.io/v1/networkpolicies";
    server.on_list(path, Reply::Text(200, list("1", &[named("p", "1")])));
    let mut running = Running::start(server.port, quick()).await;
    running.expect(NetworkPolicy, &["begin", "apply p", "end"]).await;
    running.stop().await;
}

#[tokio::test]
async fn who_does_not_receive_is_waited_for() {
    let server = Server::start().await;
    let many: Vec<_> = (0..20 * BATCH_CHANGES_MAX).map(|number| named(&format!("n{number}"), "1")).collect();
    server.on_list(PODS, Reply::Text(200, list("1", &many)));
    let mut running = Running::start_with(server.port, quick(), None, 2).await;
    while running.waiting() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Nothing is taken for some time: no more than the channel holds has been read ahead.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(running.state.snapshot().kinds[&Pod].phase, Phase::Listing);
    let names: Vec<_> = (0..many.len()).map(|number| format!("apply n{number}")).collect();
    running.expect(Pod, &["begin"]).await;
    running.expect(Pod, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    running.expect(Pod, &["end"]).await;
    running.stop().await;
}

#[tokio::test]
async fn it_ends_in_the_middle_of_anything() {
    let server = Server::start().await;
    server.on_list(PODS, Reply::Hang);
    server.on_list("/api/v1/namespaces", Reply::Text(200, list("1", &[])));
    let mut running = Running::start(server.port, quick()).await;
    running.expect(Namespace, &["begin", "end"]).await;
    running.stop().await;
    // Without a server, and while a pause lasts.
    let long = Duration::from_secs(3600);
    let running = Running::start(1, Timing { backoff_first: long, backoff_max: long, ..quick() }).await;
    running.stop().await;
}
