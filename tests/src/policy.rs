//! Random clusters, policies and connections, as cases for the policy engine. One seed gives one case, on every machine.

mod admin;
mod cilium;
mod network;
mod random;
mod selector;
mod world;

use serde_json::{Value, json};

pub use random::Random;
use world::World;

/// Which kinds of policies a case has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kinds {
    /// What Cilium knows.
    Cilium,
    /// What the Kubernetes API and its administrators' policies have.
    Kubernetes,
}

/// Most policies of a case.
const POLICIES_MAX: usize = 8;

/// A case with this many connections.
#[must_use]
pub fn case(seed: u64, kinds: Kinds, probes: usize) -> Value {
    let mut random = Random::new(seed);
    let world = World::new(&mut random, kinds);
    let mut policies: Vec<Value> = Vec::new();
    for index in 0..1 + random.below(POLICIES_MAX) {
        let name = format!("p{index}");
        policies.push(match (kinds, random.below(12)) {
            (Kinds::Cilium, 0..=1) | (Kinds::Kubernetes, 0..=5) => {
                network::policy(&mut random, &world, &name)
            }
            (Kinds::Cilium, 2..=6) => cilium::policy(&mut random, &world, &name, false),
            (Kinds::Cilium, 7..=9) => cilium::policy(&mut random, &world, &name, true),
            (Kinds::Cilium, 10) | (Kinds::Kubernetes, 9..) => {
                admin::cluster_policy(&mut random, &world, &name, kinds)
            }
            (Kinds::Kubernetes, _) => admin::admin_policy(&mut random, &world, &name),
            (Kinds::Cilium, _) => cilium::group(&mut random, &name),
        });
    }
    if kinds == Kinds::Cilium {
        policies.extend(cilium::external_groups(&mut random));
    }
    let mut probes: Vec<Value> = (0..probes).map(|_| world.probe(&mut random)).collect();
    probes.retain(|probe| !probe.is_null());
    let mut case = json!({"id": format!("seed-{seed}"), "policies": policies, "probes": probes});
    for (field, value) in world.fields() {
        case[field] = value;
    }
    case
}
