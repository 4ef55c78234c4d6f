//! What is answered to who asks over the observe socket.

use watchfire_export::{Answer, Ask, StateOf};

use super::Stages;

impl Stages {
    /// Answers a question. What the answer is made of is collected here; it is written where it is sent.
    pub(super) fn answer(&mut self, ask: &Ask, now_boot_ns: u64) -> Answer {
        let value = match ask {
            Ask::Who(who) => serde_json::to_value(self.who(who, now_boot_ns)),
            Ask::State(StateOf::Policy) => return self.policy_state(),
            Ask::State(StateOf::Policies) => return self.policies_in_force(),
            Ask::State(StateOf::Candidates) => {
                self.note_candidates();
                serde_json::to_value(self.detector.candidate_report())
            }
        };
        Box::new(value.into_iter())
    }
}
