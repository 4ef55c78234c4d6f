//! The benchmark in an emulated machine whose clock counts instructions.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::packages::Kernel;
use crate::process::Step;
use crate::vm::{Clock, Machine, Share};

/// Begins a line in front of a file: its name and the number of its lines follow.
const FILE: &str = "@@@ file ";

/// Boots the kernel, runs the benchmark, and takes its files out by the serial console.
pub(super) fn run(
    kernel: Kernel,
    agent: &Path,
    bench: &Path,
    designs: &Path,
    arguments: &[String],
    output: &Path,
) -> Result<()> {
    let files = [("bench".to_owned(), bench), ("designs".to_owned(), designs)];
    let machine = Machine::prepare(kernel, Clock::Instructions, agent, &files, &job(arguments))?;
    let _step = Step::new(&format!("Linux {} in a VM that counts instructions", machine.kernel.version));
    let mut results = Results::default();
    let code = machine.boot(Share::Full, |line| {
        if !results.take(line) {
            // Progress rewrites its line.
            println!("{}", line.rsplit('\r').next().unwrap_or(line));
        }
    })?;
    if code != 0 {
        bail!("the benchmark ended with {code} on Linux {}", machine.kernel.version);
    }
    results.write(output)?;
    println!("written to {}", output.display());
    Ok(())
}

/// What the VM does.
fn job(arguments: &[String]) -> String {
    let arguments: Vec<String> =
        arguments.iter().map(|argument| format!("'{}'", argument.replace('\'', r"'\''"))).collect();
    format!(
        "mkdir -p /var/run\n\
         /bench run --profile vm --designs /designs --output /results {}\n\
         code=$?\n\
         for file in /results/*; do\n\
         printf '{FILE}%s %d\\n' \"${{file##*/}}\" \"$(grep -c '' \"$file\")\"\n\
         awk 1 \"$file\"\n\
         done\n\
         exit $code\n",
        arguments.join(" ")
    )
}

/// Files that come line by line.
#[derive(Default)]
struct Results {
    files: Vec<(String, String)>,
    lines_left: u64,
}

impl Results {
    /// Takes a line if it is of a file.
    fn take(&mut self, line: &str) -> bool {
        if self.lines_left > 0
            && let Some((_, text)) = self.files.last_mut()
        {
            text.push_str(line);
            text.push('\n');
            self.lines_left -= 1;
            return true;
        }
        let Some((name, lines)) = line.strip_prefix(FILE).and_then(|rest| rest.rsplit_once(' ')) else {
            return false;
        };
        self.lines_left = lines.parse().unwrap_or(0);
        self.files.push((name.to_owned(), String::new()));
        true
    }

    fn write(&self, folder: &Path) -> Result<()> {
        ensure!(
            self.lines_left == 0 && !self.files.is_empty(),
            "the results did not come out of the VM whole"
        );
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        for (name, text) in &self.files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_what_else_is_printed() {
        let mut results = Results::default();
        let lines = ["before", "@@@ file a b.md 2", "one", "@@@ file two 1", "@@@ file empty 0", "after"];
        let taken: Vec<bool> = lines.iter().map(|line| results.take(line)).collect();
        assert_eq!(taken, [false, true, true, true, true, false]);
        let expected = [("a b.md", "one\n@@@ file two 1\n"), ("empty", "")];
        assert_eq!(results.files, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn what_came_in_part_is_not_written() {
        let mut results = Results::default();
        assert!(results.write(Path::new("/nowhere")).is_err());
        assert!(results.take("@@@ file bench.md 2") && results.take("one"));
        assert!(results.write(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn arguments_reach_the_benchmark_as_they_are() {
        assert!(job(&["exec".to_owned(), "it's".to_owned()]).contains(r" 'exec' 'it'\''s'"));
    }
}
