//! What goes wrong.

use std::time::Duration;

use watchfire_inventory::ResourceKind::{CiliumNetworkPolicy, Node, Pod};
use watchfire_kubernetes::{Phase, Timing};

use crate::server::{Reply, Server, event, list, named, page, status};
use crate::source::{Running, quick};

const PODS: &str = "/api/v1/pods";
const CILIUM: &str = "/apis/cilium.io/v2/ciliumnetworkpolicies";
const NODES: &str = "/api/v1/nodes";

#[tokio::test]
async fn forbidden_kinds_are_named_and_the_rest_works() {
    let server = Server::start().await;
    let forbidden = status(403, "pods is forbidden: User \\\"agent\\\" cannot list resource \\\"pods\\\"");
    server.on_list(PODS, Reply::Text(403, forbidden.clone()));
    server.on_list(PODS, Reply::Text(403, forbidden.clone()));
    server.on_list(PODS, Reply::Text(403, forbidden));
    server.on_list(NODES, Reply::Text(200, list("1", &[named("n", "1")])));
    let mut running = Running::start(server.port, Timing::default()).await;
    running.expect(Node, &["begin", "apply n", "end"]).await;
    let known = running.until(Pod, |pods| pods.errors > 0).await;
    assert_eq!(known.phase, Phase::Forbidden);
    let expected = "forbidden: list pods: pods is forbidden: User \"agent\" cannot list resource \"pods\"";
    assert_eq!(known.last_error.as_deref(), Some(expected));
    assert_eq!(running.state.snapshot().unreachable_since, None);
    // It is allowed later.
    running.expect(Pod, &["begin", "end"]).await;
    running.until(Pod, |pods| pods.phase == Phase::Synced && pods.errors == 3).await;
    running.stop().await;
}

#[tokio::test]
async fn what_nobody_has_installed_is_absent_although_it_is_forbidden() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.on_list(CILIUM, Reply::Text(403, status(403, "no")));
    }
    server.on_list(CILIUM, Reply::Text(200, list("5", &[])));
    let group = r#"{"metadata":{"name":"cilium.io"},"versions":[{"version":"v2","resources":[{"resource":"ciliumnetworkpolicies"}]}]}"#;
    for _ in 0..5 {
        server.on_list("/apis", Reply::Text(200, list("", &[])));
    }
    server.on_list("/apis", Reply::Tagged("installed", list("", &[group.to_owned()])));
    let mut running = Running::start(server.port, quick()).await;
    running.expect(CiliumNetworkPolicy, &["absent"]).await;
    let known = running.until(CiliumNetworkPolicy, |known| known.phase == Phase::Absent).await;
    assert_eq!((known.errors, known.last_error), (0, None));
    // It is installed, and still forbidden for a while: now that is worth saying.
    running.expect(CiliumNetworkPolicy, &["begin", "end"]).await;
    let known = running.until(CiliumNetworkPolicy, |known| known.phase == Phase::Synced).await;
    assert_eq!(known.errors, 2);
    running.stop().await;
}

#[tokio::test]
async fn what_has_expired_is_listed_again() {
    let server = Server::start().await;
    server.on_list(PODS, Reply::Text(200, list("9", &[named("a", "1")])));
    let mut watch = server.watch(PODS);
    let mut running = Running::start(server.port, quick()).await;
    running.expect(Pod, &["begin", "apply a", "end"]).await;
    // As an event of the watch, the way the API server says it; what came before is not lost.
    server.on_list(PODS, Reply::Text(410, status(410, "too old")));
    server.on_list(PODS, Reply::Text(200, page("30", "t", &[named("c", "30")])));
    server.on_list(PODS, Reply::Text(410, status(410, "the continue token has expired")));
    server.on_list(PODS, Reply::Text(200, list("40", &[named("d", "40")])));
    // And as the status of a watch.
    server.on_watch(PODS, Reply::Text(410, status(410, "too old resource version")));
    server.on_list(PODS, Reply::Text(200, list("50", &[named("e", "50")])));
    watch.send_data(event("ADDED", &named("b", "10"))).await.unwrap();
    watch.send_data(event("ERROR", &status(410, "too old resource version: 9 (20)"))).await.unwrap();
    running.expect(Pod, &["apply b", "begin", "apply c", "begin", "apply d", "end"]).await;
    running.expect(Pod, &["begin", "apply e", "end"]).await;
    let lists: Vec<_> = server.requests(PODS).into_iter().filter(|uri| !uri.contains("watch")).collect();
    assert_eq!(
        lists,
        [
            "/api/v1/pods?limit=500&resourceVersion=0",
            "/api/v1/pods?resourceVersion=10",
            "/api/v1/pods?limit=500",
            "/api/v1/pods?limit=500&continue=t",
            "/api/v1/pods?limit=500",
            "/api/v1/pods?resourceVersion=40",
        ]
    );
    let known = running.until(Pod, |pods| pods.phase == Phase::Synced).await;
    assert_eq!((known.errors, known.relists, known.objects), (0, 3, 1));
    running.stop().await;
}

#[tokio::test]
async fn what_breaks_off_is_begun_again() {
    let server = Server::start().await;
    let whole = list("9", &[named("a", "1"), named("b", "2")]);
    server.on_list(PODS, Reply::Cut(whole[..whole.len() - 20].to_owned()));
    server.on_list(PODS, Reply::Text(200, whole[..whole.len() - 20].to_owned()));
    server.on_list(PODS, Reply::Text(200, "<html>sign in</html>".to_owned()));
    server.on_list(PODS, Reply::Text(500, status(500, "etcdserver: leader changed")));
    server.on_list(PODS, Reply::Text(200, list("", &[])));
    server.on_list(PODS, Reply::Text(200, whole));
    // An event that is cut off comes again, since the watch is resumed from before it.
    server.on_watch(PODS, Reply::Cut("{\"type\":\"ADDED\",\"object\":{\"meta".to_owned()));
    server.on_watch(PODS, Reply::Text(200, String::new()));
    let mut watch = server.watch(PODS);
    let mut running = Running::start(server.port, quick()).await;
    running.expect(Pod, &["begin", "apply a", "begin", "apply a", "begin", "begin"]).await;
    running.expect(Pod, &["begin", "apply a", "apply b", "end"]).await;
    watch.send_data(event("ADDED", &named("c", "10"))).await.unwrap();
    running.expect(Pod, &["apply c"]).await;
    let known = running.until(Pod, |pods| pods.objects == 3).await;
    assert_eq!((known.errors, known.phase), (5, Phase::Synced));
    assert_eq!(known.last_error.as_deref(), Some("cannot list pods: the list has no resourceVersion"));
    running.stop().await;
}

#[tokio::test]
async fn events_that_mean_nothing_lead_to_a_list() {
    for bad in [
        "{\"type\":\"ADDED\"\n".to_owned(),
        "not JSON\n".to_owned(),
        "{\"type\":\"SHAKEN\",\"object\":{}}\n".to_owned(),
        "{\"type\":\"BOOKMARK\",\"object\":{}}\n".to_owned(),
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"x\"}}}\n".to_owned(),
        format!("{}\n", "x".repeat(5 << 20)),
    ] {
        let server = Server::start().await;
        server.on_list(PODS, Reply::Text(200, list("9", &[])));
        server.on_list(PODS, Reply::Text(200, list("12", &[named("after", "11")])));
        let start = String::from_utf8(event("ADDED", &named("a", "10")).to_vec()).unwrap();
        server.on_watch(PODS, Reply::Text(200, start + &bad));
        let mut running = Running::start(server.port, quick()).await;
        running.expect(Pod, &["begin", "end", "apply a"]).await;
        if bad.contains("\"x\"") {
            running.expect(Pod, &["apply x"]).await;
        }
        running.expect(Pod, &["begin", "apply after", "end"]).await;
        let known = running.until(Pod, |pods| pods.phase == Phase::Synced).await;
        assert_eq!((known.errors, known.relists), (1, 1), "{known:?}");
        running.stop().await;
    }
}

#[tokio::test]
async fn malformed_objects_are_left_out_alone() {
    let bad = |name: &str, version: &str| {
        let metadata =
            format!("{{\"namespace\":\"shop\",\"name\":\"{name}\",\"resourceVersion\":\"{version}\"}}");
        format!("{{\"metadata\":{metadata},\"status\":{{\"podIPs\":[{{\"ip\":\"10.0.0.400\"}}]}}}}")
    };
    let server = Server::start().await;
    server.on_list(PODS, Reply::Text(200, list("9", &[named("a", "1"), bad("b", "2"), named("c", "3")])));
    let mut watch = server.watch(PODS);
    let mut running = Running::start(server.port, quick()).await;
    running.expect(Pod, &["begin", "apply a", "delete b", "apply c", "end"]).await;
    let expected = "Pod shop/b: status.podIPs[0].ip: found `10.0.0.400`, expected an IP address";
    let known = running.until(Pod, |pods| pods.malformed == 1).await;
    assert_eq!(known.last_error.as_deref(), Some(expected));
    watch.send_data(event("MODIFIED", &bad("a", "10"))).await.unwrap();
    watch.send_data(event("MODIFIED", &named("b", "11"))).await.unwrap();
    watch.send_data(event("DELETED", &bad("c", "12"))).await.unwrap();
    running.expect(Pod, &["delete a", "apply b", "delete c"]).await;
    let known = running.until(Pod, |pods| pods.malformed == 2 && pods.objects == 2).await;
    assert_eq!((known.errors, known.relists, known.phase), (0, 0, Phase::Synced));
    running.stop().await;
}

#[tokio::test]
async fn silence_is_not_waited_for_without_end() {
    let server = Server::start().await;
    let short = Duration::from_millis(100);
    server.on_list(PODS, Reply::Hang);
    server.on_list(PODS, Reply::Text(200, list("9", &[])));
    let silent = server.watch(PODS);
    let mut watch = server.watch(PODS);
    let timing = Timing { answer_timeout: short, watch_silence_max: short, ..quick() };
    let mut running = Running::start(server.port, timing).await;
    running.expect(Pod, &["begin", "end"]).await;
    watch.send_data(event("ADDED", &named("a", "10"))).await.unwrap();
    running.expect(Pod, &["apply a"]).await;
    drop(silent);
    running.stop().await;
}

#[tokio::test]
async fn what_was_known_stays_while_the_api_is_out_of_reach() {
    // A port that nobody listens on until the server takes it would be a race; this one refuses for good.
    let mut running = Running::start(1, quick()).await;
    let known = running.until(Pod, |pods| pods.errors > 3).await;
    assert_eq!((known.phase, known.last_contact), (Phase::Unreachable, None));
    assert!(known.last_error.unwrap().contains("refused"));
    assert!(running.state.snapshot().unreachable_since.is_some());
    running.stop().await;
}
