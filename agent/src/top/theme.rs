//! Colours by meaning.

use ratatui::style::{Color, Modifier, Style};

/// What a text means to its reader.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// Past, or beside the point.
    Dim,
    /// Names of columns and of what stands beside them.
    Heading,
    /// Allowed, connected.
    Good,
    /// Denied, failed, lost.
    Bad,
    /// Not known, or to be looked at.
    Unknown,
    /// What the keys act on.
    Accent,
}

/// How tones look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    colour: bool,
}

impl Theme {
    pub(crate) const fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// With colours, unless `NO_COLOR` is set to anything (no-color.org).
    pub(crate) fn of_environment() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    pub(crate) fn style(self, tone: Tone) -> Style {
        let (colour, modifier) = match tone {
            Tone::Plain => (None, Modifier::empty()),
            Tone::Dim => (Some(Color::DarkGray), Modifier::DIM),
            Tone::Heading => (None, Modifier::BOLD),
            Tone::Good => (Some(Color::Green), Modifier::empty()),
            Tone::Bad => (Some(Color::Red), Modifier::BOLD),
            Tone::Unknown => (Some(Color::Yellow), Modifier::empty()),
            Tone::Accent => (Some(Color::Cyan), Modifier::BOLD),
        };
        match colour.filter(|_| self.colour) {
            // Grey is dim already; both together cannot be read on some terminals.
            Some(colour) => Style::new().fg(colour).add_modifier(modifier.difference(Modifier::DIM)),
            None => Style::new().add_modifier(modifier),
        }
    }
}

/// The tone of an outcome.
pub(crate) fn of_outcome(outcome: &str) -> Tone {
    match outcome {
        "allowed" => Tone::Good,
        "denied" => Tone::Bad,
        "unknown" => Tone::Unknown,
        _ => Tone::Plain,
    }
}
