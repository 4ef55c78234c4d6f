//! Whatever comes, counts balance.

use proptest::prelude::*;
use watchfire_model::{FindingKind, FindingState, FlowRecord, FlowStage, Outcome, Side};

use super::{SECOND, World, at, denied_by, end, flow, not_covered, unknown};
use crate::{Detector, PAIRING_NS, Settings};

#[derive(Clone, Debug)]
enum Step {
    Flow { client_port: u16, server_port: u16, verdict: usize, is_server: bool, has_failed: bool },
    Pass { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let flow = (1..6_u16, 1..40_u16, 0..4_usize, any::<bool>(), any::<bool>()).prop_map(
        |(client_port, server_port, verdict, is_server, has_failed)| Step::Flow {
            client_port,
            server_port,
            verdict,
            is_server,
            has_failed,
        },
    );
    let pass = (0..5000_u64).prop_map(|seconds| Step::Pass { seconds });
    prop::collection::vec(prop_oneof![9 => flow, 1 => pass], 0..300)
}

proptest! {
    /// Whatever comes, and however little room there is, all that is told adds up to what was counted.
    #[test]
    fn counts_balance(steps in steps(), roll_ups_max in 0..20_usize) {
        let verdicts = [denied_by(&["deny"]), denied_by(&["deny", "db"]), not_covered(), unknown()];
        let mut detector = Detector::new(Settings { roll_ups_max, ..Settings::default() });
        let mut now = 0;
        let (mut told, mut singles) = (Vec::new(), [0_u64; 2]);
        // Pairs of ends that still wait, by what they are, as plainly as can be.
        let mut waiting: Vec<(u16, u16, usize, bool, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Pass { seconds } => {
                    now += seconds;
                    told.extend(detector.expire(now * SECOND));
                }
                Step::Flow { client_port, server_port, verdict, is_server, has_failed } => {
                    let record = FlowRecord {
                        stage: if has_failed { FlowStage::Failed } else { FlowStage::Open },
                        side: if is_server { Side::Server } else { Side::Client },
                        server: end(&format!("10.0.0.2:{server_port}"), "shop/db"),
                        ..flow(client_port, verdicts[verdict].clone())
                    };
                    told.extend(detector.flow(&record, at(now), &World));
                    let kind = match record.verdict.outcome {
                        Outcome::Denied => 0,
                        Outcome::NotCovered => 1,
                        _ => continue,
                    };
                    // Any end of the same connection that came last decides for how long all of them wait.
                    let is_same = |entry: &(u16, u16, usize, bool, u64)| {
                        (entry.0, entry.1, entry.2) == (client_port, server_port, kind)
                    };
                    let is_late = waiting.iter().filter(|entry| is_same(entry))
                        .all(|entry| (now - entry.4) * SECOND >= PAIRING_NS);
                    if is_late {
                        waiting.retain(|entry| !is_same(entry));
                    }
                    match waiting.iter().position(|entry| is_same(entry) && entry.3 != is_server) {
                        Some(other) => {
                            waiting.remove(other);
                            waiting.iter_mut().filter(|entry| is_same(entry)).for_each(|entry| entry.4 = now);
                        }
                        None => {
                            singles[kind] += 1;
                            waiting.push((client_port, server_port, kind, is_server, now));
                        }
                    }
                }
            }
        }
        let open = detector.open();
        prop_assert!(open <= roll_ups_max + FindingKind::ALL.len());
        told.extend(detector.finish());
        for (kind, expected) in [FindingKind::PolicyViolation, FindingKind::UncoveredFlow].into_iter().zip(singles) {
            let of_kind = || told.iter().filter(|finding| finding.kind == kind);
            let by_steps: u64 = of_kind().map(|finding| finding.count_new).sum();
            let ended = of_kind().filter(|finding| finding.state == FindingState::Ended);
            let by_last: u64 = ended.map(|finding| finding.count).sum();
            prop_assert_eq!((by_steps, by_last), (expected, expected), "{}", kind);
        }
        let begun = told.iter().filter(|finding| finding.state == FindingState::New).count();
        let ended = told.iter().filter(|finding| finding.state == FindingState::Ended).count();
        prop_assert_eq!(begun, ended);
    }
}
