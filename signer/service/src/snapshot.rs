//! What every call reads and few records change: the bundle in force, the CAs, the freezes. Swapped as a whole.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use stele_api::status::{Failure, Reason};
use stele_core::authority::{Authority, Bundle};
use stele_core::keycheck::PublicKey;
use stele_core::profile::Issuer;
use stele_core::record::{Body, FreezeTarget};
use stele_core::types::{Digest, KeyName};
use stele_index::{CaView, Reader};

use crate::clock;
use crate::error::SignerError;

/// A CA key of ours with its certificates.
#[derive(Clone, Debug)]
pub(crate) struct Ca {
    /// Its own certificate first, the root last.
    pub(crate) chain: Vec<Vec<u8>>,
    /// What decisions depend on.
    pub(crate) issuer: Issuer,
    /// Its public key.
    pub(crate) key: PublicKey,
}

impl Ca {
    /// Its certificate.
    pub(crate) fn certificate(&self) -> &[u8] {
        self.chain.first().map(Vec::as_slice).unwrap_or_default()
    }

    /// Its certificate and those above it, without the root.
    pub(crate) fn below_root(&self) -> &[Vec<u8>] {
        self.chain.split_last().map(|(_, rest)| rest).unwrap_or_default()
    }
}

/// The bundle in force.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    /// The index of its record.
    pub(crate) index: u64,
    /// The bundle.
    pub(crate) bundle: Arc<Bundle>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    in_force: Option<InForce>,
    /// CA keys that the keeper holds and that have a certificate.
    pub(crate) cas: BTreeMap<KeyName, Ca>,
    /// Root certificates.
    pub(crate) roots: Vec<Vec<u8>>,
    /// Freezes in force.
    pub(crate) frozen: HashSet<FreezeTarget>,
    /// Serials of revoked client certificates.
    pub(crate) revoked_clients: HashSet<Vec<u8>>,
}

/// Whether a record of this body changes the snapshot.
pub(crate) const fn changes(body: &Body) -> bool {
    matches!(
        body,
        Body::BundleAdopted(_)
            | Body::CarriedOver(_)
            | Body::CaCertificate(_)
            | Body::Freeze(_)
            | Body::Unfreeze(_)
            | Body::Revocation(_)
            | Body::Unknown(_)
    )
}

impl Snapshot {
    /// Reads it from the index; `held` are the keys of the keeper.
    ///
    /// # Errors
    /// When the index cannot be read, or the bundle or a chain in it does not read.
    pub(crate) fn read(reader: &Reader, held: &BTreeMap<KeyName, PublicKey>) -> Result<Self, SignerError> {
        let mut snapshot = Self::default();
        if let Some(view) = reader.newest_bundle()? {
            let bundle = Bundle::parse(&view.bytes).map_err(|e| all(&e))?;
            let client_ca = bundle.authority().client_ca().clone();
            let listed = reader.listed(&client_ca, clock::now())?;
            snapshot.revoked_clients = listed.into_iter().map(|l| l.serial.as_bytes().to_vec()).collect();
            snapshot.in_force = Some(InForce {
                index: view.index,
                bundle: Arc::new(bundle),
            });
        }
        snapshot.frozen = reader.frozen()?.into_iter().map(|f| f.target).collect();
        for view in reader.all_cas()? {
            snapshot.add(view, held)?;
        }
        Ok(snapshot)
    }

    fn add(&mut self, view: CaView, held: &BTreeMap<KeyName, PublicKey>) -> Result<(), SignerError> {
        let ca = view.ca;
        if ca.chain.is_empty() {
            self.roots.push(ca.certificate.0);
            return Ok(());
        }
        let Some(key) = held.get(&ca.key).filter(|key| key.digest() == ca.spki_sha256) else {
            return Ok(());
        };
        let chain: Vec<Vec<u8>> = [ca.certificate].into_iter().chain(ca.chain).map(|c| c.0).collect();
        let issuer = Issuer::from_chain(ca.key.clone(), key.algorithm(), &chain)?;
        let entry = Ca {
            chain,
            issuer,
            key: key.clone(),
        };
        self.cas.insert(ca.key, entry);
        Ok(())
    }

    /// The bundle in force.
    ///
    /// # Errors
    /// When there is none yet.
    pub(crate) fn in_force(&self) -> Result<&InForce, Failure> {
        self.in_force.as_ref().ok_or_else(|| {
            let why = "there is no authority bundle yet; import the ceremony's hand-over with `stele-signer import`";
            Failure::new(Reason::LedgerStopped, why)
        })
    }

    /// What it says.
    ///
    /// # Errors
    /// As [`Self::in_force`].
    pub(crate) fn authority(&self) -> Result<&Authority, Failure> {
        Ok(self.in_force()?.bundle.authority())
    }

    /// Its digest.
    ///
    /// # Errors
    /// As [`Self::in_force`].
    pub(crate) fn bundle_digest(&self) -> Result<Digest, Failure> {
        Ok(self.in_force()?.bundle.digest())
    }

    /// The access CA, whose certificate is the trust anchor for callers.
    pub(crate) fn access_ca(&self) -> Option<&Ca> {
        let authority = self.authority().ok()?;
        self.cas.get(authority.client_ca())
    }
}

/// Several errors as one, in a line each.
pub(crate) fn all(errors: &[stele_core::Error]) -> SignerError {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    SignerError::other(lines.join("\n"))
}
