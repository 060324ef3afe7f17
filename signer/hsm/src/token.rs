//! The token as the keeper uses it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::object::AttributeType;
use secrecy::SecretString;
use stele_core::types::{Digest, KeyAlgorithm, KeyName, SignatureAlgorithm};

use crate::error::{SignError, TokenError};
use crate::key::{self, KeyOrigin, Purpose, TokenKey};
use crate::mechanism::{self, Call, Mechanisms};
use crate::module::{Module, TokenInfo, TokenSpec};
use crate::pin::PinState;
use crate::pool::{Lease, Pool};

/// How long everything but a signature waits for a session.
const PATIENCE: Duration = Duration::from_secs(30);

/// Losses that show before C_Sign and are mended within one call of [`Token::sign`].
const LOSSES_MENDED: usize = 3;

/// Bytes of a new CKA_ID: random, so that keys of different tokens and times never share one.
const CKA_ID_LEN: u32 = 16;

/// What a probe signs: nothing that could be mistaken for a TBS, which begins with a SEQUENCE.
const PROBE_MESSAGE: &[u8] = b"stele-probe-v1";

/// An open token, logged in. Shared between threads; opened once per process.
pub struct Token {
    info: TokenInfo,
    mechanisms: Mechanisms,
    /// Held while generating, so that two threads cannot both find a label free.
    generating: Mutex<()>,
    pool: Pool,
}

impl Token {
    /// Opens the one token that `spec` names and logs in, with a single attempt.
    ///
    /// The library itself cannot know of attempts by earlier processes, beyond the token's own flags: who restarts
    /// after [`TokenError::PinIncorrect`] must remember it.
    ///
    /// # Errors
    /// When the module does not start, not exactly one token matches, the PIN is refused or one attempt from locked, or
    /// the token is open in this process already.
    pub fn open(spec: &TokenSpec, pin: &SecretString) -> Result<Self, TokenError> {
        let module = Module::open(&spec.module)?;
        let (slot, raw) = module.find(spec)?;
        let mechanisms = Mechanisms::read(module.pkcs11(), slot)?;
        let info = TokenInfo::from(&raw);
        // From here on the serial is known: after a loss no other token of that label is taken for this one.
        let spec = TokenSpec {
            serial: Some(info.serial.clone()),
            ..spec.clone()
        };
        let pool = Pool::open(module, &spec, pin)?;
        tracing::info!(label = %info.label, serial = %info.serial, model = %info.model, "token open");
        Ok(Self {
            info,
            mechanisms,
            generating: Mutex::new(()),
            pool,
        })
    }

    /// What the token said about itself when it was opened.
    #[must_use]
    pub const fn info(&self) -> &TokenInfo {
        &self.info
    }

    /// The PIN's state as the token gives it now.
    ///
    /// # Errors
    /// When the token is not there.
    pub fn pin_state(&self) -> Result<PinState, TokenError> {
        let (_, raw) = self.pool.module().find(self.pool.spec())?;
        Ok(PinState::of(&raw))
    }

    /// Whether the token generates such keys and makes their default signature.
    #[must_use]
    pub fn supports(&self, algorithm: KeyAlgorithm) -> bool {
        self.mechanisms.supports(algorithm)
    }

    /// Generates a key pair that cannot leave the token.
    ///
    /// # Errors
    /// When the algorithm is not supported, the name is taken, a call fails, or the new key is not protected as it must
    /// be; then it is destroyed.
    pub fn generate(&self, name: &KeyName, algorithm: KeyAlgorithm) -> Result<TokenKey, TokenError> {
        if !self.supports(algorithm) {
            return Err(TokenError::Unsupported {
                wanted: format!("{algorithm} keys"),
                needs: "a key pair generator of that size and its signing mechanism",
            });
        }
        let _alone = self.generating.lock().unwrap_or_else(PoisonError::into_inner);
        // What may be repeated is done first, so that a lost token is reopened before the one attempt to generate.
        let id = self.pool.repeatable(PATIENCE, |lease| {
            key::refuse_taken(lease, name)?;
            lease.run("draw a CKA_ID", |s| s.generate_random_vec(CKA_ID_LEN))
        })?;
        let allowed = self.mechanisms.allowed(algorithm);
        self.pool.once(PATIENCE, |lease| {
            let pair = key::generate(lease, algorithm, &Purpose::Kept { name, id: &id }, &allowed)?;
            match key::read(lease, pair, name, &id, KeyOrigin::Generated) {
                Ok(key) => {
                    lease.remember(&id, pair);
                    Ok(key)
                }
                Err(error) => {
                    if let Err(left) = key::destroy(lease, pair) {
                        tracing::error!(%name, %left, "a key that was refused could not be destroyed");
                    }
                    Err(error)
                }
            }
        })
    }

    /// Finds a key that was generated on this token.
    ///
    /// # Errors
    /// When not exactly one key has the CKA_ID and label, its public key is not the one recorded, or its attributes do
    /// not fit.
    pub fn find(&self, name: &KeyName, cka_id: &[u8], expected_spki_sha256: Digest) -> Result<TokenKey, TokenError> {
        self.find_of_origin(name, cka_id, expected_spki_sha256, KeyOrigin::Generated)
    }

    /// Finds a key whose recorded origin may be another than generation on this token.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_of_origin(
        &self,
        name: &KeyName,
        cka_id: &[u8],
        expected_spki_sha256: Digest,
        origin: KeyOrigin,
    ) -> Result<TokenKey, TokenError> {
        self.pool.repeatable(PATIENCE, |lease| {
            let pair = key::locate(lease, name, cka_id)?;
            let key = key::read(lease, pair, name, cka_id, origin)?;
            key::compare(&key, expected_spki_sha256)?;
            lease.remember(cka_id, pair);
            Ok(key)
        })
    }

    /// Signs the whole `message`; the answer has the form that X.509 carries (ECDSA as DER).
    ///
    /// Waits up to `deadline` for a session; C_Sign itself cannot be interrupted. A loss that shows before C_Sign is
    /// mended and the signature asked for then, within the same deadline; C_Sign is called at most once.
    ///
    /// # Errors
    /// [`SignError::NotCalled`] when no signature can exist, [`SignError::FateUnknown`] when one can.
    pub fn sign(
        &self,
        key: &TokenKey,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        deadline: Duration,
    ) -> Result<Vec<u8>, SignError> {
        let began = Instant::now();
        let call = self
            .mechanisms
            .call(key.algorithm, algorithm, message)
            .map_err(SignError::NotCalled)?;
        let mut done = self.sign_once(key, &call, deadline);
        for _ in 0..LOSSES_MENDED {
            match done {
                Err(SignError::NotCalled(error)) if error.is_loss() => {
                    done = self.sign_once(key, &call, deadline.saturating_sub(began.elapsed()));
                }
                _ => break,
            }
        }
        done
    }

    fn sign_once(&self, key: &TokenKey, call: &Call<'_>, wait: Duration) -> Result<Vec<u8>, SignError> {
        let mut lease = self.pool.lease(wait).map_err(SignError::NotCalled)?;
        let done = sign_on(&mut lease, key, call);
        lease.give_back();
        done
    }

    /// Random bytes from the token.
    ///
    /// # Errors
    /// When the token fails to give them.
    pub fn random(&self, len: u32) -> Result<Vec<u8>, TokenError> {
        self.pool.repeatable(PATIENCE, |lease| {
            lease.run("draw random bytes", |s| s.generate_random_vec(len))
        })
    }

    /// Destroys both halves of a key, after finding it by all that identifies it.
    ///
    /// # Errors
    /// When it is not found as recorded, or a call fails.
    pub fn destroy(&self, key: &TokenKey) -> Result<(), TokenError> {
        self.find_of_origin(&key.name, &key.cka_id, key.spki_sha256(), key.origin)?;
        self.pool.once(PATIENCE, |lease| {
            let pair = key::locate(lease, &key.name, &key.cka_id)?;
            lease.forget(&key.cka_id);
            key::destroy(lease, pair)
        })
    }

    /// Whether the token really works: it signs with a key pair made for this in a session, never with a CA key, and
    /// reads back every key that is in use. A lost token is reopened on the way.
    ///
    /// # Errors
    /// What does not work.
    pub fn probe(&self) -> Result<(), TokenError> {
        let usable = [
            KeyAlgorithm::EcP256,
            KeyAlgorithm::Ed25519,
            KeyAlgorithm::EcP384,
            KeyAlgorithm::Rsa2048,
        ];
        let algorithm = usable
            .into_iter()
            .find(|a| self.supports(*a))
            .ok_or(TokenError::Unsupported {
                wanted: "signatures".to_owned(),
                needs: "P-256, P-384, RSA 2048 or Ed25519",
            })?;
        let call = self
            .mechanisms
            .call(algorithm, algorithm.default_signature(), PROBE_MESSAGE)?;
        self.pool.repeatable(PATIENCE, |lease| {
            // A session key lives in memory on some tokens, and works on when the token itself is gone.
            for pair in lease.all_known() {
                lease.run("read a key in use", |s| {
                    s.get_attributes(pair.private, &[AttributeType::Id])
                })?;
            }
            let pair = key::generate(lease, algorithm, &Purpose::Probe, &[])?;
            // Where this fails the session is closed, and its key pair goes with it.
            let signature = lease.run("sign with a session key", |s| {
                s.sign(&call.mechanism, pair.private, &call.data)
            })?;
            key::destroy(lease, pair)?;
            mechanism::encode(algorithm, signature).map(drop)
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// C_SignInit and C_Sign with the key's handle, which is looked for once per log-in.
fn sign_on(lease: &mut Lease<'_>, key: &TokenKey, call: &Call<'_>) -> Result<Vec<u8>, SignError> {
    let pair = match lease.known(&key.cka_id) {
        Some(pair) => pair,
        None => find_again(lease, key).map_err(SignError::NotCalled)?,
    };
    let raw = lease
        .call(|s| s.sign(&call.mechanism, pair.private, &call.data))
        .map_err(SignError::of_sign)?;
    mechanism::encode(key.algorithm, raw).map_err(SignError::FateUnknown)
}

fn find_again(lease: &mut Lease<'_>, key: &TokenKey) -> Result<key::Pair, TokenError> {
    let pair = key::locate(lease, &key.name, &key.cka_id)?;
    let found = key::read(lease, pair, &key.name, &key.cka_id, key.origin)?;
    key::compare(&found, key.spki_sha256())?;
    lease.remember(&key.cka_id, pair);
    Ok(pair)
}
