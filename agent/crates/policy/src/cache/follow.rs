//! From one set of policies to the next: what is remembered of those that no change is about stays true.

use std::collections::HashSet;
use std::sync::Arc;

use watchfire_model::{Dialect, Direction};

use super::{EndKey, FlowKey, Subjected, VerdictCache};
use crate::classes::AddressClasses;
use crate::rule::Subject;
use crate::set::Token;
use crate::side::Context;
use crate::{CiliumOptions, Policy, PolicySet};

/// Most changed policies that are followed: beyond, forgetting everything is less work.
const CHANGES_MAX: usize = 64;

/// The policies by which what is remembered was judged.
#[derive(Debug)]
pub(super) struct JudgedBy {
    token: Arc<Token>,
    dialect: Dialect,
    options: Arc<CiliumOptions>,
    policies: Arc<[Arc<Policy>]>,
    addresses_of_pods: AddressClasses,
    /// Whether no rule selects anyone, in ingress and in egress.
    is_empty: [bool; 2],
}

impl JudgedBy {
    fn new(set: &PolicySet) -> Self {
        Self {
            token: Arc::clone(&set.token),
            dialect: set.dialect,
            options: Arc::clone(&set.options),
            policies: Arc::clone(set.shared_policies()),
            addresses_of_pods: set.addresses_of_pods.clone(),
            is_empty: [Direction::Ingress, Direction::Egress].map(|way| set.directed(way).is_empty()),
        }
    }

    pub(super) fn is(&self, set: &PolicySet) -> bool {
        Arc::ptr_eq(&self.token, &set.token)
    }

    /// The policies that only one of the two has; none where it takes more than those to tell what has changed.
    fn changes<'a>(&'a self, next: &'a Self) -> Option<Vec<&'a Arc<Policy>>> {
        let is_comparable = self.dialect == next.dialect
            && self.options == next.options
            && self.is_empty == next.is_empty
            && self.addresses_of_pods == next.addresses_of_pods;
        if !is_comparable {
            return None;
        }
        // Both are in the order of their references.
        let (mut old, mut new) = (self.policies.iter().peekable(), next.policies.iter().peekable());
        let mut changes = Vec::new();
        while changes.len() <= CHANGES_MAX {
            match (old.peek(), new.peek()) {
                (None, None) => return Some(changes),
                (Some(one), Some(other)) if Arc::ptr_eq(one, other) => {
                    old.next();
                    new.next();
                }
                (Some(one), Some(other)) if one.reference() == other.reference() => {
                    changes.extend(old.next());
                    changes.extend(new.next());
                }
                (Some(one), Some(other)) if one.reference() < other.reference() => changes.extend(old.next()),
                (Some(_), None) => changes.extend(old.next()),
                (_, Some(_)) => changes.extend(new.next()),
            }
        }
        None
    }
}

impl VerdictCache {
    /// Goes on with another set. `context` tells of the world, which is the same for all that is remembered.
    pub(super) fn follow(&mut self, set: &PolicySet, context: &Context<'_>) {
        let next = JudgedBy::new(set);
        let changes = self.judged_by.as_ref().and_then(|before| before.changes(&next));
        let subjects = changes.and_then(|changes| subjects(&changes, set.dialect));
        match subjects {
            Some(subjects) => self.forget_selected(&subjects, context),
            None => self.forget(),
        }
        self.judged_by = Some(next);
    }

    fn forget_selected(&mut self, subjects: &[(Arc<Subject>, Direction)], context: &Context<'_>) {
        let mut selected: HashSet<Subjected> = HashSet::new();
        self.programs.retain(|&(identity, direction), known| {
            let is_selected = subjects.iter().any(|(subject, way)| {
                let namespace = subject.namespace();
                *way == direction
                    && namespace.is_none_or(|namespace| *namespace == *known.identity.namespace)
                    && subject.selects(&known.identity, context).is_possible()
            });
            if is_selected {
                selected.insert((identity, direction));
            }
            !is_selected
        });
        if !selected.is_empty() {
            let stays = |key: &FlowKey| {
                let is_of = |end: &EndKey, direction| match end {
                    EndKey::Pod { identity, .. } => selected.contains(&(*identity, direction)),
                    EndKey::Node { .. } | EndKey::World(_) | EndKey::Unresolved(_) => false,
                };
                !is_of(&key.client, Direction::Egress) && !is_of(&key.server, Direction::Ingress)
            };
            self.verdicts.retain(|key, _| stays(key));
            self.older.retain(|key, _| stays(key));
        }
        // Those of sets that are gone.
        self.shared.retain(|_, program| Arc::strong_count(program) > 1);
    }
}

/// Whom the policies are about, in which direction; none where that is more than pods.
fn subjects(policies: &[&Arc<Policy>], dialect: Dialect) -> Option<Vec<(Arc<Subject>, Direction)>> {
    let mut subjects: Vec<(Arc<Subject>, Direction)> = Vec::new();
    for policy in policies {
        if policy.group().is_some() {
            return None;
        }
        for rule in policy.rules(dialect).iter() {
            if matches!(*rule.subject, Subject::Nodes { .. }) {
                return None;
            }
            let is_known = |(subject, way): &(_, Direction)| {
                Arc::ptr_eq(subject, &rule.subject) && *way == rule.direction
            };
            if !subjects.iter().rev().any(is_known) {
                subjects.push((Arc::clone(&rule.subject), rule.direction));
            }
        }
    }
    Some(subjects)
}
