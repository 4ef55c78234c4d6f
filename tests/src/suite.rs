use libtest_mimic::{Arguments, Completion, Trial};

use crate::Need;

/// The tests of one binary, which are run one after another: each starts an agent, and agents share one kernel.
#[derive(Default)]
pub struct Suite {
    trials: Vec<Trial>,
}

impl Suite {
    /// A suite without tests.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a test that panics when it fails, and that is skipped where one of its needs is not met.
    #[must_use]
    pub fn test(
        mut self,
        name: &'static str,
        needs: &'static [Need],
        body: impl FnOnce() + Send + 'static,
    ) -> Self {
        self.trials.push(Trial::ignorable_test(name, move || {
            if let Some(reason) = needs.iter().find_map(|need| need.missing()) {
                // On a line of its own: the task runner collects these from every tier.
                println!("\nSKIP {name}: {reason}");
                return Ok(Completion::ignored_with(reason));
            }
            body();
            Ok(Completion::Completed)
        }));
        self
    }

    /// Runs the tests that the command line selects, prints the result and ends the process.
    pub fn run(self) -> ! {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(1);
        libtest_mimic::run(&arguments, self.trials).exit()
    }
}
