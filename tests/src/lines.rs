use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The lines that a process has written so far, readable while it writes more.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    shared: Arc<(Mutex<Written>, Condvar)>,
}

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Collects what is read on a thread of its own, until it ends.
    pub(crate) fn collect(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let writer = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n') {
                let Ok(line) = line else { break };
                writer.change(|written| written.lines.push(String::from_utf8_lossy(&line).into_owned()));
            }
            writer.change(|written| written.ended = true);
        });
        lines
    }

    /// The first line, past or future, from which `pick` makes something; `None` at the deadline or the end.
    pub(crate) fn wait<T>(&self, limit: Duration, mut pick: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        let (mutex, changed) = &*self.shared;
        let mut written = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = 0;
        loop {
            if let Some(found) = written.lines[seen..].iter().find_map(|line| pick(line)) {
                return Some(found);
            }
            seen = written.lines.len();
            let left = deadline.checked_duration_since(Instant::now())?;
            if written.ended {
                return None;
            }
            written = changed.wait_timeout(written, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything written so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    fn change(&self, edit: impl FnOnce(&mut Written)) {
        edit(&mut self.shared.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_line_is_found_whether_it_was_written_before_or_after_the_wait_began() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let lines = Lines::collect(reader);
        std::io::Write::write_all(&mut writer, b"one\ntwo\n").unwrap();
        let is = |wanted: &'static str| move |line: &str| (line == wanted).then_some(());
        assert!(lines.wait(LIMIT, is("two")).is_some());
        assert!(lines.wait(LIMIT, is("one")).is_some());
        drop(writer);
        assert!(lines.wait(LIMIT, is("three")).is_none());
        assert_eq!(lines.all(), ["one", "two"]);
    }
}
