use watchfire_inventory::Ends;
use watchfire_model::{
    Dialect, Icmp, Origin, Owner, OwnerUnknown, Peer, Protocol, Side, SideVerdict, Verdict,
};

use super::*;

fn flow(cookie: u64) -> Flow {
    Flow {
        cookie,
        protocol: Protocol::Tcp,
        client: "10.0.0.1:1000".parse().unwrap(),
        server: "10.0.0.2:80".parse().unwrap(),
        side: Side::Client,
        direction_guessed: false,
        owner: Owner::Unknown(OwnerUnknown::NoStorage),
        cgroup_id: 0,
        netns: 0,
        opened_boot_ns: 0,
        origin: Origin::Observed,
        handshake_ns: None,
        icmp: None,
    }
}

fn said(flow: &Flow) -> Said {
    let judged = Judged {
        ends: Ends { client: Peer::World, server: Peer::World },
        verdict: Arc::new(Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered)),
        mesh: None,
        led: None,
        names: Vec::new(),
    };
    Said {
        judged: Arc::new(judged),
        opener: Opener::of(flow),
        epoch: 1,
        dialect: Dialect::K8s,
        is_stale: false,
        now: None,
    }
}

fn put(flows: &mut OpenFlows, flow: &Flow) {
    flows.put(flow, said(flow));
}

fn open(hello: Hello) -> OpenFlow {
    OpenFlow { said: Arc::new(said(&flow(1))), hello }
}

#[test]
fn an_end_finds_its_opening_once() {
    let mut flows = OpenFlows::default();
    put(&mut flows, &flow(1));
    assert_eq!(flows.take(&flow(1)), Some(open(Hello::NotSeen)));
    assert_eq!(flows.take(&flow(1)), None);
    put(&mut flows, &flow(1));
    let elsewhere = Flow { server: "10.0.0.3:80".parse().unwrap(), ..flow(1) };
    assert_eq!(flows.take(&elsewhere), None);
}

#[test]
fn flows_of_one_socket_are_kept_apart() {
    let mut flows = OpenFlows::default();
    let other_server = Flow { server: "10.0.0.3:80".parse().unwrap(), ..flow(1) };
    let ping = |id| {
        let icmp = Some(Icmp { icmp_type: 8, code: 0, id });
        Flow { protocol: Protocol::Icmp, icmp, ..flow(1) }
    };
    let all = [flow(1), other_server, Flow { protocol: Protocol::Udp, ..flow(1) }, ping(1), ping(2)];
    for flow in &all {
        put(&mut flows, flow);
    }
    assert_eq!(flows.len(), all.len());
    flows.set_hello(&all[1], Hello::Unreadable);
    assert_eq!(flows.get(&all[0]), Some(open(Hello::NotSeen)));
    assert_eq!(flows.take(&all[1]), Some(open(Hello::Unreadable)));
    assert_eq!(flows.len(), all.len() - 1);
}

#[test]
fn a_flow_is_found_again_as_it_was() {
    let mut flows = OpenFlows::default();
    let owner = Owner::Known(watchfire_model::ExecId { boot: 1, pid: 2, start_ticks: 3 });
    let icmp = Some(Icmp { icmp_type: 8, code: 1, id: 77 });
    let (v6, port_0) = ("[2001:db8::1]:443".parse().unwrap(), "10.0.0.1:0".parse().unwrap());
    let all = [
        Flow { owner, cgroup_id: 9, netns: 7, opened_boot_ns: 5, direction_guessed: true, ..flow(1) },
        Flow { side: Side::Server, origin: Origin::BeforeStart, server: v6, ..flow(2) },
        Flow { protocol: Protocol::Icmp, client: port_0, server: port_0, icmp, ..flow(3) },
    ];
    for flow in &all {
        put(&mut flows, flow);
    }
    flows.set_hello(&all[1], Hello::Unreadable);
    let kept = flows.following(None, 2);
    assert_eq!(kept.iter().map(Kept::flow).collect::<Vec<_>>(), all[..2]);
    assert_eq!(kept[1].hello, Hello::Unreadable);
    let rest = flows.following(Some(&kept[1].key), 2);
    assert_eq!(rest.iter().map(Kept::flow).collect::<Vec<_>>(), all[2..]);
}

#[test]
fn what_was_seen_of_tls_stays() {
    let mut flows = OpenFlows::default();
    let seen = Hello::Seen(Arc::default());
    flows.set_hello(&flow(1), seen.clone());
    assert_eq!(flows.get(&flow(1)), None);
    put(&mut flows, &flow(1));
    flows.set_hello(&flow(1), seen.clone());
    put(&mut flows, &flow(1));
    flows.set_hello(&flow(1), Hello::Unreadable);
    assert_eq!(flows.get(&flow(1)), Some(open(seen)));
}

#[test]
fn the_limit_holds_and_is_counted() {
    let mut flows = OpenFlows::default();
    for cookie in 0..FLOWS_MAX as u64 + 3 {
        put(&mut flows, &flow(cookie));
    }
    assert_eq!((flows.len(), flows.evicted()), (FLOWS_MAX, 3));
    assert_eq!(flows.take(&flow(2)), None);
    assert!(flows.take(&flow(3)).is_some());
}
