//! Before anything is served: whether witnesses know a larger log than this one, which then was set back.

use std::sync::Arc;

use stele_core::checkpoint::{Checkpoint, Note};
use tokio::task::JoinSet;

use super::ask::{Asker, Target, answer_limit};
use super::http::{Http, tls_config};
use crate::config::duration;
use crate::error::SignerError;
use crate::signer::Signer;

/// Asks all witnesses of the policy once, at the same time. Those that do not answer in time say nothing.
///
/// # Errors
/// When the quorum, and at least two, claim a larger log.
pub(crate) async fn refuse_rolled_back(signer: &Arc<Signer>) -> Result<(), SignerError> {
    let Some(policy) = signer.witness_policy() else {
        return Ok(());
    };
    let keeper = signer.clone();
    let note = tokio::task::spawn_blocking(move || keeper.keeper.checkpoint())
        .await
        .map_err(|e| SignerError::other(e.to_string()))??;
    let note: Note = note.parse()?;
    let size = note.text().parse::<Checkpoint>()?.size;
    let target = Target { note, size };
    let mut asking = JoinSet::new();
    for mut asker in askers(signer)? {
        let (signer, target) = (signer.clone(), target.clone());
        asking.spawn(async move {
            let outcome = asker.ask(&signer, &target).await;
            signer.witnesses.note(&asker.name, &outcome);
        });
    }
    while asking.join_next().await.is_some() {}
    let Some(claims) = signer.witnesses.believed_claims(&policy) else {
        return Ok(());
    };
    let said: Vec<String> = claims.iter().map(|(name, size)| format!("{name} {size}")).collect();
    Err(SignerError::other(format!(
        "the log has {size} entries, and witnesses say that they cosigned more: {}. It was set back, e.g. by an old \
         backup: restore the newer one. Where the newer one is lost, the operators begin a new epoch; where the \
         witnesses are wrong, the operators take them out of the bundle (`stele-signer apply` works while this does not \
         run)",
        said.join(", ")
    )))
}

fn askers(signer: &Signer) -> Result<Vec<Asker>, SignerError> {
    let tls = tls_config(signer.config.witnessing.ca_file.as_deref())?;
    let timeout = duration(signer.config.witnessing.timeout);
    let snapshot = signer.snapshot.load_full();
    let listed = snapshot.in_force()?.bundle.authority().witnesses();
    let asker = |witness: &stele_core::authority::Witness| {
        let place = signer.config.witness.get(&witness.name)?;
        let http = Http::new(place.url.clone(), tls.clone(), answer_limit());
        Some(Asker::new(witness.name.clone(), witness.key.clone(), http, timeout))
    };
    Ok(listed.iter().filter_map(asker).collect())
}
