//! `demo`: builds the agent, starts it, lets the lab's pods talk, and shows what the agent saw.

mod agent;
mod findings;
mod flows;
mod processes;
mod responder;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::{self, Step, wait_until};
use crate::{build, lab};
use agent::Agent;

const ROUNDS: usize = 3;
const RECORDS_LIMIT: Duration = Duration::from_secs(20);

/// Arguments of `demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the agent and the lab running
    #[arg(long)]
    keep: bool,
    /// An agent that is built already: what this task passes to itself when it goes on as root
    #[arg(long, hide = true)]
    agent: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let agent = match &args.agent {
        Some(agent) => agent.clone(),
        None => {
            lab::fetch_tools()?;
            build::kernel_programs()?;
            build::agent(false)?
        }
    };
    if !process::is_root() {
        let own = std::env::current_exe().context("find this program")?;
        let mut command = process::as_root(&own);
        command.arg("demo").arg("--agent").arg(agent).args(args.keep.then_some("--keep"));
        return process::run(&mut command);
    }
    let shown = show(&agent);
    if args.keep && shown.is_ok() {
        println!("\nThe agent and the lab are running.");
        println!("  watch:    {} observe", agent.display());
        println!("  traffic:  cargo xtask lab traffic");
        println!("  end:      cargo xtask lab down");
        return Ok(());
    }
    // Also after a failure; the first error is the one that counts.
    let ended = lab::down();
    shown.and(ended)
}

fn show(binary: &std::path::Path) -> Result<()> {
    let files = lab::Files::prepare()?;
    let agent = Agent::start(binary, &files)?;
    lab::servers()?;
    {
        let _step = Step::new(&format!("lab: {ROUNDS} rounds of traffic"));
        lab::drive(ROUNDS)?;
    }
    let records = settled(&agent)?;
    println!("\nPROCESSES of the lab's pods\n{}", processes::table(&records));
    println!("FLOWS on the lab's network, judged against its policies\n{}", flows::table(&records));
    println!("WHY one of them is denied\n{}", explained(binary)?);
    let elsewhere = records.len() - records.iter().filter(|record| flows::is_lab(record)).count();
    println!("FINDINGS about the lab's pods, rolled up\n{}", findings::table(&records));
    println!("ONE DENIED FLOW: who, to whom, and why\n{}", findings::explained(&records));
    println!("{} records in all; {elsewhere} of them are not flows of the lab\n", records.len());
    let metrics = agent.counted()?;
    println!(
        "LOSS ACCOUNT: seen = filtered + suppressed + emitted + dropped, emitted = received\n{}",
        agent::loss_table(&metrics)
    );
    println!("METRICS at http://{}/metrics, for example", agent.metrics_address);
    for line in
        metrics.lines().filter(|line| line.contains("flow_verdicts_total{") && !line.ends_with(" 0")).take(8)
    {
        println!("  {line}");
    }
    require_intent(&agent, &records)?;
    responder::tell(binary, &agent, &files, &records)
}

/// What the agent says of a connection of the lab that its policies deny: the command and its answer.
fn explained(binary: &std::path::Path) -> Result<String> {
    let (from, to) = (format!("shop/{}", lab::FRONTEND.name), format!("shop/{}", lab::DB.name));
    let port = lab::DB_PORT.to_string();
    let arguments = ["policy", "explain", "--from", &from, "--to", &to, "--port", &port];
    let answer = process::read(std::process::Command::new(binary).args(arguments))?;
    Ok(format!("  $ watchfire {}\n  {}\n", arguments.join(" "), answer.trim_end().replace('\n', "\n  ")))
}

/// The agent's records, once every connection of the lab has been told of, or when that takes too long.
fn settled(agent: &Agent) -> Result<Vec<Value>> {
    let is_told = |records: &Vec<Value>| {
        let denied = lab::CONNECTIONS.iter().filter(|connection| connection.intent == "denied").count();
        lab::CONNECTIONS.iter().all(|connection| flows::verdicts(records, connection).len() >= ROUNDS)
            && findings::count(records, "policy-violation") >= (denied * ROUNDS) as u64
    };
    match wait_until(RECORDS_LIMIT, || agent.records().ok().filter(is_told)) {
        Some(records) => Ok(records),
        None => agent.records(),
    }
}

/// Fails unless the agent judged every connection as the lab's policies mean it.
fn require_intent(agent: &Agent, records: &[Value]) -> Result<()> {
    for connection in &lab::CONNECTIONS {
        let lab::Connection { from, to, port, intent, answered: _ } = connection;
        let verdicts = flows::verdicts(records, connection);
        ensure!(
            verdicts.len() == ROUNDS && verdicts.iter().all(|verdict| verdict == intent),
            "{} → {}:{port} is {intent} by policy {ROUNDS} times, the agent says {}; its log is {}",
            from.name,
            to.name,
            if verdicts.is_empty() { "nothing".to_owned() } else { verdicts.join(", ") },
            agent.log.display()
        );
    }
    let denied = lab::CONNECTIONS.iter().filter(|connection| connection.intent == "denied").count() * ROUNDS;
    let found = findings::count(records, "policy-violation");
    ensure!(
        found == denied as u64,
        "{denied} flows are denied, the agent's findings count {found}; its log is {}",
        agent.log.display()
    );
    Ok(())
}
