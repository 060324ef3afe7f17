//! Every record of a log, in order, from the server or from its tiles.

use stele_api::v1;
use stele_core::merkle::{Frontier, leaf_hash};
use stele_core::record::Record;

use super::log::{Log, Place, scan};
use crate::commands::ledger;
use crate::connect::{ConnectionArgs, connect};
use crate::error::CliError;
use crate::output::Progress;

/// Calls `take` with every record that reads, and its length in bytes; afterwards they were those of the checkpoint.
///
/// # Errors
/// When the log cannot be read, or its entries are not those that its checkpoint covers.
pub(super) async fn all(
    place: Option<&Place>,
    connection: &ConnectionArgs,
    mut take: impl FnMut(Record, u64),
) -> Result<(), CliError> {
    let settings = connection.settings()?;
    let verifier = settings.verifier()?;
    if let Some(place) = place {
        let log = Log::open(place, &settings)?;
        let look = |_, raw: &[u8]| (Record::decode(raw).ok(), raw.len() as u64);
        scan(&log, verifier.as_ref(), look, |_, (record, length)| {
            if let Some(record) = record {
                take(record, length);
            }
            Ok(())
        })?;
        return Ok(());
    }
    let mut client = ledger::client(connect(connection).await?);
    let (_, head) = ledger::head(&mut client, verifier.as_ref()).await?;
    let wire = v1::StreamEntriesRequest {
        origin: None,
        start: 0,
        limit: Some(head.size),
        follow: false,
    };
    let (mut frontier, mut progress) = (Frontier::new(), Progress::new("read"));
    let mut stream = client.stream_entries(wire).await?.into_inner();
    while let Some(part) = stream.message().await? {
        for entry in part.entries {
            frontier.push(leaf_hash(&entry.record));
            progress.at(frontier.size(), head.size);
            if let Ok(record) = Record::decode(&entry.record) {
                take(record, entry.record.len() as u64);
            }
        }
    }
    if frontier.root() == head.root {
        return Ok(());
    }
    Err(CliError::Refused(
        "the server's entries are not those of its checkpoint".to_owned(),
    ))
}
