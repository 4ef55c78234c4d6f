//! Verdicts that have been given, and what is worked out once for each identity: the fast way to judge.
//!
//! Pods of one template share an identity (`Pod.identity`), and policy knows them by nothing else. So rules are selected once
//! for each identity and direction, identities that the same rules select share what follows, and a verdict is kept under the
//! identities of both ends. An address counts where a rule may look at it, a node where the other end is one.

mod follow;

use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Direction, ExemptReason, Identity, Peer, PolicyRef, Protocol, SideVerdict, Verdict};

use crate::classes::AddressClass;
use crate::connection::Party;
use crate::decision::Standing;
use crate::evaluate::is_to_itself;
use crate::index::PeerIndex;
use crate::mix::Mix;
use crate::set::{Entry, policies_of};
use crate::side::Context;
use crate::{Connection, Match, PolicySet, World};
use follow::JudgedBy;

/// Most verdicts that are kept: of two halves the older is dropped when the newer is full.
const VERDICTS_MAX: usize = 65_536;
/// Most identities for which rules are kept selected.
const PROGRAMS_MAX: usize = 65_536;

/// Memory of the thread that judges. When the policies are others it forgets what they change, and has to be told when anything
/// else changes that a `World` says.
#[derive(Default, Debug)]
pub struct VerdictCache {
    judged_by: Option<JudgedBy>,
    verdicts: HashMap<FlowKey, Kept, Mix>,
    older: HashMap<FlowKey, Kept, Mix>,
    programs: HashMap<Subjected, Selected, Mix>,
    shared: HashMap<(Direction, Subjects), Arc<Program>>,
    candidates: Vec<u32>,
    counters: CacheCounters,
}

/// How often a verdict was found in memory.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CacheCounters {
    /// It was there.
    pub hits: u64,
    /// It had to be worked out.
    pub misses: u64,
    /// It had to be worked out because it turns on the names of an address outside, which come and go: such verdicts are not
    /// kept.
    pub unkept: u64,
}

/// An identity, by its address, as the subject of one direction.
type Subjected = (usize, Direction);

/// Subjects of rules, by their addresses, that an identity is of, each with how certain that is.
type Subjects = Arc<[(usize, Match)]>;

/// What selects an identity. As long as it is held, no other has its address.
#[derive(Debug)]
struct Selected {
    identity: Arc<Identity>,
    program: Arc<Program>,
}

/// A verdict, with what its key is the address of.
#[derive(Debug)]
struct Kept {
    verdict: Arc<Verdict>,
    _ends: [Held; 2],
}

#[derive(Debug)]
enum Held {
    Pod(
        #[expect(dead_code, reason = "held")] Arc<Identity>,
        #[expect(dead_code, reason = "held")] Option<Arc<String>>,
    ),
    Node(#[expect(dead_code, reason = "held")] Arc<str>),
    Nothing,
}

/// What a verdict depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct FlowKey {
    client: EndKey,
    server: EndKey,
    protocol: Protocol,
    port: u16,
    icmp_type: Option<u8>,
    guessed: bool,
}

/// One end. Numbers are addresses of what is held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum EndKey {
    Pod { identity: usize, node: usize, address: AddressClass },
    Node { name: usize, address: IpAddr },
    World(IpAddr),
    Unresolved(IpAddr),
}

/// The rules that select an identity in one direction, each with how certain that is.
#[derive(Debug)]
struct Program {
    entries: Box<[(Entry, Match)]>,
    index: PeerIndex,
    standing: Standing,
    isolating: Arc<[Arc<PolicyRef>]>,
}

impl VerdictCache {
    /// An empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        *self = Self { judged_by: self.judged_by.take(), counters: self.counters, ..Self::default() };
    }

    /// How often a verdict was found, since the beginning.
    #[must_use]
    pub const fn counters(&self) -> CacheCounters {
        self.counters
    }

    /// Verdicts that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.verdicts.len() + self.older.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Distinct lists of rules that are kept for identities.
    #[cfg(test)]
    pub(crate) fn programs(&self) -> usize {
        self.shared.len()
    }

    fn keep(&mut self, key: FlowKey, kept: Kept) {
        if self.verdicts.len() >= VERDICTS_MAX / 2 {
            self.older = mem::take(&mut self.verdicts);
        }
        self.verdicts.insert(key, kept);
    }
}

impl PolicySet {
    /// The same verdict that `judge` gives, from memory where it has been given before.
    pub fn judge_with(
        &self,
        cache: &mut VerdictCache,
        world: &dyn World,
        connection: &Connection<'_>,
    ) -> Arc<Verdict> {
        if !cache.judged_by.as_ref().is_some_and(|before| before.is(self)) {
            cache.follow(self, &self.context(world, connection, Direction::Egress));
        }
        if is_to_itself(connection) {
            let exempt = || SideVerdict::Exempt { reason: ExemptReason::SelfTraffic };
            return Arc::new(Verdict::combine(exempt(), exempt()));
        }
        let ends = [connection.client.peer, connection.server.peer];
        if self.asks_for_names()
            && ends.into_iter().any(|end| matches!(end, Peer::World | Peer::Unresolved(_)))
        {
            cache.counters.unkept += 1;
            return Arc::new(self.sides_with(cache, world, connection));
        }
        let key = self.key(connection);
        if let Some(kept) = cache.verdicts.get(&key) {
            cache.counters.hits += 1;
            return Arc::clone(&kept.verdict);
        }
        let kept = match cache.older.remove(&key) {
            Some(kept) => {
                cache.counters.hits += 1;
                kept
            }
            None => {
                cache.counters.misses += 1;
                let verdict = Arc::new(self.sides_with(cache, world, connection));
                Kept { verdict, _ends: ends.map(held) }
            }
        };
        let verdict = Arc::clone(&kept.verdict);
        cache.keep(key, kept);
        verdict
    }

    fn sides_with(
        &self,
        cache: &mut VerdictCache,
        world: &dyn World,
        connection: &Connection<'_>,
    ) -> Verdict {
        let mut side = |direction| {
            let context = self.context(world, connection, direction);
            self.side_with(cache, &context, connection)
        };
        let (egress, ingress) = (side(Direction::Egress), side(Direction::Ingress));
        Verdict::combine(egress, ingress)
    }

    fn key(&self, connection: &Connection<'_>) -> FlowKey {
        let Connection { protocol, client, server, server_port, icmp_type, direction_guessed } = *connection;
        let is_node = |peer: &Peer| matches!(Party::from(peer), Party::Node(_));
        FlowKey {
            client: self.end_key(client.peer, client.ip, is_node(server.peer)),
            server: self.end_key(server.peer, server.ip, is_node(client.peer)),
            protocol,
            port: server_port,
            icmp_type,
            guessed: direction_guessed,
        }
    }

    fn end_key(&self, peer: &Peer, address: IpAddr, other_is_node: bool) -> EndKey {
        match peer {
            Peer::Pod(pod) => {
                let is_node = pod.identity.host_network;
                EndKey::Pod {
                    identity: Arc::as_ptr(&pod.identity).addr(),
                    node: match &pod.node {
                        Some(node) if other_is_node || is_node => Arc::as_ptr(node).addr(),
                        Some(_) | None => 0,
                    },
                    address: if is_node {
                        AddressClass::Itself(address)
                    } else {
                        self.addresses_of_pods.class(address)
                    },
                }
            }
            Peer::Node { name } => EndKey::Node { name: Arc::as_ptr(name).addr(), address },
            Peer::World => EndKey::World(address),
            Peer::Unresolved(_) => EndKey::Unresolved(address),
        }
    }

    fn side_with(
        &self,
        cache: &mut VerdictCache,
        context: &Context<'_>,
        connection: &Connection<'_>,
    ) -> SideVerdict {
        if let Some(settled) = self.settled(context) {
            return settled;
        }
        let subject = match context.side.direction {
            Direction::Egress => connection.client.peer,
            Direction::Ingress => connection.server.peer,
        };
        let Peer::Pod(pod) = subject else { return self.side(context, connection.direction_guessed) };
        if pod.identity.host_network {
            return self.side(context, connection.direction_guessed);
        }
        let program = self.program(cache, context, &pod.identity);
        let mut candidates = mem::take(&mut cache.candidates);
        let selecting: Vec<(&Entry, Match)> = if program.index.candidates(context, &mut candidates) {
            candidates.iter().map(|position| with_match(&program.entries[*position as usize])).collect()
        } else {
            program.entries.iter().map(with_match).collect()
        };
        cache.candidates = candidates;
        let decision = self.decide(context, &selecting, program.standing);
        let isolating = || Arc::clone(&program.isolating);
        self.verdict(context, &decision, &isolating, connection.direction_guessed)
    }

    fn program(
        &self,
        cache: &mut VerdictCache,
        context: &Context<'_>,
        identity: &Arc<Identity>,
    ) -> Arc<Program> {
        let direction = context.side.direction;
        let key = (Arc::as_ptr(identity).addr(), direction);
        if let Some(selected) = cache.programs.get(&key) {
            return Arc::clone(&selected.program);
        }
        if cache.programs.len() >= 2 * PROGRAMS_MAX {
            cache.forget();
        }
        let runs: Vec<(&[Entry], Match)> = self
            .directed(direction)
            .of(&identity.namespace)
            .filter_map(|entries| {
                let selects = entries.first()?.rule.subject.selects(identity, context);
                selects.is_possible().then_some((entries, selects))
            })
            .collect();
        let address =
            |entries: &[Entry]| entries.first().map_or(0, |entry| Arc::as_ptr(&entry.rule.subject).addr());
        let subjects: Subjects = runs.iter().map(|(entries, selects)| (address(entries), *selects)).collect();
        let program = match cache.shared.get(&(direction, Arc::clone(&subjects))) {
            Some(program) => Arc::clone(program),
            None => {
                let program = Arc::new(self.select(&runs));
                cache.shared.insert((direction, subjects), Arc::clone(&program));
                program
            }
        };
        let selected = Selected { identity: Arc::clone(identity), program: Arc::clone(&program) };
        cache.programs.insert(key, selected);
        program
    }

    /// All rules of those subjects.
    fn select(&self, runs: &[(&[Entry], Match)]) -> Program {
        let entries: Box<[(Entry, Match)]> = runs
            .iter()
            .flat_map(|(entries, selects)| entries.iter().map(|entry| (entry.clone(), *selects)))
            .collect();
        let all: Vec<_> = entries.iter().map(with_match).collect();
        let isolating = all.iter().map(|(entry, _)| *entry).filter(|entry| entry.rule.isolates);
        Program {
            index: PeerIndex::new(all.iter().map(|(entry, _)| &entry.rule.peers)),
            standing: self.standing(&all),
            isolating: policies_of(isolating),
            entries,
        }
    }
}

const fn with_match((entry, selects): &(Entry, Match)) -> (&Entry, Match) {
    (entry, *selects)
}

fn held(peer: &Peer) -> Held {
    match peer {
        Peer::Pod(pod) => Held::Pod(Arc::clone(&pod.identity), pod.node.clone()),
        Peer::Node { name } => Held::Node(Arc::clone(name)),
        Peer::World | Peer::Unresolved(_) => Held::Nothing,
    }
}
