//! The token alone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stele_core::types::{KeyAlgorithm, SignatureAlgorithm};
use stele_hsm::{Token, TokenKey, TokenSpec, init_token};

use super::{Fallible, ISSUERS};

/// As long as the TBS of a leaf.
const MESSAGE: &[u8] = &[0x30; 400];
/// How long a signature may wait for a session.
const PATIENCE: Duration = Duration::from_secs(20);

/// A token in this process, with a key for each issuer.
#[derive(Clone)]
pub(super) struct BenchToken {
    token: Arc<Token>,
    keys: Vec<TokenKey>,
}

impl BenchToken {
    /// A new token of the module.
    pub(super) fn new(module: &Path) -> Fallible<Self> {
        init_token(module, "bench", &"bench-so-pin".into(), &"bench-user-pin".into())?;
        let token = Token::open(&TokenSpec::new(module, "bench"), &"bench-user-pin".into())?;
        let keys = ISSUERS
            .iter()
            .map(|(algorithm, profile)| Ok(token.generate(&profile.parse()?, *algorithm)?))
            .collect::<Fallible<_>>()?;
        Ok(Self {
            token: Arc::new(token),
            keys,
        })
    }

    /// The key that stands for an issuer's, and its signatures' algorithm.
    pub(super) fn key(&self, algorithm: KeyAlgorithm) -> Fallible<(&TokenKey, SignatureAlgorithm)> {
        let key = self.keys.iter().find(|k| k.algorithm == algorithm);
        Ok((key.ok_or("no such key")?, algorithm.default_signature()))
    }

    /// One signature.
    pub(super) fn sign(&self, algorithm: KeyAlgorithm, message: &[u8]) -> Fallible<Vec<u8>> {
        let (key, signature) = self.key(algorithm)?;
        Ok(self.token.sign(key, signature, message, PATIENCE)?)
    }

    /// Signatures per second from so many threads.
    pub(super) fn per_second(&self, algorithm: KeyAlgorithm, threads: usize, span: Duration) -> Fallible<f64> {
        let (ending, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let began = Instant::now();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        while !ending.load(Ordering::Relaxed) {
                            self.sign(algorithm, MESSAGE)?;
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(())
                    })
                })
                .collect();
            std::thread::sleep(span);
            ending.store(true, Ordering::Relaxed);
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a thread ended early".into())))
        })
        .map_err(|error: Box<dyn std::error::Error + Send + Sync>| error)?;
        Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
    }
}
