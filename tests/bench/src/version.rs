//! What is measured, by the name that it gives itself.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use watchfire_tests::watchfire;

/// Version and commit of the agent.
pub(crate) fn of_agent() -> Result<String> {
    let program = watchfire();
    let output = Command::new(&program)
        .arg("version")
        .output()
        .with_context(|| format!("start {}", program.display()))?;
    ensure!(output.status.success(), "{} version: {}", program.display(), output.status);
    Ok(shortened(&String::from_utf8_lossy(&output.stdout)))
}

/// Its first two lines, in one: what is built for which machine is said elsewhere.
fn shortened(text: &str) -> String {
    text.lines().take(2).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn version_and_commit() {
        assert_eq!(
            super::shortened("watchfire 1.2.3\ncommit abc\ntarget t\n"),
            "watchfire 1.2.3, commit abc"
        );
    }
}
