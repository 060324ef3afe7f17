//! Blocking work on threads of its own, so many at once and so many waiting, and no more.

use std::sync::Arc;
use std::time::Duration;

use stele_api::status::{Failure, Reason};
use tokio::sync::Semaphore;
use tonic::{Response, Status};

use crate::config::{Limits, duration};
use crate::signer::Signer;

/// The places for blocking work.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// Who is at work.
    working: Arc<Semaphore>,
    /// Who is at work or waits for it.
    present: Arc<Semaphore>,
    patience: Duration,
}

impl Doors {
    /// As many as the limits say.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            working: Arc::new(Semaphore::new(limits.doors)),
            present: Arc::new(Semaphore::new(limits.doors.saturating_add(limits.waiting))),
            patience: duration(limits.deadline),
        }
    }

    /// Runs `work` on a thread of its own, after the index has everything that was answered before: whoever asks about
    /// a certificate that they have just received finds it. It runs to its end even when its caller has gone, so that what was begun is
    /// recorded.
    ///
    /// # Errors
    /// When there is no place, and what `work` reports.
    pub(crate) async fn pass<T: Send + 'static>(
        &self,
        signer: &Arc<Signer>,
        work: impl FnOnce(&Signer) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let caught_up = |signer: &Signer| {
            signer.follow_answered()?;
            work(signer)
        };
        self.pass_at_once(signer, caught_up).await
    }

    /// As [`Self::pass`], for work that itself sees to it that the index knows what it looks up.
    ///
    /// # Errors
    /// As [`Self::pass`].
    pub(crate) async fn pass_at_once<T: Send + 'static>(
        &self,
        signer: &Arc<Signer>,
        work: impl FnOnce(&Signer) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let full = |why: &str| Failure::new(Reason::Overloaded, why).retry_after(Duration::from_secs(1));
        let Ok(present) = self.present.clone().try_acquire_owned() else {
            signer.metrics.turned_away.add();
            return Err(full("too many calls wait"));
        };
        let acquired = tokio::time::timeout(self.patience, self.working.clone().acquire_owned()).await;
        let Ok(Ok(working)) = acquired else {
            signer.metrics.turned_away.add();
            return Err(full("the call waited too long for its turn"));
        };
        let signer = signer.clone();
        let span = tracing::Span::current();
        let done = tokio::task::spawn_blocking(move || {
            let _places = (present, working);
            span.in_scope(|| work(&signer))
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a thread ended early");
            Err(Failure::new(Reason::Internal, "the server's log says more"))
        })
    }

    /// Waits until nobody is at work.
    pub(crate) async fn drained(&self, limits: &Limits) {
        let all = u32::try_from(limits.doors).unwrap_or(u32::MAX);
        let _ = self.working.acquire_many(all).await;
    }

    /// As [`Self::pass`], as the answer of a call.
    ///
    /// # Errors
    /// As [`Self::pass`].
    pub(crate) async fn answer<T: Send + 'static>(
        &self,
        signer: &Arc<Signer>,
        work: impl FnOnce(&Signer) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        Ok(Response::new(self.pass(signer, work).await?))
    }
}
