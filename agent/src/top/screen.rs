//! The terminal, and everything that wakes it: keys, lines, signals and time.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEvent};
use tokio::signal::unix::{SignalKind, signal};
use watchfire_export::observe;

use super::app::App;
use super::feed;
use super::input::After;
use super::theme::Theme;
use super::views;

/// What comes is drawn this often at most; keys are answered at once.
const REDRAW_MS_MIN: u64 = 250;

/// Ages and rates change by themselves.
const TICK_MS: u64 = 1000;

/// Most messages that wait for the screen; of lines, the agent keeps the rest, or counts them as lost.
const MESSAGES_MAX: usize = 1024;

/// What wakes the screen.
#[derive(Debug)]
pub(super) enum Message {
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    Line(String),
    Connected,
    Broken {
        why: String,
        pause: Duration,
    },
    /// Asked to end, by the signal of this number.
    Signal(i32),
    /// A thread ended that never should, which it does only by a panic or an error of the terminal.
    Ended(&'static str),
}

/// Shows what the agent at this socket sees until somebody has seen enough.
pub(crate) fn run(socket: &Path) -> Result<ExitCode> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        bail!(
            "`watchfire top` needs a terminal; what goes into a file or a pipe comes from `watchfire observe`"
        );
    }
    // Before the terminal is touched: a wrong path is told as `observe` tells it.
    let lines = observe(socket, &feed::request())?;
    let (to, messages) = sync_channel(MESSAGES_MAX);
    // Held to the end: what waits for it stops when it is gone.
    let (_stopper, stop) = channel::<()>();
    let terminal = Screen::open()?;
    let socket = socket.to_owned();
    spawn("observe", &to, move |to| feed::run(&socket, lines, to, &stop))?;
    spawn("keys", &to, keys)?;
    spawn("signals", &to, signals)?;
    terminal.show(&messages)
}

/// The terminal while it is ours. It is given back when this goes, and before the message of a panic.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn open() -> Result<Self> {
        Ok(Self { terminal: ratatui::try_init().context("cannot use the terminal")? })
    }

    fn show(mut self, messages: &Receiver<Message>) -> Result<ExitCode> {
        let mut app = App::new(Theme::of_environment());
        let mut drawn = Instant::now();
        app.tick(wall_ns());
        self.draw(&mut app)?;
        let mut is_stale = false;
        loop {
            let pause_ms = if is_stale { REDRAW_MS_MIN } else { TICK_MS };
            let rest = (drawn + Duration::from_millis(pause_ms)).saturating_duration_since(Instant::now());
            let mut draws = match messages.recv_timeout(rest) {
                Ok(message) => {
                    is_stale = true;
                    match take(&mut app, message)? {
                        Taken::Quit(code) => return Ok(code),
                        Taken::AtOnce => true,
                        Taken::Later => false,
                    }
                }
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => bail!("nothing is left to show"),
            };
            draws |= is_stale && drawn.elapsed() >= Duration::from_millis(REDRAW_MS_MIN);
            if draws {
                app.tick(wall_ns());
                self.draw(&mut app)?;
                (drawn, is_stale) = (Instant::now(), false);
            }
        }
    }

    fn draw(&mut self, app: &mut App) -> Result<()> {
        self.terminal
            .draw(|frame| views::draw(app, frame.area(), frame.buffer_mut()))
            .context("cannot draw")?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A panic has given it back already; doing it again would put the cursor onto its message.
        if !thread::panicking() {
            // Its error is that there is no terminal any more.
            let _ = ratatui::try_restore();
        }
    }
}

enum Taken {
    Quit(ExitCode),
    /// Somebody waits for it.
    AtOnce,
    Later,
}

fn take(app: &mut App, message: Message) -> Result<Taken> {
    Ok(match message {
        Message::Key(key) => match app.key(key) {
            After::Quit => Taken::Quit(ExitCode::SUCCESS),
            After::Draw => Taken::AtOnce,
            After::Nothing => Taken::Later,
        },
        Message::Resized => Taken::AtOnce,
        Message::Line(line) => {
            app.line(&line);
            Taken::Later
        }
        Message::Connected => {
            app.connected();
            Taken::Later
        }
        Message::Broken { why, pause } => {
            let pause_ns = i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX);
            app.tick(wall_ns());
            app.broken(why, wall_ns().saturating_add(pause_ns));
            Taken::Later
        }
        // As a shell tells of a program that a signal ended.
        Message::Signal(number) => Taken::Quit(ExitCode::from(128_u8.saturating_add(number as u8))),
        Message::Ended(name) => bail!("the thread \"{name}\" ended"),
    })
}

/// Starts a thread whose end, by a panic too, is told.
fn spawn(
    name: &'static str,
    to: &SyncSender<Message>,
    body: impl FnOnce(&SyncSender<Message>) + Send + 'static,
) -> Result<()> {
    struct TellEnd(&'static str, SyncSender<Message>);
    impl Drop for TellEnd {
        fn drop(&mut self) {
            let _ = self.1.send(Message::Ended(self.0));
        }
    }
    let tell = TellEnd(name, to.clone());
    let start = thread::Builder::new().name(name.to_owned()).spawn(move || body(&tell.1));
    start.with_context(|| format!("cannot start the thread \"{name}\""))?;
    Ok(())
}

/// Keys and new sizes of the terminal, as long as there is one.
fn keys(to: &SyncSender<Message>) {
    while let Ok(event) = event::read() {
        let message = match event {
            Event::Key(key) => Message::Key(key),
            Event::Resize(..) => Message::Resized,
            _ => continue,
        };
        if to.send(message).is_err() {
            return;
        }
    }
}

/// What asks a program to end.
fn signals(to: &SyncSender<Message>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let number = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let kind = tokio::select! {
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = hangup.recv() => SignalKind::hangup(),
        };
        io::Result::Ok(kind.as_raw_value())
    });
    if let Ok(number) = number {
        let _ = to.send(Message::Signal(number));
    }
}

fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
