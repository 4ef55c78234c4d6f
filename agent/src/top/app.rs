//! The whole of what is on the screen, without a terminal.

use super::state::State;
use super::theme::Theme;
use super::ui::Ui;

/// How it stands with the agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    Connected,
    /// The agent went away.
    Broken {
        why: String,
        /// When it is tried again, wall clock.
        again_ns: i64,
    },
}

/// What is known, what is looked at, and how it stands with the agent.
#[derive(Debug)]
pub(crate) struct App {
    /// What is known by now.
    pub(crate) live: State,
    /// What was known when the screen was paused, and when that was.
    paused: Option<Box<(State, i64)>>,
    pub(crate) ui: Ui,
    pub(crate) link: Link,
    pub(crate) theme: Theme,
    now_ns: i64,
}

impl App {
    pub(crate) fn new(theme: Theme) -> Self {
        Self { live: State::new(), paused: None, ui: Ui::new(), link: Link::Connected, theme, now_ns: 0 }
    }

    /// Time goes on, wall clock.
    pub(crate) fn tick(&mut self, now_ns: i64) {
        self.now_ns = now_ns;
        self.live.expire(now_ns);
    }

    /// Takes in a line of the observe socket.
    pub(crate) fn line(&mut self, line: &str) {
        self.live.take(line);
    }

    /// The agent is there again.
    pub(crate) fn connected(&mut self) {
        self.link = Link::Connected;
        self.live.connected(self.now_ns);
    }

    /// The agent went away, or still does not answer.
    pub(crate) fn broken(&mut self, why: String, again_ns: i64) {
        self.link = Link::Broken { why, again_ns };
        self.live.disconnected(self.now_ns);
    }

    /// Stops what is shown, or lets it go on. What comes meanwhile is taken in all the same.
    pub(crate) fn pause(&mut self) {
        self.paused = match self.paused.take() {
            Some(_) => None,
            None => Some(Box::new((self.live.clone(), self.now_ns))),
        };
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// What is to be shown, and the time that it is shown for.
    pub(crate) fn shown(&self) -> (&State, i64) {
        self.paused.as_deref().map_or((&self.live, self.now_ns), |(state, now_ns)| (state, *now_ns))
    }

    pub(crate) const fn now_ns(&self) -> i64 {
        self.now_ns
    }
}
