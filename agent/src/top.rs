//! `watchfire top`: the live terminal UI over the observe socket.
//!
//! `state` is made of the agent's lines, `views` draw it into a buffer, `input` says what keys do. None of them has a
//! terminal or a clock; `screen` has both.

mod app;
mod feed;
mod format;
mod input;
mod record;
mod screen;
mod state;
mod table;
mod theme;
mod ui;
mod views;

#[cfg(test)]
mod tests;

pub(crate) use self::screen::run;
