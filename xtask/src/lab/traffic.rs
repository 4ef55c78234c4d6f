//! The lab's traffic: allowed, denied, not covered and refused.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::member;
use super::plan::{API, API_PORT, CLOSED_PORT, DB, DB_PORT, FRONTEND, Member, OUTSIDER, OUTSIDER_PORT};
use crate::process::wait_until;

const ONE_LIMIT: Duration = Duration::from_secs(15);

/// What policy intent says about one connection of the lab, and who makes it.
pub(crate) struct Connection {
    pub(crate) from: Member,
    pub(crate) to: Member,
    pub(crate) port: u16,
    pub(crate) intent: &'static str,
    /// Whether anything listens there.
    pub(crate) answered: bool,
}

/// One round of traffic. `frontend` → `api` makes `api` ask `db`.
pub(crate) const CONNECTIONS: [Connection; 6] = [
    Connection { from: FRONTEND, to: API, port: API_PORT, intent: "allowed", answered: true },
    Connection { from: API, to: DB, port: DB_PORT, intent: "allowed", answered: true },
    Connection { from: FRONTEND, to: DB, port: DB_PORT, intent: "denied", answered: true },
    Connection { from: OUTSIDER, to: DB, port: DB_PORT, intent: "denied", answered: true },
    Connection { from: API, to: OUTSIDER, port: OUTSIDER_PORT, intent: "not-covered", answered: true },
    Connection { from: FRONTEND, to: API, port: CLOSED_PORT, intent: "denied", answered: false },
];

/// Makes every connection so many times.
pub(crate) fn drive(rounds: usize) -> Result<()> {
    for _ in 0..rounds {
        for connection in &CONNECTIONS {
            one(connection)?;
        }
    }
    Ok(())
}

fn one(connection: &Connection) -> Result<()> {
    let address = connection.to.address();
    let port = connection.port.to_string();
    let page = format!("http://{address}:{port}/cgi-bin/stock");
    let (program, arguments): (_, Vec<&str>) = match connection.to.name {
        // The api asks the database when it is asked itself.
        "db" if connection.from == API => return Ok(()),
        "db" => ("redis-cli", vec!["-h", &address, "-p", &port, "PING"]),
        _ if connection.answered && connection.to == API => ("busybox", vec!["wget", "-q", "-O", "-", &page]),
        _ => ("busybox", vec!["nc", "-w", "3", &address, &port]),
    };
    let mut client = member::command(connection.from, &member::program(program), &arguments)?;
    let what = format!("{} → {}:{port}", connection.from.name, connection.to.name);
    let mut child = client
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start the client of {what}"))?;
    let Some(status) = wait_until(ONE_LIMIT, || child.try_wait().ok().flatten()) else {
        child.kill().with_context(|| format!("stop the client of {what}"))?;
        child.wait()?;
        bail!("{what}: the client did not end");
    };
    // The lab enforces nothing: what is not answered is broken, not denied.
    if connection.answered != status.success() {
        bail!("{what}: the client ended with {status}");
    }
    Ok(())
}
