//! `watchfire policy explain`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use watchfire_model::{Direction, Outcome, Protocol, SideVerdict, Verdict};
use watchfire_policy::{Considered, Explanation, Match, RuleTrial, Verb};

use super::options::{Format, StateArgs};
use super::output::{
    match_name, party_text, peer_path, placed, policy_json, port_path, port_text, rule_json, rule_path, side,
    side_name, write, write_json,
};
use super::state::{State, Talk};
use super::target;

/// Arguments of `policy explain`.
#[derive(clap::Args, Debug)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Who connects: NAMESPACE/POD, a node or an address
    #[arg(long, value_name = "WHO")]
    from: String,
    /// Who is connected to: NAMESPACE/POD, NAMESPACE/SERVICE, a node, an address or a DNS name
    #[arg(long, value_name = "WHO")]
    to: String,
    /// Port at the server; the type of the message for ICMP
    #[arg(long, value_name = "NUMBER")]
    port: u16,
    /// Protocol
    #[arg(long, value_name = "PROTOCOL", default_value = "TCP", value_parser = protocol)]
    protocol: Protocol,
    /// Tell of every policy that selects an end, and how each of its rules fared
    #[arg(long)]
    all: bool,
    /// Exit with 1 unless this is the answer
    #[arg(long, value_enum, value_name = "OUTCOME")]
    expect: Option<Expected>,
    /// How to show the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Expected {
    /// Allowed, or not covered by any policy
    Allow,
    /// Denied
    Deny,
}

impl Expected {
    const fn is_met_by(self, outcome: Outcome) -> bool {
        matches!(
            (self, outcome),
            (Self::Allow, Outcome::Allowed | Outcome::NotCovered) | (Self::Deny, Outcome::Denied)
        )
    }
}

fn protocol(text: &str) -> Result<Protocol, String> {
    text.parse().map_err(|_| "expected TCP, UDP, SCTP, ICMP or ICMPv6".to_owned())
}

/// Answers; what is denied is an answer as good as another.
pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let mut state = args.state.read()?;
    let answer = Answer::new(args, &mut state)?;
    match args.output {
        Format::Text => write(&answer.text(&state, args.all))?,
        Format::Json => write_json(&answer.json(&state))?,
    }
    let is_met = args.expect.is_none_or(|expected| expected.is_met_by(answer.verdict.outcome));
    Ok(if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An answer: one explanation for each address that the server may have.
pub(super) struct Answer {
    notes: Vec<String>,
    verdict: Verdict,
    explained: Vec<(Talk, Explanation)>,
}

impl Answer {
    fn new(args: &ExplainArgs, state: &mut State) -> Result<Self> {
        let ExplainArgs { from, to, port, protocol, .. } = args;
        let is_icmp = matches!(protocol, Protocol::Icmp | Protocol::Icmpv6);
        let icmp_type = if is_icmp { Some(u8::try_from(*port)?) } else { None };
        if *port == 0 && !is_icmp {
            bail!("--port 0: expected a port from 1 to 65535");
        }
        let server = target::server(state, to, *port, *protocol)?;
        let client = target::client(state, from)?;
        let notes = client.note.into_iter().chain(server.note).collect();
        let (client, _) = &client.ends[0];
        let explained: Vec<_> = (server.ends.into_iter())
            .map(|(server, backend)| {
                let port = if is_icmp { 0 } else { backend.unwrap_or(*port) };
                let (client, protocol) = (client.clone(), *protocol);
                let talk = Talk { client, server, protocol, port, icmp_type, guessed: false };
                let explanation = state.explain(&state.set, &talk);
                (talk, explanation)
            })
            .collect();
        let verdicts = explained.iter().map(|(_, explanation)| explanation.verdict.clone());
        let Some(verdict) = Verdict::common(verdicts) else { bail!("--to {to}: no address is known") };
        Ok(Self { notes, verdict, explained })
    }

    fn text(&self, state: &State, all: bool) -> String {
        let mut text = String::new();
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        for (talk, explanation) in &self.explained {
            text += &format!(
                "{} → {} {}: {}\n",
                party_text(&talk.client),
                party_text(&talk.server),
                port_text(talk.protocol, talk.port, talk.icmp_type),
                explanation.verdict.outcome,
            );
            for direction in [Direction::Egress, Direction::Ingress] {
                let who = if direction == Direction::Egress { &talk.client } else { &talk.server };
                let subject = party_text(who);
                let verdict = side(&explanation.verdict, direction);
                text += &format!("  {direction} of {subject}: {}\n", side_name(verdict));
                for line in reasons(state, explanation, direction) {
                    text += &format!("    {line}\n");
                }
                if all {
                    for line in considered(state, explanation, direction) {
                        text += &format!("    {line}\n");
                    }
                }
            }
        }
        if self.explained.len() > 1 {
            text += &format!("all together: {} {}\n", self.verdict.outcome, self.verdict.because());
        }
        text
    }

    fn json(&self, state: &State) -> Value {
        let explained: Vec<_> =
            self.explained.iter().map(|(talk, explanation)| one(state, talk, explanation)).collect();
        json!({
            "outcome": self.verdict.outcome, "because": self.verdict.because(),
            "dialect": state.set.dialect(), "notes": self.notes, "connections": explained,
        })
    }
}

/// Why a direction says what it says.
fn reasons(state: &State, explanation: &Explanation, direction: Direction) -> Vec<String> {
    match side(&explanation.verdict, direction) {
        SideVerdict::Allow { rule } | SideVerdict::DenyRule { rule } => {
            let mut lines = vec![format!("by {} {}", placed(state, &rule.policy), peer_path(rule))];
            lines.extend(port_path(rule).map(|path| format!("   and {path}")));
            for (is_so, what) in [
                (
                    rule.detail.needs_l7,
                    "as far as what is said passes its rules for that, which are not judged",
                ),
                (rule.detail.needs_auth, "once both ends have authenticated each other"),
                (
                    rule.detail.unresolved_service,
                    "because the service that it names is not found, so that it means anyone",
                ),
            ] {
                if is_so {
                    lines.push(what.to_owned());
                }
            }
            lines
        }
        SideVerdict::DenyDefault { isolating } => {
            let mut lines: Vec<_> =
                isolating.iter().map(|policy| format!("isolated by {}", placed(state, policy))).collect();
            if isolating.is_empty() {
                lines.push("isolated by Cilium's setting `policy-enforcement: always`".to_owned());
            }
            match explanation.nearest(direction) {
                Some(near) => {
                    lines.push(format!(
                        "nearest: {} {}",
                        placed(state, &near.rule.policy),
                        rule_path(&near.rule)
                    ));
                    lines.extend(near.differences.iter().map(|difference| format!("  {difference}")));
                }
                None => lines.push("no rule comes near".to_owned()),
            }
            lines
        }
        SideVerdict::NotCovered => vec!["no policy isolates it in this direction".to_owned()],
        other => vec![other.to_string()],
    }
}

fn trials(explanation: &Explanation, direction: Direction) -> &[Considered] {
    match direction {
        Direction::Egress => &explanation.egress,
        Direction::Ingress => &explanation.ingress,
    }
}

fn considered(state: &State, explanation: &Explanation, direction: Direction) -> Vec<String> {
    let mut lines = Vec::new();
    for policy in trials(explanation, direction) {
        lines.push(format!("selected by {}", placed(state, &policy.policy)));
        if policy.rules.is_empty() {
            lines.push(format!("  no {direction} rules"));
        }
        for trial in &policy.rules {
            lines.push(format!("  {}: {trial}", rule_path(&trial.rule)));
            lines.extend(trial.differences.iter().map(|difference| format!("    {difference}")));
        }
    }
    lines
}

fn one(state: &State, talk: &Talk, explanation: &Explanation) -> Value {
    json!({
        "from": party_text(&talk.client), "to": party_text(&talk.server), "address": talk.server.ip,
        "protocol": talk.protocol, "port": talk.port, "icmp_type": talk.icmp_type,
        "outcome": explanation.verdict.outcome, "because": explanation.verdict.because(),
        "egress": side_json(state, explanation, Direction::Egress),
        "ingress": side_json(state, explanation, Direction::Ingress),
    })
}

fn side_json(state: &State, explanation: &Explanation, direction: Direction) -> Value {
    let verdict = side(&explanation.verdict, direction);
    let considered: Vec<_> = (trials(explanation, direction).iter())
        .map(|policy| {
            let rules: Vec<_> = policy.rules.iter().map(|trial| trial_json(state, trial)).collect();
            json!({ "policy": policy_json(state, &policy.policy), "rules": rules })
        })
        .collect();
    let mut told = json!({
        "verdict": serde_json::to_value(verdict).ok().and_then(|value| value.get("verdict").cloned()),
        "considered": considered,
    });
    match verdict {
        SideVerdict::Allow { rule } | SideVerdict::DenyRule { rule } => told["rule"] = rule_json(state, rule),
        SideVerdict::DenyDefault { isolating } => {
            told["isolating"] = isolating.iter().map(|policy| policy_json(state, policy)).collect();
            told["nearest"] =
                explanation.nearest(direction).map_or(Value::Null, |near| trial_json(state, near));
        }
        SideVerdict::NotCovered => {}
        other => told["reason"] = other.to_string().into(),
    }
    told
}

fn trial_json(state: &State, trial: &RuleTrial) -> Value {
    let verb = match trial.verb {
        Verb::Allows => "allow",
        Verb::Denies => "deny",
        Verb::Passes => "pass",
    };
    let unknown = |found: Match| match found {
        Match::Unknown(reason) => Some(reason.as_str()),
        Match::Yes | Match::No => None,
    };
    json!({
        "rule": rule_json(state, &trial.rule), "verb": verb,
        "peer": match_name(trial.peer), "port": match_name(trial.port),
        "unknown": unknown(trial.peer).or(unknown(trial.port)),
        "differences": trial.differences,
    })
}
