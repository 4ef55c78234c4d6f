//! Flows that go on when other policies come into force: they are judged again, a part of them at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use watchfire_model::{FlowStage, Outcome, Record, RecordBody, VerdictAt};

use super::Stages;
use super::judge::mesh_views;
use super::open_flows::{Hello, Judged, Kept, Key, Now, Said};
use crate::knowledge::Epoch;

/// Most flows that are judged again at a time, so that observations are not held up.
pub(crate) const REJUDGED_AT_ONCE_MAX: usize = 4096;
/// Most flows that are told of as changed at a time: a record costs more than a verdict.
pub(crate) const CHANGED_AT_ONCE_MAX: usize = 256;

/// How many times as long as a walk over all open flows took the next one has to wait, so that policies which change all the
/// time cost the thread a tenth of its time.
const PASS_COST_TIMES: u32 = 9;

/// Where judging again stands.
#[derive(Default, Debug)]
pub(super) struct Rejudging {
    /// The policies that all flows have been judged by, or are being judged by.
    epoch: u64,
    pass: Option<Pass>,
    /// When the next walk may begin.
    after: Option<Instant>,
    counts: RejudgeCounts,
}

/// A walk over all open flows.
#[derive(Debug)]
struct Pass {
    after: Option<Key>,
    /// The policies that were in force when it began.
    begun_with: u64,
    took: Duration,
}

/// What judging again has come to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct RejudgeCounts {
    /// Flows that were judged again.
    pub(crate) judged: u64,
    /// Of these, flows whose outcome changed.
    pub(crate) changed: u64,
    /// Walks over all open flows.
    pub(crate) passes: u64,
}

impl Rejudging {
    pub(super) const fn counts(&self) -> RejudgeCounts {
        self.counts
    }

    /// Whether flows are being judged again.
    pub(super) const fn is_walking(&self) -> bool {
        self.pass.is_some()
    }

    /// Whether flows are to be judged again by this set of policies.
    pub(super) const fn is_behind(&self, epoch: u64) -> bool {
        self.is_walking() || self.epoch != epoch
    }
}

impl Stages {
    /// Whether policies have changed by which not everything is judged yet.
    pub(super) fn is_unsettled(&self) -> bool {
        let Self { knowledge, rejudging, .. } = self;
        knowledge.is_unsettled() || rejudging.is_behind(knowledge.epoch().number)
    }

    /// Judges a part of the open flows again, if policies have changed since. To be called often.
    pub(crate) fn rejudge(&mut self, now: Instant, records: &mut Vec<Record>) {
        let epoch = Arc::clone(self.knowledge.epoch());
        let may_begin = self.rejudging.after.is_none_or(|after| after <= now);
        if self.rejudging.epoch != epoch.number && self.rejudging.pass.is_none() && may_begin {
            self.rejudging.epoch = epoch.number;
            let pass = Pass { after: None, begun_with: epoch.number, took: Duration::ZERO };
            self.rejudging.pass = (self.flows.len() > 0).then_some(pass);
        }
        let Some(pass) = &self.rejudging.pass else { return };
        let begun = Instant::now();
        let kept = self.flows.following(pass.after.as_ref(), REJUDGED_AT_ONCE_MAX);
        let is_last = kept.len() < REJUDGED_AT_ONCE_MAX;
        let mut changed = 0;
        let mut last = None;
        for flow in &kept {
            if changed == CHANGED_AT_ONCE_MAX {
                break;
            }
            last = Some(flow.key);
            changed += usize::from(self.rejudge_one(&epoch, flow, records));
        }
        let is_through = is_last && last == kept.last().map(|flow| flow.key);
        let Some(pass) = &mut self.rejudging.pass else { return };
        pass.took += begun.elapsed();
        if !is_through {
            pass.after = last;
            return;
        }
        // Those at the beginning may have been judged by policies that are in force no more: then all are to be once more.
        self.rejudging.epoch = pass.begun_with;
        self.rejudging.after = now.checked_add(pass.took.saturating_mul(PASS_COST_TIMES));
        self.rejudging.counts.passes += 1;
        self.rejudging.pass = None;
    }

    /// Judges an open flow by the policies in force. Answers whether it now is another outcome, which is told.
    pub(super) fn rejudge_one(&mut self, epoch: &Arc<Epoch>, kept: &Kept, records: &mut Vec<Record>) -> bool {
        let Kept { key, said, hello, opened_boot_ns } = kept;
        let Judged { ends, led, verdict: at_start, mesh: mesh_at_start, .. } = &*said.judged;
        let judged_by = said.now.as_ref().map_or(said.epoch, |now| now.epoch);
        // Of one that may have gone to any of several pods, all of them count.
        let has_ends = led.as_ref().is_none_or(|led| led.backend.address.is_some());
        if epoch.number == judged_by || has_ends && !self.knowledge.epochs().may_differ(judged_by, ends) {
            return false;
        }
        self.rejudging.counts.judged += 1;
        let flow = kept.flow();
        let verdict = self.judge_by().verdict(epoch, &flow, ends, led.as_ref());
        let mesh = mesh_views(epoch, &flow, ends, led.as_ref());
        let (before, mesh_before) =
            said.now.as_ref().map_or((at_start, mesh_at_start), |now| (&now.verdict, &now.mesh));
        let seen = |mesh: &Option<_>| outcome(mesh.as_ref(), hello);
        let is_changed = before.outcome != verdict.outcome || seen(mesh_before) != seen(&mesh);
        let is_stale = said.is_stale || self.knowledge.is_stale(*opened_boot_ns, ends);
        if !is_changed {
            if is_stale != said.is_stale {
                self.flows.say(key, Said { is_stale, ..Said::clone(said) });
            }
            return false;
        }
        self.rejudging.counts.changed += 1;
        let now = Now { epoch: epoch.number, verdict, mesh };
        let changed = Said { is_stale, now: Some(Arc::new(now)), ..Said::clone(said) };
        let mut record = self.flow_record(&flow, FlowStage::VerdictChanged, &changed, hello, None);
        record.judgement.previous = Some(Box::new(said.latest(hello)));
        if let Some(now) = record.judgement.verdict_now.take() {
            let VerdictAt { policy_epoch, verdict, because, mesh } = *now;
            (record.verdict, record.because) = (verdict, because);
            (record.judgement.policy_epoch, record.judgement.mesh) = (policy_epoch, mesh);
        }
        record.judgement.dialect = epoch.dialect;
        self.flows.say(key, changed);
        // It came to be when the policies did, or with the flow that was told of late.
        let at_ns = epoch.since_ns.max(*opened_boot_ns);
        let found = self.find_by(&epoch.set, &flow, &said.judged, &record, at_ns);
        records.push(self.record(at_ns, RecordBody::Flow(Box::new(record))));
        records.extend(found);
        true
    }
}

impl Said {
    /// What was said last.
    pub(super) fn latest(&self, hello: &Hello) -> VerdictAt {
        match &self.now {
            Some(now) => now.view(hello),
            None => VerdictAt {
                policy_epoch: self.epoch,
                verdict: self.judged.verdict.as_ref().clone(),
                because: self.judged.verdict.because(),
                mesh: self.judged.mesh.as_ref().and_then(|mesh| mesh.seen(hello, false)),
            },
        }
    }
}

impl Now {
    pub(super) fn view(&self, hello: &Hello) -> VerdictAt {
        VerdictAt {
            policy_epoch: self.epoch,
            verdict: self.verdict.as_ref().clone(),
            because: self.verdict.because(),
            mesh: self.mesh.as_ref().and_then(|mesh| mesh.seen(hello, false)),
        }
    }
}

fn outcome(mesh: Option<&super::mesh::MeshViews>, hello: &Hello) -> Option<Outcome> {
    mesh?.seen(hello, false).map(|view| view.outcome)
}
