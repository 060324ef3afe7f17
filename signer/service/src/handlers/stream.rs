//! Entries as a stream: as many as a checkpoint covers, and new ones where the client follows.

use stele_api::convert::EntriesQuery;
use stele_api::status::Failure;
use stele_api::v1::StreamEntriesResponse;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Handlers;
use crate::error::SignerError;
use crate::signer::Signer;
use crate::tree;

/// Messages that wait for a slow client; the rest waits in the log.
const AHEAD: usize = 2;
/// Entries in one message; the keeper cuts a page well below the contract's 1 MiB.
const PAGE: u32 = 256;

type Message = Result<StreamEntriesResponse, Status>;

/// Sends entries until the query is answered, the client has gone, or a read fails.
pub(super) fn entries(handlers: Handlers, query: EntriesQuery) -> ReceiverStream<Message> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        if let Err(failure) = send(&handlers, query, &sender).await {
            let _ = sender.send(Err(failure.into())).await;
        }
    });
    ReceiverStream::new(receiver)
}

async fn send(handlers: &Handlers, query: EntriesQuery, sender: &mpsc::Sender<Message>) -> Result<(), Failure> {
    let mut indexed = handlers.signer.indexed.subscribe();
    let (mut next, mut left) = (query.start, query.limit.unwrap_or(u64::MAX));
    let mut covered = 0;
    while left > 0 {
        indexed.mark_unchanged();
        if next >= covered {
            covered = handlers
                .doors
                .pass(&handlers.signer, |signer| Ok(tree::checkpoint(&signer.keeper)?.1.size))
                .await?;
        }
        if next >= covered {
            let changed = async {
                tokio::select! {
                    () = sender.closed() => false,
                    changed = indexed.changed() => changed.is_ok(),
                }
            };
            if query.follow && changed.await {
                continue;
            }
            return Ok(());
        }
        let count = u32::try_from(left.min(covered - next)).unwrap_or(PAGE).min(PAGE);
        let message = handlers
            .doors
            .pass(&handlers.signer, move |signer| page(signer, next, count))
            .await?;
        let sent = message.entries.len() as u64;
        if sent == 0 || sender.send(Ok(message)).await.is_err() {
            return Ok(());
        }
        next = next.saturating_add(sent);
        left = left.saturating_sub(sent);
    }
    Ok(())
}

fn page(signer: &Signer, start: u64, count: u32) -> Result<StreamEntriesResponse, Failure> {
    let entries = signer.keeper.entries(start, count).map_err(SignerError::from)?;
    let entries = (start..)
        .zip(entries)
        .map(|(index, record)| signer.entry(index, record));
    Ok(StreamEntriesResponse {
        entries: entries.collect(),
    })
}
