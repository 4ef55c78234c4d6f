//! `watchfire policy suggest`: policies that allow what was observed and nothing else.

mod cilium;
mod k8s;
mod outside;
mod plan;
mod select;
mod yaml;

use std::process::ExitCode;

use anyhow::{Result, bail};
use watchfire_model::{Dialect, Outcome, Protocol};
use watchfire_policy::parse_documents;

use self::plan::{Plan, Suggestion};
use super::flows::{FlowArgs, Flows, Seen};
use super::groups::Group;
use super::options::{DialectChoice, StateArgs};
use super::output::{party_text, port_text, write};
use super::state::State;

/// Most flows that an error names.
const NAMED_MAX: usize = 5;

/// Arguments of `policy suggest`.
#[derive(clap::Args, Debug)]
pub(super) struct SuggestArgs {
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    flows: FlowArgs,
    /// Namespace whose workloads policies are wanted for
    #[arg(short, long)]
    namespace: String,
    /// Allow connections that were tried and never established as well
    #[arg(long)]
    with_failed: bool,
}

/// Prints policies, or nothing but an error.
pub(super) fn run(args: &SuggestArgs) -> Result<ExitCode> {
    let mut state = args.state.read()?;
    let dialect = match args.state.dialect {
        DialectChoice::Auto => state.set.dialect(),
        DialectChoice::K8s => Dialect::K8s,
        DialectChoice::Cilium => Dialect::Cilium,
    };
    let flows = args.flows.read(&mut state)?;
    if !state.pods.keys().any(|(namespace, _)| *namespace == args.namespace) {
        bail!("-n {}: no pod of this namespace is known", args.namespace);
    }
    write(&suggested(&state, &flows, &args.namespace, dialect, args.with_failed)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The policies as YAML, of which it is made sure that they deny none of the flows that they are made from.
pub(super) fn suggested(
    state: &State,
    flows: &Flows,
    namespace: &str,
    dialect: Dialect,
    with_failed: bool,
) -> Result<String> {
    let used: Vec<&Seen> = flows.seen.iter().filter(|seen| is_used(seen, namespace, with_failed)).collect();
    if used.is_empty() {
        bail!("-n {namespace}: no flow has a pod of this namespace at an end");
    }
    let suggestion = Suggestion::of(state, &used, namespace, dialect);
    if suggestion.plans.is_empty() {
        bail!("-n {namespace}: no workload can be selected by labels that only it has");
    }
    let text = text(state, flows, &used, &suggestion, namespace, dialect, with_failed);
    let parsed = parse_documents("suggestion", &text);
    if let Some(rejection) = parsed.rejected.first() {
        bail!("the suggestion is not valid, and not printed: {rejection}");
    }
    let set = state.set_in(dialect, parsed.policies.iter().cloned());
    let denied: Vec<_> = (used.iter())
        .map(|seen| (*seen, state.judge(&set, &seen.talk)))
        .filter(|(_, verdict)| verdict.outcome == Outcome::Denied)
        .map(|(seen, verdict)| {
            let talk = &seen.talk;
            let port = port_text(talk.protocol, talk.port, talk.icmp_type);
            format!(
                "{} → {} {port}: {}",
                party_text(&talk.client),
                party_text(&talk.server),
                verdict.because()
            )
        })
        .collect();
    if !denied.is_empty() {
        bail!(
            "the suggestion would deny {} of the observed connections, and is not printed: {}",
            denied.len(),
            denied.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ")
        );
    }
    Ok(text)
}

/// Whether a flow is about the namespace and says what is wanted: it was seen to begin, and came about.
fn is_used(seen: &Seen, namespace: &str, with_failed: bool) -> bool {
    is_about(seen, namespace)
        && is_telling(seen)
        && (seen.established || with_failed || is_datagram(seen.talk.protocol))
}

fn is_about(seen: &Seen, namespace: &str) -> bool {
    let ends = [&seen.talk.client, &seen.talk.server];
    ends.iter().any(|end| Group::of(end).namespace() == Some(namespace))
}

/// Whether a rule can be made of a flow: not of one whose direction was guessed, nor of ICMP without its type, nor of
/// protocols that policies do not name.
fn is_telling(seen: &Seen) -> bool {
    !seen.talk.guessed
        && match seen.talk.protocol {
            Protocol::Tcp | Protocol::Udp | Protocol::Sctp => true,
            Protocol::Icmp | Protocol::Icmpv6 => seen.talk.icmp_type.is_some(),
            _ => false,
        }
}

/// Of datagrams nothing tells whether they came about.
const fn is_datagram(protocol: Protocol) -> bool {
    !matches!(protocol, Protocol::Tcp)
}

fn text(
    state: &State,
    flows: &Flows,
    used: &[&Seen],
    suggestion: &Suggestion,
    namespace: &str,
    dialect: Dialect,
    with_failed: bool,
) -> String {
    let count: u64 = used.iter().map(|seen| seen.flows).sum();
    let first = used.iter().map(|seen| seen.first).min();
    let last = used.iter().map(|seen| seen.last).max();
    let span = first.zip(last).map(|(first, last)| format!(", {first} to {last}")).unwrap_or_default();
    let mut text = format!("# Suggested from {count} flows of namespace {namespace}{span}.\n");
    text += "# Replayed against these policies, none of them is denied.\n";
    let denied: u64 = (used.iter())
        .filter(|seen| state.judge(&state.set, &seen.talk).outcome == Outcome::Denied)
        .map(|seen| seen.flows)
        .sum();
    if denied > 0 {
        text += &format!("# {denied} of them are denied by the policies in force, and would be allowed.\n");
    }
    let is_left_out = |seen: &&Seen| is_used(seen, namespace, true) && !is_used(seen, namespace, with_failed);
    let failed: u64 = flows.seen.iter().filter(is_left_out).map(|seen| seen.flows).sum();
    if failed > 0 {
        text += &format!(
            "# Left out: {failed} connections that were never established (--with-failed allows them).\n"
        );
    }
    let is_mute = |seen: &&Seen| is_about(seen, namespace) && !is_telling(seen);
    let mute: u64 = flows.seen.iter().filter(is_mute).map(|seen| seen.flows).sum();
    if mute > 0 {
        text += &format!(
            "# Left out: {mute} flows whose direction was guessed, or of protocols or ICMP types that cannot be named.\n"
        );
    }
    for note in &suggestion.notes {
        text += &format!("# {note}\n");
    }
    for plan in &suggestion.plans {
        let Plan { workload, flows, .. } = plan;
        text += &format!("---\n# {workload}: {flows} flows\n");
        let object = match dialect {
            Dialect::K8s => k8s::policy(plan, namespace),
            Dialect::Cilium => cilium::policy(plan, namespace),
        };
        text += &object.text();
    }
    text
}

#[cfg(test)]
mod tests;
