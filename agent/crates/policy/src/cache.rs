//! Verdicts that have been given, and what is worked out once for each identity: the fast way to judge.
//!
//! Pods of one template share an identity (`Pod.identity`), and policy knows them by nothing else. So rules are selected once
//! for each identity and direction, identities that the same rules select share what follows, and a verdict is kept under the
//! identities of both ends. An address counts where a rule may look at it, a node where the other end is one.

use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Direction, ExemptReason, Identity, Peer, PolicyRef, Protocol, SideVerdict, Verdict};

use crate::connection::Party;
use crate::decision::Standing;
use crate::evaluate::is_to_itself;
use crate::index::PeerIndex;
use crate::mix::Mix;
use crate::rule::Subject;
use crate::set::{Directed, Entry, Token, policies_of};
use crate::side::Context;
use crate::{Connection, Match, PolicySet, World};

/// Most verdicts that are kept: of two halves the older is dropped when the newer is full.
const VERDICTS_MAX: usize = 65_536;
/// Most identities for which rules are kept selected.
const PROGRAMS_MAX: usize = 65_536;

/// Memory of the thread that judges. It forgets by itself when the policies are others, and has to be told when anything else
/// changes that a `World` says.
#[derive(Default, Debug)]
pub struct VerdictCache {
    token: Option<Arc<Token>>,
    verdicts: HashMap<FlowKey, Kept, Mix>,
    older: HashMap<FlowKey, Kept, Mix>,
    programs: HashMap<(usize, Direction), Arc<Program>, Mix>,
    shared: HashMap<(Direction, Selecting), Arc<Program>>,
    /// Identities by whose addresses programs are found: as long as they are held, no other has that address.
    held: Vec<Arc<Identity>>,
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

/// Positions of the rules that select an identity, each with how certain that is.
type Selecting = Arc<[(u32, Match)]>;

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
    Pod { identity: usize, node: usize, address: Option<IpAddr> },
    Node { name: usize, address: IpAddr },
    World(IpAddr),
    Unresolved(IpAddr),
}

/// The rules that select an identity in one direction.
#[derive(Debug)]
struct Program {
    entries: Selecting,
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
        *self = Self { token: self.token.take(), counters: self.counters, ..Self::default() };
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
        if !cache.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, &self.token)) {
            cache.forget();
            cache.token = Some(Arc::clone(&self.token));
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
                    address: (is_node || self.looks_at_addresses_of_pods).then_some(address),
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
        let Peer::Pod(pod) = subject else { return SideVerdict::NotCovered };
        let program = self.program(cache, context, &pod.identity);
        let entries = &self.directed(context.side.direction).entries;
        let at = |&(position, selects): &(u32, Match)| (&entries[position as usize], selects);
        let mut candidates = mem::take(&mut cache.candidates);
        let selecting: Vec<(&Entry, Match)> = if program.index.candidates(context, &mut candidates) {
            candidates.iter().map(|position| at(&program.entries[*position as usize])).collect()
        } else {
            program.entries.iter().map(at).collect()
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
        if let Some(program) = cache.programs.get(&key) {
            return Arc::clone(program);
        }
        if cache.held.len() >= 2 * PROGRAMS_MAX {
            cache.forget();
            cache.token = Some(Arc::clone(&self.token));
        }
        let directed = self.directed(direction);
        let subjects = self.subjects(context, identity);
        let program = match cache.shared.get(&(direction, Arc::clone(&subjects))) {
            Some(program) => Arc::clone(program),
            None => {
                let program = Arc::new(self.select(directed, identity, &subjects));
                cache.shared.insert((direction, subjects), Arc::clone(&program));
                program
            }
        };
        cache.held.push(Arc::clone(identity));
        cache.programs.insert(key, Arc::clone(&program));
        program
    }
}

impl PolicySet {
    /// Where in the list of rules subjects begin that the identity is of. Rules of one policy stand together and have one subject,
    /// which is asked once.
    fn subjects(&self, context: &Context<'_>, identity: &Identity) -> Selecting {
        let directed = self.directed(context.side.direction);
        let mut last: Option<&Arc<Subject>> = None;
        let mut subjects = Vec::new();
        for position in directed.positions_of(&identity.namespace) {
            let rule = &directed.entries[position as usize].rule;
            if last.is_some_and(|last| Arc::ptr_eq(last, &rule.subject)) {
                continue;
            }
            last = Some(&rule.subject);
            let selects = rule.selects(context);
            if selects.is_possible() {
                subjects.push((position, selects));
            }
        }
        subjects.into()
    }

    /// All rules of those subjects.
    fn select(&self, directed: &Directed, identity: &Identity, subjects: &Selecting) -> Program {
        let mut subjects = subjects.iter().peekable();
        let mut current: Option<(&Arc<Subject>, Match)> = None;
        let mut entries = Vec::new();
        for position in directed.positions_of(&identity.namespace) {
            let subject = &directed.entries[position as usize].rule.subject;
            if let Some((_, selects)) = subjects.next_if(|(first, _)| *first == position) {
                current = Some((subject, *selects));
            }
            match current {
                Some((own, selects)) if Arc::ptr_eq(own, subject) => entries.push((position, selects)),
                _ => current = None,
            }
        }
        let at = |&(position, selects): &(u32, Match)| (&directed.entries[position as usize], selects);
        let all: Vec<_> = entries.iter().map(at).collect();
        let isolating = all.iter().map(|(entry, _)| *entry).filter(|entry| entry.rule.isolates);
        Program {
            index: PeerIndex::new(all.iter().map(|(entry, _)| &entry.rule.peers)),
            standing: self.standing(&all),
            isolating: policies_of(isolating),
            entries: entries.into(),
        }
    }
}

fn held(peer: &Peer) -> Held {
    match peer {
        Peer::Pod(pod) => Held::Pod(Arc::clone(&pod.identity), pod.node.clone()),
        Peer::Node { name } => Held::Node(Arc::clone(name)),
        Peer::World | Peer::Unresolved(_) => Held::Nothing,
    }
}
