//! Cilium's engine as a program of its own, which `cargo xtask setup oracle` builds from `oracle/`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The running program. It ends when its input does.
pub(crate) struct Oracle {
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    _child: Child,
}

/// What Cilium says of a case.
pub(crate) struct Answer {
    /// Why it could not judge the case.
    pub(crate) failed: Option<String>,
    /// Policies that it refuses, by position.
    pub(crate) refused: BTreeMap<usize, String>,
    /// Egress and ingress of each connection.
    pub(crate) probes: Vec<[String; 2]>,
}

impl Oracle {
    /// Starts it; the error is why that cannot be done here.
    pub(crate) fn start() -> Result<Self, String> {
        let program = std::env::var_os("WATCHFIRE_ORACLE")
            .ok_or("WATCHFIRE_ORACLE is not set: `cargo xtask test --tier oracle` builds Cilium's engine and runs this")?;
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the oracle cannot be started: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let pipes = input.zip(output).ok_or("the oracle has no pipes")?;
        Ok(Self { input: BufWriter::new(pipes.0), output: BufReader::new(pipes.1), _child: child })
    }

    pub(crate) fn ask(&mut self, case: &Value) -> Answer {
        writeln!(self.input, "{case}").and_then(|()| self.input.flush()).expect("the oracle reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the oracle answers");
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?} to {case}"));
        let refused = answer["refused"].as_object().into_iter().flatten();
        let sides = |probe: &Value| [0, 1].map(|side| probe[side].as_str().unwrap_or_default().to_owned());
        Answer {
            failed: answer["failed"].as_str().map(str::to_owned),
            refused: refused
                .map(|(index, reason)| {
                    let index = index.parse().expect("positions are numbers");
                    (index, reason.as_str().unwrap_or_default().to_owned())
                })
                .collect(),
            probes: answer["probes"].as_array().into_iter().flatten().map(sides).collect(),
        }
    }
}
