//! What a command says, for people or for programs, and progress while they wait.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::Value;

/// For whom output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON value on one line.
    Json,
}

/// What a command came to.
pub(crate) struct Answer {
    /// For people; without a final newline.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
    /// Whether something was found that should not be; the exit code is then 1.
    pub(crate) finding: bool,
}

impl Answer {
    /// A plain success.
    pub(crate) fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            finding: false,
        }
    }

    /// Prints it to standard output, which a closed pipe may cut short.
    pub(crate) fn print(&self, format: Format) {
        let line = match format {
            Format::Text => printable(&self.text),
            Format::Json => self.json.to_string(),
        };
        if !(line.is_empty() || self.json.is_null()) {
            print_line(&line);
        }
    }
}

/// Prints one line to standard output; a reader that went away is no failure.
pub(crate) fn print_line(line: &str) {
    if !line.is_empty() {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// Text that cannot steer a terminal: control characters but the newline are escaped.
pub(crate) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() && c != '\n' {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// Below so much time nobody needs to be told.
const QUIET: Duration = Duration::from_secs(2);

/// Progress on standard error, for work that takes more than two seconds.
pub(crate) struct Progress {
    doing: &'static str,
    started: Instant,
    shown: Instant,
    any: bool,
    live: bool,
}

impl Progress {
    /// Starts counting.
    pub(crate) fn new(doing: &'static str) -> Self {
        let now = Instant::now();
        Self {
            doing,
            started: now,
            shown: now,
            any: false,
            live: std::io::stderr().is_terminal(),
        }
    }

    /// Tells that `done` of `total` are done.
    pub(crate) fn at(&mut self, done: u64, total: u64) {
        let every = if self.live {
            Duration::from_millis(200)
        } else {
            Duration::from_secs(5)
        };
        if self.started.elapsed() < QUIET || (self.any && self.shown.elapsed() < every) {
            return;
        }
        let (start, end) = if self.live { ("\r", "") } else { ("", "\n") };
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0);
        let _ = write!(
            std::io::stderr(),
            "{start}{}: {done} of {total} ({percent} %){end}",
            self.doing
        );
        (self.shown, self.any) = (Instant::now(), true);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.any && self.live {
            let _ = writeln!(std::io::stderr());
        }
    }
}
