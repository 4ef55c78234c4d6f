//! How long the inventory takes to take in one changed pod, by how many it has.
//!
//! `cargo run --release -p watchfire-inventory --example changed_pods`. Nothing is asserted: the figures are of this machine.

use std::time::{Duration, Instant};

use watchfire_inventory::{
    Change, ControllerRef, Directory, Moment, Object, PodObject, ResourceKind, Source,
};
use watchfire_model::Timebase;

const PODS: [usize; 3] = [100, 1000, 10_000];
const REPLICAS: usize = 10;
/// Changes of each size, of which the median and the highest of a hundred are told.
const CHANGES: usize = 10_000;

fn main() {
    for pods in PODS {
        let mut directory = Directory::default();
        take(&mut directory, Change::ListBegins(ResourceKind::Pod), 0);
        for number in 0..pods {
            take(&mut directory, Change::Apply(Box::new(Object::Pod(pod(number, 0)))), 0);
        }
        take(&mut directory, Change::ListEnds(ResourceKind::Pod), 0);
        for (what, version) in [("told again as it was", 0), ("with other labels", 1)] {
            let mut times: Vec<Duration> = (0..CHANGES)
                .map(|change| {
                    // Each round over all pods has labels that none had before.
                    let labels = version * (1 + change / pods);
                    let object = Box::new(Object::Pod(pod(change % pods, labels)));
                    let begun = Instant::now();
                    take(&mut directory, Change::Apply(object), change as u64 + 1);
                    begun.elapsed()
                })
                .collect();
            times.sort_unstable();
            let (median, high) = (times[CHANGES / 2], times[CHANGES * 99 / 100]);
            println!("{pods} pods, one {what}: {median:?}, 99 of 100 below {high:?}");
        }
    }
}

fn take(directory: &mut Directory, change: Change, seconds: u64) {
    let at = Moment { boot_ns: (1 << 40) + seconds * 1_000_000_000, timebase: Timebase { boot_epoch_ns: 0 } };
    directory.take(Source::Api, change, at);
}

fn pod(number: usize, labels: usize) -> PodObject {
    let workload = number / REPLICAS;
    let [a, b] = [number >> 8, number].map(|byte| byte & 0xff);
    PodObject {
        namespace: format!("team-{}", workload % 50),
        name: format!("web-{workload:04}-5d4f7c9b8-{number:05}"),
        uid: format!("00000000-0000-4000-8000-{number:012}"),
        labels: [("app", format!("web-{workload}")), ("version", format!("{labels}"))]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
        created_unix_s: Some(1),
        node: Some(format!("node-{}", number % 100)),
        service_account: Some("default".to_owned()),
        ips: vec![format!("10.0.{a}.{b}").parse().expect("an address")],
        controller: Some(ControllerRef {
            kind: "ReplicaSet".to_owned(),
            name: format!("web-{workload:04}-5d4f7c9b8"),
        }),
        ..PodObject::default()
    }
}
