//! Copies of the log's checkpoint elsewhere: mirrors, exports on web servers, witnesses that publish what they hold. One
//! under our own key that shows another history stops signing, whoever shows it.

use std::sync::Arc;

use axum::http::Method;

use super::ask::show;
use super::http::{Http, tls_config};
use crate::config::duration;
use crate::signer::Signer;

/// The largest answer that is read, in bytes; a checkpoint with its cosignatures takes a few kilobytes.
const MAX_CHECKPOINT: usize = 64 * 1024;

/// Looks at them until it is dropped.
pub(crate) async fn watch(signer: Arc<Signer>) {
    let config = &signer.config.witnessing;
    let tls = match tls_config(config.ca_file.as_deref()) {
        Ok(tls) => tls,
        Err(error) => {
            tracing::error!(%error, "no published checkpoint is looked at");
            return;
        }
    };
    let clients = config
        .checkpoints
        .iter()
        .map(|url| (Http::new(url.clone(), tls.clone(), MAX_CHECKPOINT), true));
    let mut clients: Vec<(Http, bool)> = clients.collect();
    while !clients.is_empty() {
        for (client, well) in &mut clients {
            let reply =
                tokio::time::timeout(duration(config.timeout), client.send(Method::GET, "", String::new())).await;
            let body = match reply {
                Ok(Ok(reply)) if reply.status == 200 => String::from_utf8(reply.body).map_err(|e| e.to_string()),
                Ok(Ok(reply)) => Err(format!("HTTP status {}", reply.status)),
                Ok(Err(words)) => Err(words),
                Err(_) => Err("no answer in time".to_owned()),
            };
            match body {
                Ok(note) => {
                    *well = true;
                    show(&signer, note).await;
                }
                Err(why) => {
                    if std::mem::replace(well, false) {
                        tracing::warn!(why, ?client, "a published checkpoint cannot be looked at");
                    }
                }
            }
        }
        tokio::time::sleep(duration(config.look_every)).await;
    }
}
