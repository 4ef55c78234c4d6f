//! Connections to services where nobody translates.

use watchfire_model::{BackendView, Flow};

use super::*;

const WITH_SERVICES: &str = "\
clusterCIDRs: [10.1.0.0/16]
namespaces: [{name: shop}]
pods:
- {namespace: shop, name: frontend, labels: {app: frontend}, ips: [10.1.0.1]}
- {namespace: shop, name: db, labels: {app: db}, ips: [10.1.0.3]}
- {namespace: other, name: db, labels: {app: db}, ips: [10.1.0.4]}
services:
- {namespace: shop, name: single, clusterIPs: [10.2.0.1], ports: [{port: 80, targetPort: 5432}], endpoints: [{ip: 10.1.0.3}]}
- {namespace: shop, name: mixed, clusterIPs: [10.2.0.2], ports: [{port: 80}], endpoints: [{ip: 10.1.0.3}, {ip: 10.1.0.4}]}
- {namespace: shop, name: alike, clusterIPs: [10.2.0.3], ports: [{port: 80}], endpoints: [{ip: 10.1.0.3, port: 81}, {ip: 10.1.0.3, port: 82}]}
- {namespace: shop, name: empty, clusterIPs: [10.2.0.4], ports: [{port: 80}]}
";

fn with_services() -> Stages {
    stages_of(WITH_SERVICES, DENY)
}

#[test]
fn what_the_endpoints_tell_is_said_and_no_more() {
    let mut stages = with_services();
    let isolated = "isolated by NetworkPolicy/shop/default-deny";
    for (cookie, (address, service, pod, backend, by, outcome, because)) in (20..).zip([
        ("10.2.0.1:80", "single", Some("db"), Some("10.1.0.3:5432"), "endpoints", Outcome::Denied, isolated),
        ("10.2.0.2:80", "mixed", None, None, "unresolved", Outcome::Unknown, "backend not resolved"),
        ("10.2.0.3:80", "alike", None, None, "unresolved", Outcome::Denied, isolated),
        ("10.2.0.4:80", "empty", None, None, "unresolved", Outcome::Unknown, "peer not resolved"),
    ]) {
        let to = Flow { cookie, server: address.parse().unwrap(), ..flow() };
        let open = take_flow(&mut stages, Body::FlowOpen(to));
        assert_eq!(open.server.address.to_string(), address);
        assert_eq!(&*open.server.service.as_ref().unwrap().name, service);
        assert_eq!(open.server.pod.as_ref().map(|pod| &*pod.name), pod, "{service}");
        let backend = backend.map(|backend| backend.parse().unwrap());
        assert_eq!(open.server.backend, Some(BackendView { address: backend, by }), "{service}");
        assert_eq!((open.verdict.outcome, open.because.as_str()), (outcome, because), "{service}");
        // As of then.
        stages.knowledge = knowledge(INVENTORY, DENY);
        let close = take_flow(&mut stages, Body::FlowClose(to, end(true)));
        assert_eq!((close.server, close.verdict), (open.server, open.verdict), "{service}");
        stages.knowledge.directory = with_services().knowledge.directory;
    }
}

#[test]
fn only_the_clients_end_shows_a_services_address() {
    let mut stages = with_services();
    let server = Flow { side: Side::Server, server: "10.2.0.1:80".parse().unwrap(), ..flow() };
    let other_port = Flow { server: "10.2.0.1:81".parse().unwrap(), ..flow() };
    let other_protocol = Flow { protocol: Protocol::Udp, server: "10.2.0.1:80".parse().unwrap(), ..flow() };
    for no_service in [server, other_port, other_protocol, flow()] {
        let record = take_flow(&mut stages, Body::FlowOpen(no_service));
        assert_eq!((record.server.service, record.server.backend), (None, None));
    }
}
