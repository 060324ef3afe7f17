//! `stele audit tail`: new records as they come, from the server or from an export that somebody continues.

use std::time::Duration;

use serde_json::Value;
use stele_api::v1;
use stele_core::record::Record;

use super::about::line;
use super::log::{Log, Place, scan_from};
use crate::commands::ledger;
use crate::connect::{ConnectionArgs, connect};
use crate::error::CliError;
use crate::output::{Answer, Format, print_line, printable};

/// How often an export or a server of tiles is looked at for a new checkpoint.
const EVERY: Duration = Duration::from_secs(2);

#[derive(clap::Args, Debug)]
pub(crate) struct TailArgs {
    /// Begin so many records before the newest
    #[arg(long, short = 'n', default_value_t = 10)]
    lines: u64,
    /// Follow an export or tiles over HTTP instead of the server
    #[arg(long, value_name = "DIR|URL")]
    log: Option<Place>,
    /// End at the newest record instead of waiting for more
    #[arg(long)]
    no_follow: bool,
}

/// Runs the command.
pub(super) async fn run(args: &TailArgs, connection: &ConnectionArgs, format: Format) -> Result<Answer, CliError> {
    match &args.log {
        Some(place) => follow(args, place, connection, format).await?,
        None => stream(args, connection, format).await?,
    }
    // Each record was a line of its own.
    Ok(Answer::new(String::new(), Value::Null))
}

/// For programs the record's own bytes, which are JSON; for people a line.
fn show(raw: &[u8], format: Format) {
    let text = match (format, Record::decode(raw)) {
        (Format::Text, Ok(record)) => line(&record),
        _ => String::from_utf8_lossy(raw).into_owned(),
    };
    print_line(&printable(&text));
}

async fn stream(args: &TailArgs, connection: &ConnectionArgs, format: Format) -> Result<(), CliError> {
    let verifier = connection.settings()?.verifier()?;
    let mut client = ledger::client(connect(connection).await?);
    let (_, head) = ledger::head(&mut client, verifier.as_ref()).await?;
    let wire = v1::StreamEntriesRequest {
        origin: None,
        start: head.size.saturating_sub(args.lines),
        limit: None,
        follow: !args.no_follow,
    };
    let mut stream = client.stream_entries(wire).await?.into_inner();
    while let Some(part) = stream.message().await? {
        part.entries.iter().for_each(|entry| show(&entry.record, format));
    }
    Ok(())
}

async fn follow(args: &TailArgs, place: &Place, connection: &ConnectionArgs, format: Format) -> Result<(), CliError> {
    let settings = connection.settings()?;
    let verifier = settings.verifier()?;
    let mut next = None;
    loop {
        let log = Log::open(place, &settings)?;
        let size = stele_core::checkpoint::Checkpoint::from_note_unverified(log.note())?.size;
        let start = next.unwrap_or_else(|| size.saturating_sub(args.lines));
        if start > size {
            return Err(CliError::Refused(format!(
                "THE LOG WENT BACK: {start} entries were there, now the checkpoint has {size}"
            )));
        }
        let look = |_, raw: &[u8]| raw.to_vec();
        scan_from(&log, verifier.as_ref(), start..size, look, |_, raw| {
            show(&raw, format);
            Ok(())
        })?;
        next = Some(size);
        if args.no_follow {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}
