//! Logs: for people on a terminal, JSON elsewhere. `STELE_LOG` narrows or widens them, e.g. `debug`.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("STELE_LOG").unwrap_or_else(|_| "info".into());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        // The span once: without this each line has it a second time, as a list of one.
        builder.json().with_span_list(false).init();
    }
}
